"""Parallel coordinates: one line per candidate over three upright axes; up is better on each."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.charts.objectives.drawn import Drawn, Scale
from dashboard.charts.sheet import Sheet

Heights = Sequence[Sequence[float]]
"""From worst (0) to best (1): a row per candidate, a column per objective."""


def parallel(drawn: Drawn) -> go.Figure:
    """Draw the lines, then the axes with their points."""
    heights = [
        [scale.height(scale.values[i]) for scale in drawn.scales]
        for i in range(len(drawn.candidates))
    ]
    sheet = Sheet()
    for strong in (False, True):  # two traces of broken lines, whatever the number of candidates
        _add_lines(sheet, drawn, heights, strong=strong)
    _add_selected(sheet, drawn, heights)
    for column, scale in enumerate(drawn.scales):
        _add_points(sheet, drawn, heights, column)
        _add_axis(sheet, drawn, scale, column)
    sheet.annotation(
        x=1,
        y=0,
        yshift=-20,
        text="up is better on every axis",
        showarrow=False,
        font={"size": 12, "color": drawn.theme.muted},
    )
    hidden = {"visible": False, "fixedrange": True}
    return sheet.figure(
        {
            "height": 400 if drawn.narrow else 460,
            "margin": {"l": 44, "r": 44, "t": 36, "b": 32},
            "xaxis": {**hidden, "range": [-0.12, 2.12]},
            "yaxis": {**hidden, "range": [-0.03, 1.03]},
        }
    )


def _add_lines(sheet: Sheet, drawn: Drawn, heights: Heights, *, strong: bool) -> None:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for candidate, height in zip(drawn.candidates, heights, strict=True):
        if (candidate.id in drawn.strong) is strong:
            xs.extend((0, 1, 2, None))
            ys.extend((*height, None))
    sheet.scatter(
        x=xs,
        y=ys,
        mode="lines",
        line={"color": drawn.theme.primary if strong else drawn.theme.guide, "width": 1.6},
        opacity=0.8 if strong else 0.4,
        hoverinfo="skip",
    )


def _add_selected(sheet: Sheet, drawn: Drawn, heights: Heights) -> None:
    for candidate, height in zip(drawn.candidates, heights, strict=True):
        if candidate.id == drawn.selected:
            line = {"color": drawn.theme.text, "width": 3}
            sheet.scatter(x=[0, 1, 2], y=height, mode="lines", line=line, hoverinfo="skip")


def _add_points(sheet: Sheet, drawn: Drawn, heights: Heights, column: int) -> None:
    sheet.scatter(
        x=[column] * len(heights),
        y=[height[column] for height in heights],
        mode="markers",
        **drawn.marks(size=9),
    )


def _add_axis(sheet: Sheet, drawn: Drawn, scale: Scale, column: int) -> None:
    """Draw an upright line with its labels, and the title above it."""
    sheet.shape(
        type="line",
        x0=column,
        x1=column,
        y0=0,
        y1=1,
        line={"color": drawn.theme.guide, "width": 1},
        layer="below",
    )
    last = column == len(drawn.scales) - 1
    for tick, text in zip(scale.axis.ticks, scale.axis.tick_texts, strict=True):
        sheet.annotation(
            x=column,
            y=scale.height(tick),
            text=text,
            showarrow=False,
            xanchor="left" if last else "right",
            xshift=9 if last else -9,
            font={"size": 11, "color": drawn.theme.muted},
            bgcolor=drawn.theme.veil,
        )
    sheet.annotation(
        x=column,
        y=1,
        yshift=20,
        text=f"<b>{scale.axis.title[:-2]}</b>",
        showarrow=False,
        font={"size": 12 if drawn.narrow else 13},
    )
