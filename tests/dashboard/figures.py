"""What a figure shows, read back from it."""

from __future__ import annotations

import plotly.graph_objects as go


def trace(figure: go.Figure, name: str) -> go.Scatter:
    return next(t for t in figure.data if t.name == name and t.x[0] is not None)


def names(figure: go.Figure) -> set[str]:
    return {t.name for t in figure.data if len(t.x) and t.x[0] is not None}


def legend(figure: go.Figure) -> list[str]:
    return [t.name for t in figure.data if t.showlegend]


def labels(figure: go.Figure) -> list[str]:
    return [a.text for a in figure.layout.annotations]


def clickable(figure: go.Figure) -> set[str]:
    return {row[0] for t in figure.data if t.customdata is not None for row in t.customdata}


def listed(value: object, count: int) -> list[object]:
    return [value] * count if isinstance(value, str) else list(value)
