"""Growth of the front: its hypervolume after each measured candidate."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from dashboard.charts.axes import even_ticks
from dashboard.charts.theme import ChartTheme, theme
from dashboard.words import words
from optim.search.hypervolume import HypervolumeStep

MOST_MARKED = 200
"""With more steps than this only those that raised the volume get a marker."""


def hypervolume_figure(
    history: Sequence[HypervolumeStep], *, narrow: bool = False, dark: bool = False
) -> go.Figure:
    """Draw a staircase of the volume by candidate measured; the original alone is 1.

    Filled markers raised the volume, hollow ones did not. ``customdata[0]`` is the candidate's id.
    """
    colours = theme(dark)
    highest = max((step.value for step in history), default=0.0)
    figure = go.Figure()
    figure.add_scatter(
        x=list(range(1, len(history) + 1)),
        y=[step.value for step in history],
        name="volume",
        mode="lines",
        line={"shape": "hv", "color": colours.primary, "width": 2},
        fill="tozeroy",
        fillcolor=colours.fill,
        hoverinfo="skip",
        showlegend=False,
    )
    _add_steps(figure, history, colours)
    figure.add_hline(y=1, line={"color": colours.guide, "width": 1, "dash": "dot"})
    if history:
        figure.add_annotation(
            x=len(history),
            y=highest,
            text=f"<b>{words.digits(highest)}</b>",
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            yshift=3,
            font={"color": colours.primary, "size": 13},
        )
    _lay_out(figure, len(history), highest, colours, narrow=narrow)
    return figure


def _add_steps(figure: go.Figure, history: Sequence[HypervolumeStep], colours: ChartTheme) -> None:
    """Draw a marker for each candidate; of a long history only for those that raised the volume."""
    before = [0.0, *(step.value for step in history)]
    steps = [
        (i, step, step.value > last)
        for i, (step, last) in enumerate(zip(history, before, strict=False), start=1)
    ]
    marked = [each for each in steps if each[2] or len(history) <= MOST_MARKED]
    figure.add_scatter(
        x=[i for i, _, _ in marked],
        y=[step.value for _, step, _ in marked],
        name="steps",
        mode="markers",
        marker={
            "size": 7,
            "color": [colours.primary if up else colours.background for _, _, up in marked],
            "line": {"color": colours.primary, "width": 1.4},
        },
        customdata=[
            [
                step.candidate_id,
                escape(step.words),
                "raised the front" if up else "no gain for the front",
            ]
            for _, step, up in marked
        ],
        hovertemplate="<b>%{customdata[1]}</b><br>hypervolume %{y:.2f}<br>"
        "%{customdata[2]}<extra></extra>",
        showlegend=False,
    )


def _lay_out(
    figure: go.Figure, candidates: int, highest: float, colours: ChartTheme, *, narrow: bool
) -> None:
    last = max(candidates, 2)
    ticks = [t for t in even_ticks(1, last, 6 if narrow else 10) if t == round(t)]
    figure.update_layout(
        template=colours.template,
        uirevision="hypervolume",
        height=230,
        margin={"l": 56, "r": 14, "t": 14, "b": 48},
        hovermode="closest",
        xaxis={
            "title": {"text": "Candidates measured, in order"},
            "tickvals": ticks,
            "range": [0.6, last + 0.4],
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
