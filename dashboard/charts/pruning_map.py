"""The same cuts as a map: a row for each layer, a column for each share, a colour for the cost.

Layers have different numbers of channels, so a cell shows the measured cut that is nearest to its
column, and stays empty where there is none. The colour follows the root of the cost: small
losses are told apart, and large ones do not hide them.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from dashboard.charts.layers import MANY_ROWS, short_name
from dashboard.charts.pruning import ChannelCost, point_words
from dashboard.charts.theme import ChartTheme, theme
from dashboard.words import words
from dashboard.words.channels import share

if TYPE_CHECKING:
    from optim.analysis.pruning_curves import CurvePoint, LayerCurve, PruningCurves

EIGHTHS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.9375)
MOST_COLUMNS = 8
LIGHT = ("#F1F2EE", "#FBE3B5", "#F7C778", "#EFA14A", "#A33A05", "#5E1B02")
DARK = ("#1B2223", "#3D2A12", "#75460C", "#A4600F", "#F0A94A", "#FFE3B0")
"""From nothing lost to most. Lightness alone orders them, for any colour vision; the middle is
passed quickly, for neither dark nor light figures can be read on it."""
TICKS = {"accuracy": (0, 0.5, 1, 2, 5, 10, 20, 40, 80), "loss": (0, 0.01, 0.05, 0.2, 0.5, 1, 2, 5)}
TICK_GAP = 0.07
"""Of the colour bar's length: closer ticks would be written over each other."""


def pruning_map(
    curves: PruningCurves,
    *,
    cost: ChannelCost = "accuracy",
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw layers in the order of the network against shares of channels.

    ``customdata[0]`` of a cell is its layer, escaped.

    Args:
        cost: points of accuracy lost on validation, or what the mean loss grows by.
    """
    colours = theme(dark)
    columns = columns_of(curves)
    cells = [[_cell(curve, columns, i) for i in range(len(columns))] for curve in curves.curves]
    costs = [[_cost(curves, point, cost) for point in row] for row in cells]
    most = max([v for row in costs for v in row if v is not None], default=0.0)
    most = max(most, 1.0 if cost == "accuracy" else 0.01)
    figure = go.Figure(
        go.Heatmap(
            z=[[None if v is None else math.sqrt(max(v, 0.0)) for v in row] for row in costs],
            x=list(range(len(columns))),
            y=list(range(len(cells))),
            text=[["" if v is None else _written(v, cost, curves.n) for v in row] for row in costs],
            texttemplate="%{text}",
            textfont={"size": 10 if narrow else 12},
            customdata=[
                [_told(curves, curve, point) for point in row]
                for curve, row in zip(curves.curves, cells, strict=True)
            ],
            hovertemplate="%{customdata[1]}<extra></extra>",
            hoverongaps=False,
            zmin=0.0,
            zmax=math.sqrt(most),
            colorscale=[[i / 5, c] for i, c in enumerate(DARK if dark else LIGHT)],
            xgap=2,
            ygap=2,
            colorbar=_colour_bar(cost, most, colours),
            showscale=not narrow,
        )
    )
    figure.update_layout(**_layout(curves, columns, colours, narrow))
    return figure


def columns_of(curves: PruningCurves) -> tuple[float, ...]:
    """Return the measured shares if they are few, else eighths and what is beyond them."""
    measured = sorted({round(p.ratio, 2) for curve in curves.curves for p in curve.points[1:]})
    if len(measured) <= MOST_COLUMNS:
        return tuple(measured)
    return tuple(sorted({EIGHTHS[_nearest(EIGHTHS, ratio)] for ratio in measured}))


def _cell(curve: LayerCurve, columns: tuple[float, ...], i: int) -> CurvePoint | None:
    """Return the measured cut nearest to this column, if no other column is nearer to it."""
    own = [point for point in curve.points[1:] if _nearest(columns, point.ratio) == i]
    return min(own, key=lambda p: abs(p.ratio - columns[i]), default=None)


def _nearest(columns: tuple[float, ...], ratio: float) -> int:
    return min(range(len(columns)), key=lambda k: abs(columns[k] - ratio))


def _cost(curves: PruningCurves, point: CurvePoint | None, cost: ChannelCost) -> float | None:
    if point is None:
        return None
    if cost == "accuracy":
        return 100 * (curves.score - point.score)
    return point.loss - curves.loss


def _written(value: float, cost: ChannelCost, n: int) -> str:
    """Return a share as fine as the examples carry, and short enough for a cell."""
    places = 2 if cost == "loss" else min(1, words.decimals(n))
    text = f"{value:.{places}f}" if abs(value) < 10 else f"{value:.0f}"
    return "0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _told(curves: PruningCurves, curve: LayerCurve, point: CurvePoint | None) -> list[str]:
    return [escape(curve.layer), "" if point is None else point_words(curves, curve, point)]


def _colour_bar(cost: ChannelCost, most: float, colours: ChartTheme) -> dict[str, Any]:
    shown: list[float] = []
    for tick in TICKS[cost]:
        if tick <= most and (not shown or tick**0.5 - shown[-1] ** 0.5 > TICK_GAP * most**0.5):
            shown.append(tick)
    return {
        "title": {
            "text": "Points<br>lost" if cost == "accuracy" else "Loss<br>added",
            "font": {"size": 12, "color": colours.muted},
        },
        "tickvals": [math.sqrt(tick) for tick in shown],
        "ticktext": [f"{tick:g}" for tick in shown],
        "tickfont": {"size": 12, "color": colours.muted},
        "thickness": 12,
        "len": 260,
        "lenmode": "pixels",
        "y": 1,
        "yanchor": "top",
        "outlinewidth": 0,
    }


def _layout(
    curves: PruningCurves, columns: tuple[float, ...], colours: ChartTheme, narrow: bool
) -> dict[str, Any]:
    rows = len(curves.curves)
    pixels = 20 if rows > MANY_ROWS else 28
    names = [escape(short_name(c.layer, 14 if narrow else 26)) for c in curves.curves]
    return {
        "template": colours.template,
        "uirevision": "pruning-map",
        "height": max(180, 74 + pixels * rows),
        "margin": {"l": 8, "r": 8, "t": 8, "b": 48},
        "dragmode": False,
        "xaxis": {
            "title": {"text": "Channels removed from this layer alone, %"},
            "tickvals": list(range(len(columns))),
            "ticktext": [share(column).removesuffix(" %") for column in columns],
            "range": [-0.5, len(columns) - 0.5],
            "fixedrange": True,
            "showgrid": False,
        },
        "yaxis": {
            "tickvals": list(range(rows)),
            "ticktext": names,
            "ticklabelstandoff": 6,
            "range": [rows - 0.5, -0.5],
            "fixedrange": True,
            "showgrid": False,
        },
    }
