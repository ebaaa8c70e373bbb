"""The scatter matrix: every pair of objectives."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.charts.objectives.drawn import Drawn

KEY = (
    "strong: on the front in all three<br>faint: beaten, or off limits<br>"
    "arrows: the better direction"
)


def matrix(drawn: Drawn) -> go.Figure:
    """Draw every pair of objectives; on a phone below each other."""
    narrow = drawn.narrow
    latency, size, accuracy = drawn.scales
    pairs = ((latency, accuracy), (size, accuracy), (latency, size))
    cells = ((1, 1), (2, 1), (3, 1)) if narrow else ((1, 1), (1, 2), (2, 1))
    figure = make_subplots(
        rows=3 if narrow else 2,
        cols=1 if narrow else 2,
        horizontal_spacing=0.1,
        vertical_spacing=0.1 if narrow else 0.16,
    )
    for (row, col), (across, upwards) in zip(cells, pairs, strict=True):
        figure.add_scatter(
            x=list(across.values),
            y=list(upwards.values),
            row=row,
            col=col,
            mode="markers",
            **drawn.marks(size=11),
        )
        figure.update_xaxes(**across.axis.layout(), row=row, col=col)
        figure.update_yaxes(**upwards.axis.layout(), row=row, col=col)
    if not narrow:
        _explain(figure, drawn.theme.muted)
    figure.update_layout(height=840 if narrow else 520, margin={"l": 56, "r": 10, "t": 10, "b": 48})
    return figure


def _explain(figure: go.Figure, colour: str) -> None:
    """Say in the empty fourth cell how to read the others."""
    figure.update_xaxes(visible=False, row=2, col=2)
    figure.update_yaxes(visible=False, row=2, col=2)
    figure.add_annotation(
        xref="paper",
        yref="paper",
        x=0.78,
        y=0.2,
        showarrow=False,
        align="left",
        font={"size": 12, "color": colour},
        text=KEY,
    )
