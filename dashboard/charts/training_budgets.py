"""Two small charts: pruning in rounds against pruning at once, and data efficiency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.theme import ChartTheme, theme
from dashboard.charts.training import DASHES, SYMBOLS, epochs, error_bar, network_name
from dashboard.words import words
from optim.recipe import Prune
from optim.training_history.data_efficiency import DataEfficiency, DataPoint, Supervision
from optim.training_history.distillation_gain import interval
from optim.training_history.pruning_rounds import PruningPath, Round

HEIGHT_PX = 330
DECADES = (1.0, 10.0, 100.0)
"""Shares of the data that the axis always shows, in percent."""
LEGEND = {"yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "xanchor": "left"}
SUPERVISION_COLOURS = {
    Supervision.BOTH: "quantized",
    Supervision.LABELS: "other activations",
    Supervision.TEACHER: "pruned + quantized",
}


def rounds_figure(path: PruningPath, *, n: int, original: float, dark: bool = False) -> go.Figure:
    """Draw accuracy on validation against the share removed, from the original down.

    A round that still trains is hollow; one that is still to come is a mark on the axis.

    Args:
        n: validation examples.
        original: the original's accuracy on them, 0..1.
    """
    colours = theme(dark)
    known = [each for each in path.rounds if each.score is not None]
    figure = go.Figure()
    figure.add_trace(_rounds_line(known, n, original, colours))
    values = [original, *(each.score or 0.0 for each in known)]
    if path.at_once is not None and path.at_once.final is not None:
        values.append(path.at_once.final.kept)
        figure.add_trace(_at_once(path, n, colours))
    for each in path.rounds:
        if each.score is None:
            figure.add_vline(
                x=100 * each.ratio, line={"color": colours.guide, "dash": "dot", "width": 1}
            )
    figure.update_layout(
        **_layout(colours, "rounds", values, n),
        xaxis={
            "title": {"text": f"Share of {_unit(path)} removed, %"},
            "range": [-3, 100 * path.rounds[-1].ratio + 6],
            "fixedrange": True,
        },
    )
    return figure


def rounds_alt(path: PruningPath, *, n: int, original: float) -> str:
    """Describe the chart in a sentence, with its numbers."""
    known = [each for each in path.rounds if each.score is not None]
    told = ", ".join(
        f"{words.percent(round(each.ratio, 3))} removed: {words.percent(each.score, n=n)}"
        for each in known
    )
    at_once = path.at_once.final if path.at_once else None
    other = "" if at_once is None else f" At once: {words.percent(at_once.kept, n=n)}."
    return (
        f"Accuracy on {n:,} validation examples after {len(known)} of {len(path.rounds)} rounds of "
        f"pruning, from {words.percent(original, n=n)} of the original: {told or 'none yet'}."
        f"{other}"
    )


def data_efficiency_figure(data: DataEfficiency, *, dark: bool = False) -> go.Figure:
    """Draw accuracy against the share of the training data, on a logarithmic axis."""
    colours = theme(dark)
    figure = go.Figure()
    for supervision in Supervision:
        points = sorted(
            (p for p in data.points if p.supervision is supervision), key=lambda p: p.share
        )
        if points:
            figure.add_trace(_supervision_line(points, supervision, data, colours))
    bounds = [bound for point in data.points for bound in point.interval]
    ticks = sorted({*DECADES, *(100 * share for share in data.shares)})
    figure.update_layout(
        **_layout(colours, "data-efficiency", bounds, data.n),
        xaxis={
            "title": {"text": "Share of the training data, %"},
            "type": "log",
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
            "range": [math.log10(0.7 * ticks[0]), math.log10(1.4 * ticks[-1])],
            "fixedrange": True,
        },
    )
    what = "validation" if data.tested is None else "test"
    figure.update_yaxes(title={"text": f"Accuracy on {what}, %"})
    return figure


def data_efficiency_alt(data: DataEfficiency) -> str:
    """Describe the chart in sentences, with its numbers."""
    what = "validation" if data.tested is None else "test"
    parts = []
    for supervision in Supervision:
        points = sorted(
            (p for p in data.points if p.supervision is supervision), key=lambda p: p.share
        )
        if points:
            told = ", ".join(
                f"{words.percent(p.score, n=data.n)} from {words.percent(p.share)} of the data"
                for p in points
            )
            parts.append(f"{supervision}: {told}")
    return (
        f"{network_name(data.network)}, accuracy on {data.n:,} {what} examples. {'; '.join(parts)}."
    )


def _rounds_line(
    known: Sequence[Round], n: int, original: float, colours: ChartTheme
) -> go.Scatter:
    colour = colours.methods["pruned"]
    points = [Round(ratio=0.0, score=original, over=True), *known]
    shares = [each.score or 0.0 for each in points]
    return go.Scatter(
        x=[100 * each.ratio for each in points],
        y=[100 * share for share in shares],
        name="In rounds",
        mode="lines+markers",
        line={"color": colour, "width": 2.2},
        marker={
            "size": 9,
            "symbol": "square",
            "color": [colour if each.over else colours.background for each in points],
            "line": {"color": colour, "width": 2},
        },
        error_y=_bars(shares, n, colours),
        customdata=[
            f"<b>{words.percent(round(each.ratio, 3))} removed</b><br>{_share(share, n)}"
            f"{'' if each.over else '<br>still training'}"
            for each, share in zip(points, shares, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _at_once(path: PruningPath, n: int, colours: ChartTheme) -> go.Scatter:
    row = path.at_once
    assert row is not None
    assert row.final is not None
    share = row.final.kept
    return go.Scatter(
        x=[100 * row.recipe.pruning_ratio],
        y=[100 * share],
        name="At once",
        mode="markers",
        marker={"size": 11, "symbol": "x", "color": colours.methods["quantized"]},
        error_y=error_bar(share, n, colours),
        customdata=[
            f"<b>at once</b>, {epochs(row.final.epoch)}, {words.duration(row.final.seconds)}<br>"
            f"{_share(share, n)}<br><i>{escape(row.recipe.words())}</i>"
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _supervision_line(
    points: Sequence[DataPoint], supervision: Supervision, data: DataEfficiency, colours: ChartTheme
) -> go.Scatter:
    colour = colours.methods[SUPERVISION_COLOURS[supervision]]
    return go.Scatter(
        x=[100 * point.share for point in points],
        y=[100 * point.score for point in points],
        name=f"{supervision[0].upper()}{supervision[1:]}",
        mode="lines+markers",
        line={"color": colour, "width": 2.2, "dash": DASHES[supervision]},
        marker={"color": colour, "size": 9, "symbol": SYMBOLS[supervision]},
        error_y={
            **error_bar(points[0].score, data.n, colours),
            "array": [100 * (p.interval[1] - p.score) for p in points],
            "arrayminus": [100 * (p.score - p.interval[0]) for p in points],
        },
        customdata=[
            f"<b>{supervision}</b>, {words.percent(p.share)} of the data<br>"
            f"{words.percent(p.score, n=data.n)} (n = {data.n:,}), {epochs(p.epochs)}"
            for p in points
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _bars(shares: Sequence[float], n: int, colours: ChartTheme) -> dict[str, Any]:
    spans = [interval(share, n) for share in shares]
    return {
        **error_bar(shares[0], n, colours),
        "array": [100 * (high - share) for share, (_, high) in zip(shares, spans, strict=True)],
        "arrayminus": [100 * (share - low) for share, (low, _) in zip(shares, spans, strict=True)],
    }


def _share(share: float, n: int) -> str:
    span = words.between(*interval(share, n), lambda each: words.percent(each, n=n))
    return f"{words.percent(share, n=n)} ({span}; n = {n:,})"


def _layout(colours: ChartTheme, name: str, shares: Sequence[float], n: int) -> dict[str, Any]:
    bounds = [bound for share in shares for bound in interval(share, n)]
    low, high = 100 * min(bounds), 100 * max(bounds)
    edge = 0.12 * max(high - low, 1.0)
    return {
        "template": colours.template,
        "uirevision": name,
        "height": HEIGHT_PX,
        "margin": {"l": 8, "r": 12, "t": 10, "b": 84},
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": True,
        "legend": LEGEND,
        "yaxis": {
            "title": {"text": "Accuracy on validation, %"},
            "range": [max(0.0, low - edge), min(100.5, high + edge)],
            "fixedrange": True,
        },
    }


def _unit(path: PruningPath) -> str:
    step = path.training.recipe.step(Prune)
    return "channels" if step is None else str(step.unit).replace("macs", "MACs")
