"""Three objectives at once: scatter matrix, three dimensions, parallel coordinates.

The matrix and the parallel coordinates are drawn from ordinary lines and markers, so that a click
selects a candidate there as well. Only the third dimension needs WebGL.
"""

from __future__ import annotations

from typing import Literal, assert_never

import plotly.graph_objects as go

from dashboard.charts.objectives.drawn import Drawn
from dashboard.charts.objectives.matrix import matrix
from dashboard.charts.objectives.parallel import parallel
from dashboard.charts.objectives.space import space
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

    Strong points are on the front in all three objectives, or tied with it; faint ones are beaten
    or outside the limits. ``customdata[0]`` of every point is the candidate's id.
    """
    colours = theme(dark)
    drawn = Drawn.of(front, selected=selected, theme=colours, narrow=narrow)
    match kind:
        case "matrix":
            figure = matrix(drawn)
        case "3d":
            figure = space(drawn)
        case "parallel":
            figure = parallel(drawn)
        case _:
            assert_never(kind)
    figure.update_layout(
        template=colours.template, uirevision=kind, hovermode="closest", showlegend=False
    )
    return figure
