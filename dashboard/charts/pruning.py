"""Accuracy or loss against the share of pruned channels, one line for each layer, pruned alone.

Of many layers a few are drawn in colour, each with a symbol and its name at the end of its line;
the others stay behind them in grey, and every point tells its figures.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import plotly.graph_objects as go

from dashboard.charts.layers import short_name
from dashboard.charts.theme import ChartTheme, theme
from dashboard.words import words
from dashboard.words.channels import lost, share
from optim.analysis.channel_cuts import FREE_DROP, most_sensitive

if TYPE_CHECKING:
    from optim.analysis.pruning_curves import CurvePoint, LayerCurve, PruningCurves

ChannelCost = Literal["accuracy", "loss"]
MOST_COLOURED = 6
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
COLOURED = (
    "quantized", "pruned", "pruned + quantized", "small net from scratch", "fused",
    "other activations",
)  # fmt: skip
"""Okabe and Ito's colours, as the theme has them for light and dark."""
LONGEST_NAME = 22
LOG_FROM = 20.0
"""An axis is logarithmic from this quotient of its ends on."""
HEIGHT, LABEL_PX = 380, 17


def pruning_figure(
    curves: PruningCurves,
    *,
    cost: ChannelCost = "accuracy",
    picked: Collection[str] = (),
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw one line per layer, from whole to what is left of it.

    ``customdata[0]`` of every point is its layer, escaped.

    Args:
        cost: accuracy on validation in percent, or the mean loss there.
        picked: layers to draw in colour; without any, all of a few, or the worst and the best.
        narrow: for phones: names stand in a legend below instead of at the lines' ends.
    """
    colours = theme(dark)
    names = [c.layer for c in curves.curves if c.layer in picked][:MOST_COLOURED]
    names = names or layers_in_colour(curves)
    figure = go.Figure()
    for curve in curves.curves:
        if curve.layer not in names:
            figure.add_trace(_line(curves, curve, cost, colours, None, narrow))
    for place, name in enumerate(names):
        curve = next(c for c in curves.curves if c.layer == name)
        figure.add_trace(_line(curves, curve, cost, colours, place, narrow))
    low, high = _range(curves, cost)
    logarithmic = cost == "loss" and high / max(low, 1e-9) > LOG_FROM
    figure.update_layout(**_layout(cost, colours, (low, high), logarithmic, narrow, len(names)))
    _add_whole(figure, curves, cost, colours)
    if not narrow:
        _add_names(figure, curves, names, cost, colours, (low, high), logarithmic)
    return figure


def pruning_alt(curves: PruningCurves) -> str:
    """Return curves and heat map in sentences, with their numbers."""
    if not curves.curves:
        return "An empty chart: no layer can lose channels."
    layers = "1 layer" if len(curves.curves) == 1 else f"{len(curves.curves)} layers"
    whole = words.percent(curves.score, n=curves.n)
    said = [
        f"{layers}, each pruned alone: accuracy on {curves.n:,} validation examples against the "
        f"share of channels removed, from {whole} with all of them."
    ]
    worst = most_sensitive(curves)
    if worst is not None:
        first, last = worst.points[1], worst.points[-1]
        told = f"Most sensitive: {worst.layer}, {lost(curves, first)} at {share(first.ratio)}"
        if last is not first:
            told += f", {lost(curves, last)} at {share(last.ratio)}"
        said.append(f"{told}.")
    spare = curves.redundant(FREE_DROP)
    if spare:
        named = "; ".join(f"{c.layer}, {share(c.free_ratio(FREE_DROP))}" for c in spare[:3])
        said.append(f"Within 1 point can be pruned: {named}.")
    return " ".join(said)


def layers_in_colour(curves: PruningCurves) -> list[str]:
    """Return all layers if few, else those that lose most and least, in the network's order."""
    if len(curves.curves) <= MOST_COLOURED:
        return [curve.layer for curve in curves.curves]

    def mean(curve: LayerCurve) -> tuple[float, float]:
        cut = curve.points[1:] or curve.points
        return sum(-p.score for p in cut) / len(cut), sum(p.loss for p in cut) / len(cut)

    ordered = sorted(curves.curves, key=mean)
    half = MOST_COLOURED // 2
    chosen = {curve.layer for curve in (*ordered[:half], *ordered[-half:])}
    return [curve.layer for curve in curves.curves if curve.layer in chosen]


def point_words(curves: PruningCurves, curve: LayerCurve, point: CurvePoint) -> str:
    """Return everything that is known of one cut, as lines for a hover."""
    lines = [
        f"<b>{escape(curve.layer)}</b>",
        f"{point.kept} of {curve.channels} channels stay ({share(point.ratio)} removed)",
        f"accuracy {words.percent(point.score, n=curves.n)}, {lost(curves, point)}",
        f"loss {words.digits(point.loss)} (whole: {words.digits(curves.loss)})",
        f"network: {words.count(point.parameters)} parameters, {words.count(point.macs)} MACs",
    ]
    if point.latency_ms is not None:
        lines.append(f"predicted: {words.latency(point.latency_ms)}")
    if len(curve.layers) > 1:
        lines.append(f"<i>{len(curve.layers)} layers lose the same channels</i>")
    return "<br>".join(lines)


def _value(point: CurvePoint, cost: ChannelCost) -> float:
    return 100 * point.score if cost == "accuracy" else point.loss


def _line(
    curves: PruningCurves,
    curve: LayerCurve,
    cost: ChannelCost,
    colours: ChartTheme,
    place: int | None,
    narrow: bool,
) -> go.Scatter:
    """Return one layer; ``place`` is its colour, None leaves it in the background."""
    muted = place is None
    colour = colours.guide if place is None else _colour(place, colours)
    style: dict[str, Any] = {
        "line": {"color": colour, "width": 1 if muted else 2.2},
        "marker": {
            "color": colour,
            "symbol": "circle" if place is None else SYMBOLS[place],
            "size": 4 if muted else 9,
            "line": {"color": colours.outline, "width": 0 if muted else 1},
        },
        "opacity": 0.65 if muted else 1.0,
    }
    return go.Scatter(
        x=[100 * point.ratio for point in curve.points],
        y=[_value(point, cost) for point in curve.points],
        name=escape(short_name(curve.layer, LONGEST_NAME - 4 * narrow)),
        mode="lines+markers",
        customdata=[
            [escape(curve.layer), point_words(curves, curve, point)] for point in curve.points
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        showlegend=narrow and not muted,
        **style,
    )


def _colour(place: int, colours: ChartTheme) -> str:
    return colours.methods[COLOURED[place]]


def _range(curves: PruningCurves, cost: ChannelCost) -> tuple[float, float]:
    """Return the lowest and highest value, at least one point of accuracy apart."""
    values = [_value(point, cost) for curve in curves.curves for point in curve.points]
    values.append(100 * curves.score if cost == "accuracy" else curves.loss)
    low, high = min(values), max(values)
    return (min(low, high - 1.0), high) if cost == "accuracy" else (low, max(high, 1.1 * low))


def _layout(
    cost: ChannelCost,
    colours: ChartTheme,
    ends: tuple[float, float],
    logarithmic: bool,
    narrow: bool,
    coloured: int,
) -> dict[str, Any]:
    low, high = (math.log10(max(end, 1e-9)) for end in ends) if logarithmic else ends
    room = 0.06 * (high - low)
    better = "higher is better ↑" if cost == "accuracy" else "lower is better ↓"
    unit = "Accuracy, %" if cost == "accuracy" else "Mean loss"
    rows = math.ceil(coloured / 2) if narrow else 0
    return {
        "template": colours.template,
        "uirevision": f"pruning-{cost}",
        "height": HEIGHT + LABEL_PX * rows,
        "margin": {"l": 8, "r": 8 if narrow else 168, "t": 12, "b": 52 + LABEL_PX * rows},
        "hovermode": "closest",
        "dragmode": False,
        "legend": {
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "xanchor": "left",
            "entrywidth": 0.48,
            "entrywidthmode": "fraction",
        },
        "xaxis": {
            "title": {"text": "Channels removed from this layer alone, %"},
            "range": [-2, 100],
            "fixedrange": True,
            "dtick": 25,
        },
        "yaxis": {
            "title": {"text": f"{unit} ({better})"},
            "type": "log" if logarithmic else "linear",
            "range": [low - room, high + room],
            "fixedrange": True,
        },
    }


def _add_whole(
    figure: go.Figure, curves: PruningCurves, cost: ChannelCost, colours: ChartTheme
) -> None:
    """Draw a dashed line where the whole network stands."""
    value = 100 * curves.score if cost == "accuracy" else curves.loss
    figure.add_shape(
        type="line", x0=0, x1=1, xref="paper", y0=value, y1=value, layer="below",
        line={"color": colours.guide, "width": 1, "dash": "dash"},
    )  # fmt: skip


def _add_names(
    figure: go.Figure,
    curves: PruningCurves,
    names: Sequence[str],
    cost: ChannelCost,
    colours: ChartTheme,
    ends: tuple[float, float],
    logarithmic: bool,
) -> None:
    """Draw the names right of the plot, in the order of the lines' ends, never on each other."""
    scale = (lambda v: math.log10(max(v, 1e-9))) if logarithmic else float
    low, high = map(scale, ends)
    room = 0.06 * (high - low)
    pixels = (HEIGHT - 64) / (high - low + 2 * room)
    last = {c.layer: c.points[-1] for c in curves.curves if c.layer in names}
    wanted = {name: scale(_value(point, cost)) for name, point in last.items()}
    spots = spread([wanted[name] for name in names], LABEL_PX / pixels, low - room, high + room)
    for place, (name, spot) in enumerate(zip(names, spots, strict=True)):
        colour = _colour(place, colours)
        figure.add_annotation(
            x=1.012, xref="paper", xanchor="left", y=spot, yref="y", yanchor="middle",
            text=escape(short_name(name, LONGEST_NAME)), showarrow=False, align="left",
            font={"size": 12, "color": colours.text},
        )  # fmt: skip
        figure.add_shape(
            type="line", x0=100 * last[name].ratio, x1=101, y0=wanted[name] if not logarithmic
            else 10 ** wanted[name], y1=spot if not logarithmic else 10**spot,
            line={"color": colour, "width": 1, "dash": "dot"}, layer="below",
        )  # fmt: skip


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move values apart until neighbours are ``gap`` apart, and back inside; the order stays.

    >>> spread([1.0, 1.0, 5.0], 0.5, 0.0, 5.0)
    [1.0, 1.5, 5.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    spots: list[float] = []
    for i in order:
        least = spots[-1] + gap if spots else low
        spots.append(max(wanted[i], least))
    ceiling = high
    for k in reversed(range(len(spots))):
        spots[k] = min(spots[k], ceiling)
        ceiling = spots[k] - gap
    moved = dict(zip(order, spots, strict=True))
    return [moved[i] for i in range(len(wanted))]
