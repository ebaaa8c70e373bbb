"""How the front grew: its hypervolume after each measured candidate."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from dashboard import words
from dashboard.charts.axes import even_ticks
from dashboard.charts.theme import theme
from optim.search.hypervolume import HypervolumeStep

MOST_MARKED = 200
"""With more steps than this only those that raised the volume get a marker."""


def hypervolume_figure(
    history: Sequence[HypervolumeStep], *, narrow: bool = False, dark: bool = False
) -> go.Figure:
    """A staircase of the volume by candidate measured; the original alone is 1.

    Filled markers raised the volume, hollow ones did not. ``customdata[0]`` is the candidate's id.
    """
    colours = theme(dark)
    before = [0.0, *(step.value for step in history)]
    raised = [step.value > last for step, last in zip(history, before, strict=False)]
    numbers = list(range(1, len(history) + 1))
    figure = go.Figure()
    figure.add_scatter(
        x=numbers,
        y=[step.value for step in history],
        name="volume",
        mode="lines",
        line={"shape": "hv", "color": colours.primary, "width": 2},
        fill="tozeroy",
        fillcolor=colours.fill,
        hoverinfo="skip",
        showlegend=False,
    )
    marked = [i for i, up in enumerate(raised) if up or len(history) <= MOST_MARKED]
    figure.add_scatter(
        x=[numbers[i] for i in marked],
        y=[history[i].value for i in marked],
        name="steps",
        mode="markers",
        marker={
            "size": 7,
            "color": [colours.primary if raised[i] else colours.background for i in marked],
            "line": {"color": colours.primary, "width": 1.4},
        },
        customdata=[
            [
                history[i].candidate_id,
                escape(history[i].words),
                "raised the front" if raised[i] else "no gain for the front",
            ]
            for i in marked
        ],
        hovertemplate="<b>%{customdata[1]}</b><br>hypervolume %{y:.2f}<br>"
        "%{customdata[2]}<extra></extra>",
        showlegend=False,
    )
    highest = max(before)
    figure.add_hline(y=1, line={"color": colours.guide, "width": 1, "dash": "dot"})
    if history:
        figure.add_annotation(
            x=numbers[-1],
            y=highest,
            text=f"<b>{words.digits(highest)}</b>",
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            yshift=3,
            font={"color": colours.primary, "size": 13},
        )
    ticks = [t for t in even_ticks(1, max(len(history), 2), 6 if narrow else 10) if t == round(t)]
    figure.update_layout(
        template=colours.template,
        uirevision="hypervolume",
        height=230,
        margin={"l": 56, "r": 14, "t": 14, "b": 48},
        hovermode="closest",
        xaxis={
            "title": {"text": "Candidates measured, in order"},
            "tickvals": ticks,
            "range": [0.6, max(len(history), 2) + 0.4],
            "showgrid": False,
            "automargin": False,
        },
        yaxis={
            "title": {"text": "Hypervolume" if narrow else "Hypervolume (higher is better ↑)"},
            "range": [0, max(highest, 1.0) * 1.18],
            "nticks": 5,
            "automargin": False,
        },
    )
    return figure
