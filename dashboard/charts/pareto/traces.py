"""The traces of a Pareto plot: one for each role, the least interesting at the bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from dashboard.charts.axes import stored_x
from dashboard.charts.pareto.decoration import add_prediction_box
from dashboard.charts.pareto.frame import View
from dashboard.charts.pareto.points import (
    HOVER,
    Point,
    hover_texts,
    marker_sizes,
    points_of,
    ties_of,
)
from dashboard.charts.sheet import Sheet
from dashboard.charts.theme import METHOD_SYMBOLS
from dashboard.words import words
from optim.candidate import Candidate, Role
from optim.jobs.job import JobState
from optim.search.predict import Prediction

MOST_BARS = 40
"""A trace gets error bars only while it has few points."""
HEART = 6.0
"""Pixels: plotly takes no mark for smaller than this."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A candidate that is on its way or has failed, where it is predicted to be."""

    candidate_id: str
    words: str
    state: JobState
    prediction: Prediction


def add_staircase(sheet: Sheet, view: View) -> None:
    """Draw steps through the front, with thin ends that tell how far it holds, and a faint fill."""
    if not view.staircase:
        return
    spots = [view.spot(point) for point in view.staircase]
    (x0, y0), (x1, y1) = spots[0], spots[-1]
    right = max(view.x.high, x1) * 10
    line = {"shape": "hv", "color": view.theme.primary, "width": 2.5}
    style: dict[str, Any] = {"mode": "lines", "hoverinfo": "skip"}
    sheet.scatter(
        x=[x0, *(x for x, _ in spots), right, right],
        y=[-1000.0, *(y for _, y in spots), y1, -1000.0],
        name="beaten area",
        line={"shape": "hv", "width": 0},
        fill="toself",
        fillcolor=view.theme.fill,
        **style,
    )
    sheet.scatter(
        x=[x0, x0, None, x1, right],
        y=[-1000.0, y0, None, y1, y1],
        name="ends of the staircase",
        line={**line, "width": 1.2},
        **style,
    )
    sheet.scatter(
        x=[x for x, _ in spots], y=[y for _, y in spots], name="staircase", line=line, **style
    )


def add_points(sheet: Sheet, view: View, show_dominated: bool) -> None:
    """Draw one trace for each role, the least interesting first."""
    front, colours = view.front, view.theme
    plain = [c for c in front.members if c.role is Role.CANDIDATE]
    tied = [c for c in front.tied if c.role is Role.CANDIDATE]
    beaten = [c for c in front.dominated if c.role is Role.CANDIDATE]
    control = [c for c in front.measured if c.role is Role.CONTROL]
    outside = [c for c in front.out_of_limits if c.role is not Role.BASELINE]
    sizes = marker_sizes([*front.measured], view.kind)
    notes = {
        **{c.id: ("another candidate is better in everything",) for c in front.dominated},
        **front.broken,
    }
    ties = ties_of(front, view.kind)

    def add(name: str, candidates: Iterable[Candidate], **style: Any) -> None:
        points = points_of(candidates, view.kind)
        texts = [hover_texts(p, front.baseline, notes=notes, ties=ties) for p in points]
        _add_trace(sheet, view, name, points, texts, **style)

    def grown(share: float, more: float = 0.0) -> Callable[[Point], float]:
        return lambda point: share * sizes[point.candidate.id] + more

    if show_dominated:
        add("dominated", beaten, size=grown(0.75), opacity=0.35)
    add(
        "out of limits",
        outside,
        size=grown(0.4, 6.0),
        opacity=0.6,
        symbol="x",
        colour=colours.muted,
        bars=False,
    )
    add("tied", tied, size=grown(0.9), opacity=0.75)
    add("front", plain, size=grown(1.0))
    add("control", control, size=grown(1.0, 8.0))
    if front.baseline is not None and front.baseline.measured:
        add("baseline", [front.baseline], size=lambda _: 22.0)


def _add_trace(
    sheet: Sheet,
    view: View,
    name: str,
    points: Sequence[Point],
    texts: Sequence[list[str]],
    *,
    size: Callable[[Point], float],
    bars: bool = True,
    opacity: float = 1.0,
    symbol: str | None = None,
    colour: str | None = None,
) -> None:
    if not points:
        return
    methods = [words.method(p.candidate.recipe) for p in points]
    recorded = [bool(p.candidate.score and p.candidate.score.recorded) for p in points]
    open_symbols = name == "control"
    rims = [view.theme.text if known else view.theme.outline for known in recorded]
    spots = [view.spot(point) for point in points]
    colour_of_bars = view.theme.faint_bars if opacity < 0.5 else view.theme.bars
    counts = [f"{p.count} alike" if p.count > 1 else "" for p in points]
    sheet.scatter(
        x=[x for x, _ in spots],
        y=[y for _, y in spots],
        name=name,
        mode="markers+text" if any(counts) else "markers",
        text=counts if any(counts) else None,
        textposition="bottom right",
        textfont={"size": 11, "color": view.theme.muted},
        marker={
            "symbol": symbol or _same([METHOD_SYMBOLS[one] for one in methods]),
            "color": colour or _same([view.theme.methods[one] for one in methods]),
            "size": [size(point) for point in points],
            "opacity": opacity,
            "line": {"width": 2.4 if open_symbols else 1.4}
            | ({} if open_symbols else {"color": _same(rims)}),
        },
        selected={"marker": {"opacity": opacity}},
        unselected={"marker": {"opacity": opacity}},
        customdata=np.array(texts, dtype=object),
        hovertemplate=HOVER,
        **(_error_bars(view, points, colour_of_bars) if bars and len(points) <= MOST_BARS else {}),
    )


