"""Three objectives at once: scatter matrix, three dimensions, parallel coordinates."""

from __future__ import annotations

from typing import Literal

import plotly.graph_objects as go

from dashboard.charts.theme import theme
from optim.search.pareto import Front

Kind = Literal["matrix", "3d", "parallel"]


def three_objectives_figure(
    front: Front,
    kind: Kind,
    *,
    selected: str | None = None,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw latency, size and accuracy of every measured candidate together.

    ``customdata[0]`` of every point is the candidate's id.
    """
    figure = go.Figure()
    figure.update_layout(template=theme(dark).template, uirevision=kind, height=420)
    return figure
