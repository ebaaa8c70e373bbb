"""How the front grew: its hypervolume after each measured candidate."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.charts.theme import theme
from optim.search.hypervolume import HypervolumeStep


def hypervolume_figure(
    history: Sequence[HypervolumeStep], *, narrow: bool = False, dark: bool = False
) -> go.Figure:
    """A staircase of the volume by candidate measured; the original alone is 1."""
    colours = theme(dark)
    figure = go.Figure()
    figure.add_scatter(
        x=list(range(1, len(history) + 1)),
        y=[step.value for step in history],
        mode="lines+markers",
        line={"shape": "hv", "color": colours.primary},
        customdata=[[step.candidate_id] for step in history],
    )
    figure.update_layout(template=colours.template, uirevision="hypervolume", height=200)
    return figure