def _same(values: list[str]) -> list[str] | str:
    """Return one value where all are equal: plotly checks a thousand colours one by one."""
    return values[0] if len(set(values)) == 1 else values


def _error_bars(view: View, points: Sequence[Point], colour: str) -> dict[str, Any]:
    """Return bars: 10th to 90th percentile of latency, 95 % interval of the score."""
    style = {
        "type": "data",
        "symmetric": False,
        "color": colour,
        "thickness": 1.2,
        "width": 0,
    }
    across, upwards = [], []
    for point in points:
        latency, score = point.candidate.latency, point.candidate.score
        low, high = latency.spread_ms if latency and view.kind == "latency" else (point.x,) * 2
        across.append((max(0.0, high - point.x), max(0.0, point.x - low)))
        bottom, top = score.interval if score else (point.y,) * 2
        upwards.append((max(0.0, top - point.y), max(0.0, point.y - bottom)))
    bars = {
        "error_y": {
            **style,
            "array": [view.y.scale * up for up, _ in upwards],
            "arrayminus": [view.y.scale * down for _, down in upwards],
        }
    }
    if view.kind == "latency":
        bars["error_x"] = {
            **style,
            "array": [more * view.x.scale for more, _ in across],
            "arrayminus": [less * view.x.scale for _, less in across],
        }
    return bars


def add_hollow(
    sheet: Sheet, view: View, prediction: Prediction | None, pending: Sequence[Pending]
) -> None:
    """Draw hollow points, which are predicted and never to be taken for a measurement."""
    symbols = {JobState.FAILED: "x-thin-open", JobState.CANCELLED: "x-thin-open"}

    def add(
        name: str, ids: list[str], texts: list[str], guesses: list[Prediction], **marker: Any
    ) -> None:
        sheet.scatter(
            x=[
                (g.latency_ms if view.kind == "latency" else g.size_bytes) * view.x.scale
                for g in guesses
            ],
            y=[view.inside(g.score * view.y.scale) for g in guesses],
            name=name,
            mode="markers",
            marker={"color": view.theme.predicted, "line": {"width": 2.2}, **marker},
            customdata=list(map(list, zip(ids, texts, strict=True))),
            hovertemplate="%{customdata[1]}<extra></extra>",
        )

    def told(head: str, guess: Prediction) -> str:
        line = words.predicted(guess, view.front.baseline)
        return (
            f"<b>{escape(head)}</b><br>predicted, not measured: {escape(line)}"
            f"<br><i>from {guess.from_candidates} measured candidates</i>"
        )

    if pending:
        add(
            "pending",
            [p.candidate_id for p in pending],
            [told(f"{p.words} ({p.state})", p.prediction) for p in pending],
            [p.prediction for p in pending],
            symbol=[symbols.get(p.state, "hourglass-open") for p in pending],
            size=12,
        )
    if prediction is not None:
        add_prediction_box(sheet, view, prediction)
        add(
            "predicted",
            [""],
            [told(prediction.recipe.words(), prediction)],
            [prediction],
            symbol="circle-open-dot"
            if view.holds(prediction.score * view.y.scale)
            else "triangle-down-open",
            size=15,
        )


def add_heart(sheet: Sheet) -> None:
    """Draw an unseen small mark at the heart of the star, on top of everything.

    Of several marks under the pointer plotly takes the smallest, so that a small point beside the
    original would take every click on its star.
    """
    star = next((trace for trace in sheet.traces if trace["name"] == "baseline"), None)
    if star is not None:
        marker = {"symbol": "circle", "size": HEART, "opacity": 0}
        faded = {"marker": {"opacity": 0}}
        told = {key: star[key] for key in ("x", "y", "customdata", "hovertemplate")}
        sheet.scatter(
            name="heart of the star",
            mode="markers",
            marker=marker,
            selected=faded,
            unselected=faded,
            **told,
        )


def add_ring(sheet: Sheet, view: View, candidate_id: str | None, colour: str, width: float) -> None:
    """Draw a ring around a candidate; two of different width stand inside each other."""
    found = view.front.find(candidate_id)
    if found is None or found.score is None:
        return
    larger = 14 if width > 2 else 7
    sheet.scatter(
        x=[stored_x(found, view.kind) * view.x.scale],
        y=[found.score.value * view.y.scale],
        name="recommended" if width > 2 else "selected",
        mode="markers",
        marker={
            "symbol": "circle-open",
            "color": colour,
            "size": marker_sizes(view.front.measured, view.kind)[found.id] + larger,
            "line": {"width": width},
        },
        hoverinfo="skip",
    )
