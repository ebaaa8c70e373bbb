"""Axes of the Pareto plots: unit, range, ticks, and a title that says which way is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optim.candidate import Candidate
from optim.search.pareto import Objective
from optim.task.metric import Metric
from optim.task.metric_words import axis_title

XAxis = Literal["latency", "size"]
LOG_ABOVE = 20.0
DEEPEST = 15.0
"""The view reaches at most so many points below the original; what lies deeper is counted."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis in shown units.

    Attributes:
        title: with unit and direction.
        scale: shown value = stored value * scale.
        low, high: ends of the view.
        ticks, tick_texts: where the labels stand.
    """

    title: str
    scale: float
    log: bool
    low: float
    high: float
    ticks: tuple[float, ...]
    tick_texts: tuple[str, ...]

    def share(self, value: float) -> float:
        """Return where a value lies between the ends: 0 to 1."""
        low, high, value = self.at(self.low), self.at(self.high), self.at(value)
        return (value - low) / (high - low)

    def at(self, value: float) -> float:
        """Return a value for plotly's ranges and annotations: its logarithm on a log axis."""
        return math.log10(max(value, 1e-12)) if self.log else value

    def layout(self) -> dict[str, Any]:
        """Return plotly's layout of the axis, for a plot or a scene."""
        return {
            "title": {"text": self.title},
            "type": "log" if self.log else "linear",
            "range": [self.at(self.low), self.at(self.high)],
            "tickvals": list(self.ticks),
            "ticktext": list(self.tick_texts),
        }


def objective_of(x: XAxis) -> Objective:
    """Return the objective that an axis shows."""
    return Objective.LATENCY if x == "latency" else Objective.SIZE


def stored_x(candidate: Candidate, x: XAxis) -> float:
    """Return latency in ms or size in bytes; nan if not measured."""
    if x == "latency":
        return candidate.latency.p50_ms if candidate.latency else math.nan
    return float(candidate.artifact.size_bytes) if candidate.artifact else math.nan


def wants_log(values: Iterable[float]) -> bool:
    """True if the largest is more than 20 times the smallest."""
    positive = [v for v in values if v > 0]
    return bool(positive) and max(positive) > LOG_ABOVE * min(positive)


def x_axis(
    x: XAxis,
    values: Sequence[float],
    *,
    log: bool | None,
    also: Sequence[float] = (),
    narrow: bool = False,
) -> Axis:
    """Return the horizontal axis of stored values; ``also`` is in view but does not choose log."""
    log = wants_log(values) if log is None else log
    shown = [v for v in (*values, *also) if v > 0 and math.isfinite(v)] or [1.0]
    scale, unit = _unit(x, max(shown))
    low, high = min(shown) * scale, max(shown) * scale
    if log:
        span = max(high / low, 2.0)
        low, high = low / span**0.1, high * span**0.07
    else:
        low, high = 0.0, high * 1.06
    what = "Latency p50" if x == "latency" else "File size"
    ticks = log_ticks(low, high, dense=not narrow) if log else even_ticks(low, high, 5)
    return Axis(
        title=f"{what}, {unit} (lower is better ←)",
        scale=scale,
        log=log,
        low=low,
        high=high,
        ticks=ticks,
        tick_texts=tuple(f"{tick:g}" for tick in ticks),
    )


def y_axis(
    metric: Metric,
    values: Sequence[float],
    *,
    baseline: float | None,
    n: int | None,
    also: Sequence[float] = (),
) -> Axis:
    """Return the axis of the scores. Up is better, so it is turned where lower is better.

    Args:
        values: scores that should be in view, if they are not hopelessly deep.
        baseline: of the original; no share more than 15 points below it widens the view.
        n: test examples, for the title.
        also: must be in view.
    """
    if metric.right_or_wrong:
        low, high, ticks = _share_ends(values, baseline=baseline, also=also)
    else:
        shown = [metric.scale * value for value in (*values, *also)] or [0.0, 1.0]
        pad = 0.08 * (max(shown) - min(shown)) or 0.1 * abs(max(shown)) or 1.0
        low, high = min(shown) - pad, max(shown) + pad
        ticks = even_ticks(low, high, 8)
    places = 0 if all(tick == round(tick) for tick in ticks) else 1
    places = places if all(abs(t * 10 - round(t * 10)) < 1e-6 for t in ticks) else 2
    texts = (f"{tick:.{places}f}" if metric.right_or_wrong else f"{tick:g}" for tick in ticks)
    return Axis(
        title=axis_title(metric, n),
        scale=metric.scale,
        log=False,
        low=low if metric.higher_is_better else high,
        high=high if metric.higher_is_better else low,
        ticks=ticks,
        tick_texts=tuple(texts),
    )


def _share_ends(
    values: Sequence[float], *, baseline: float | None, also: Sequence[float]
) -> tuple[float, float, tuple[float, ...]]:
    """Return ends and ticks in percent, from shares."""
    floor = -math.inf if baseline is None else 100 * baseline - DEEPEST
    inside = [100 * v for v in values if 100 * v >= floor] or [100 * v for v in values] or [50.0]
    inside += [100 * v for v in also]
    low, high = min(inside), max(inside)
    pad = max(0.07 * (high - low), 0.25)
    low, high = max(low - pad, -1.0), min(high + 1.6 * pad, 101.0)
    return low, high, even_ticks(low, high, 8)


def log_ticks(low: float, high: float, *, dense: bool) -> tuple[float, ...]:
    """Return 1, 2 and 5 times the powers of ten; only the powers where the view spans many."""
    decades = math.log10(high / low)
    steps = (1, 2, 5) if decades < (3.2 if dense else 2.2) else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = (step * 10.0**power for power in powers for step in steps)
    return tuple(float(f"{tick:.12g}") for tick in ticks if low <= tick <= high)


def even_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """Return ticks at most so many steps apart, of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * s for s in (1, 2, 5, 10) if power * s >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(float(f"{i * step:.12g}") for i in range(first, last + 1))


def _unit(x: XAxis, largest: float) -> tuple[float, str]:
    """Return scale and name of the unit that suits the largest value."""
    if x == "latency":
        return (1000.0, "µs") if largest < 0.3 else (1.0, "ms")
    return (1e-3, "KB") if largest < 900_000 else (1e-6, "MB")
