"""The three objectives as three dimensions, each point on a stem from the floor."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from dashboard.charts.objectives.drawn import Drawn

SYMBOLS = frozenset({"circle", "diamond", "square", "cross", "x", "circle-open"})
"""Those that plotly knows in three dimensions."""


def space(drawn: Drawn) -> go.Figure:
    """Draw the candidates in three dimensions."""
    latency, size, accuracy = drawn.scales
    figure = go.Figure()
    x, y, z = _stems(drawn)
    figure.add_scatter3d(
        x=x,
        y=y,
        z=z,
        mode="lines",
        line={"color": drawn.theme.guide, "width": 2},
        hoverinfo="skip",
    )
    figure.add_scatter3d(
        x=list(latency.values),
        y=list(size.values),
        z=list(accuracy.values),
        mode="markers",
        **_marks(drawn),
    )
    figure.update_layout(
        height=480,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": latency.axis.layout(),
            "yaxis": size.axis.layout(),
            "zaxis": accuracy.axis.layout(),
            "camera": {"eye": {"x": 1.35, "y": -1.35, "z": 0.6}, "center": {"z": -0.15}},
        },
    )
    return figure


def _stems(drawn: Drawn) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """Return one broken line from the floor up to every point."""
    latency, size, accuracy = drawn.scales
    floor = accuracy.axis.low
    lines: tuple[list[float | None], list[float | None], list[float | None]] = ([], [], [])
    for x, y, z in zip(latency.values, size.values, accuracy.values, strict=True):
        lines[0].extend((x, x, None))
        lines[1].extend((y, y, None))
        lines[2].extend((floor, z, None))
    return lines


def _marks(drawn: Drawn) -> dict[str, Any]:
    """Return the marks that plotly has in three dimensions: fewer symbols, one opacity for all."""
    marks = drawn.marks(size=8)
    marker = marks["marker"]
    marker["symbol"] = [
        symbol if symbol in SYMBOLS else "cross" if symbol == "star" else "circle-open"
        for symbol in marker["symbol"]
    ]
    marker["color"] = [
        colour if opacity == 1 else drawn.theme.guide
        for colour, opacity in zip(marker["color"], marker.pop("opacity"), strict=True)
    ]
    del marks["selected"], marks["unselected"], marker["line"]
    return marks
