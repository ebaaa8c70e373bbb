"""Values that all charts of three objectives share: candidates, scales, marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

from dashboard.charts.axes import Axis, XAxis, even_ticks, log_ticks, stored_x, wants_log
from dashboard.charts.theme import METHOD_SYMBOLS, ChartTheme
from dashboard.words import words
from optim.candidate import Candidate, Role
from optim.search.pareto import Front

HOVER = "<b>%{customdata[1]}</b><br>%{customdata[2]}<br>%{customdata[3]}<extra></extra>"
LAYERS = (Role.CANDIDATE, Role.CONTROL, Role.BASELINE)
"""Who is drawn over whom: the last on top."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One objective.

    Attributes:
        axis: a little beyond the smallest and the largest value.
        values: in shown units, one per candidate.
        rising: higher is better.
    """

    axis: Axis
    values: tuple[float, ...]
    rising: bool

    def height(self, value: float) -> float:
        """Return where a value lies from worst (0) to best (1)."""
        along = self.axis.share(value)
        return along if self.rising else 1.0 - along


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The measured candidates in the order of drawing.

    Attributes:
        strong: ids of those on the front, or tied with it.
        selected: id of the one whose card is open.
    """

    candidates: tuple[Candidate, ...]
    strong: frozenset[str]
    selected: str | None
    theme: ChartTheme
    narrow: bool

    @classmethod
    def of(cls, front: Front, *, selected: str | None, theme: ChartTheme, narrow: bool) -> Drawn:
        """Return what is drawn of a front."""
        strong = frozenset(c.id for c in front.members + front.tied)
        ordered = sorted(front.measured, key=lambda c: (LAYERS.index(c.role), c.id in strong))
        return cls(
            candidates=tuple(ordered),
            strong=strong,
            selected=selected,
            theme=theme,
            narrow=narrow,
        )

    @cached_property
    def scales(self) -> tuple[Scale, Scale, Scale]:
        """Latency, size and score."""
        metric = words.metric_of(self.candidates)
        scores = [metric.scale * c.score.value for c in self.candidates if c.score]
        name = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
        return (
            self._cost("Latency p50, ms ←", "latency", 1.0),
            self._cost("File size, MB ←", "size", 1e-6),
            _scale(
                f"{name} {'↑' if metric.higher_is_better else '↓'}",
                scores,
                log=False,
                rising=metric.higher_is_better,
            ),
        )

    def marks(self, *, size: float) -> dict[str, Any]:
        """Return marker style and hover that all three share; strength says who is on the front."""
        drawn = self.candidates
        methods = [words.method(c.recipe) for c in drawn]
        return {
            "marker": {
                "symbol": [METHOD_SYMBOLS[one] for one in methods],
                "color": [self.theme.methods[one] for one in methods],
                "size": [size * self._growth(c) for c in drawn],
                "opacity": [1.0 if self._stands_out(c) else 0.3 for c in drawn],
                "line": {"width": [2.2 if c.role is Role.CONTROL else 1.2 for c in drawn]},
            },
            "selected": {"marker": {"opacity": 1.0}},
            "unselected": {"marker": {"opacity": 0.75}},
            "customdata": [self._told(c) for c in drawn],
            "hovertemplate": HOVER,
        }

    def _cost(self, title: str, what: XAxis, unit: float) -> Scale:
        values = [stored_x(c, what) * unit for c in self.candidates]
        return _scale(title, values, log=wants_log(values), rising=False)

    def _stands_out(self, candidate: Candidate) -> bool:
        return candidate.id in self.strong or candidate.role is not Role.CANDIDATE

    def _growth(self, candidate: Candidate) -> float:
        """Return sizes: the selected one is larger, original and controls stand out a little."""
        if candidate.id == self.selected:
            return 1.8
        return 1.0 if candidate.role is Role.CANDIDATE else 1.4

    def _told(self, candidate: Candidate) -> list[str]:
        """Return the custom data of a point: its id, its recipe, its figures, its standing."""
        latency, file = candidate.latency, candidate.artifact
        figures = (
            words.score(candidate.score),
            words.latency(latency.p50_ms if latency else None),
            words.size(file.size_bytes if file else None),
        )
        return [
            candidate.id,
            escape(candidate.words()),
            escape(", ".join(figures)),
            "on the front" if candidate.id in self.strong else "not on the front",
        ]


def _scale(title: str, values: Sequence[float], *, log: bool, rising: bool) -> Scale:
    low, high = min(values, default=0.5), max(values, default=1.0)
    if log:
        pad = max(high / low, 1.2) ** 0.08
        low, high = low / pad, high * pad
        ticks = log_ticks(low, high, dense=False)
    else:
        pad = 0.08 * ((high - low) or 1.0)
        low, high = low - pad, high + pad
        ticks = even_ticks(low, high, 5)
    axis = Axis(
        title=title,
        scale=1.0,
        log=log,
        low=low,
        high=high,
        ticks=ticks,
        tick_texts=tuple(f"{tick:g}" for tick in ticks),
    )
    return Scale(axis=axis, values=tuple(values), rising=rising)
