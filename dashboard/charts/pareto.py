"""The Pareto plot: accuracy against latency or size, and what it says in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

from dashboard import words
from dashboard.charts.theme import METHOD_SYMBOLS, theme
from optim.candidate import Candidate
from optim.search.pareto import Front, Limits, Objective, ranked_front
from optim.search.predict import Prediction
from optim.store.job import JobState

Axis = Literal["latency", "size"]


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A candidate that is on its way or has failed, where it is predicted to be."""

    candidate_id: str
    words: str
    state: JobState
    prediction: Prediction


def pareto_figure(
    front: Front | Sequence[Candidate],
    *,
    x: Axis = "latency",
    limits: Limits | None = None,
    prediction: Prediction | None = None,
    pending: Sequence[Pending] = (),
    selected: str | None = None,
    recommended: str | None = None,
    show_dominated: bool = True,
    log_x: bool | None = None,
    iso_lines: bool = False,
    show_hypervolume: bool = False,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw a front: accuracy upwards, latency or size to the right.

    ``customdata[0]`` of every clickable point is the candidate's id.

    Args:
        front: as ranked by ``ranked_front``; plain candidates are ranked by latency, size and
            accuracy first.
        x: what the horizontal axis shows.
        limits: drawn and shaded; the front's own if left out.
        prediction: the hollow point of the sliders.
        pending: candidates in the queue or failed, hollow too.
        selected, recommended: ids to ring.
        log_x: None chooses a logarithmic axis if the largest value is above 20 times the smallest.
        iso_lines: lines at 1x, 2x and 4x the baseline's speed (or smallness).
        show_hypervolume: fill the area up to the reference point, and show that point.
        narrow: for phones.
    """
    ranked = front if isinstance(front, Front) else ranked_front(front, tuple(Objective), limits)
    colours = theme(dark)
    figure = go.Figure()
    drawn = ranked.measured if show_dominated else ranked.members + ranked.tied
    figure.add_scatter(
        x=[c.latency.p50_ms if x == "latency" else c.artifact.size_bytes / 1e6 for c in drawn],
        y=[100 * c.accuracy.value for c in drawn],
        mode="markers",
        marker={
            "symbol": [METHOD_SYMBOLS[words.method(c.recipe)] for c in drawn],
            "color": [colours.methods[words.method(c.recipe)] for c in drawn],
            "size": 12,
        },
        customdata=[[c.id] for c in drawn],
    )
    figure.update_layout(template=colours.template, uirevision="pareto", height=420)
    return figure


def alt_text(
    front: Front | Sequence[Candidate],
    *,
    x: Axis = "latency",
    prediction: Prediction | None = None,
    recommended: str | None = None,
) -> str:
    """The plot in sentences, with its numbers, for people who do not see it."""
    ranked = front if isinstance(front, Front) else ranked_front(front, tuple(Objective))
    return f"{len(ranked.members)} of {len(ranked.measured)} candidates are on the front."


def caption(front: Front) -> str:
    """What the front is computed in, and how many candidates are where; stands under the plot."""
    return f"Front in {', '.join(front.objectives)}."


def notice(front: Front) -> str | None:
    """What to say where the plot alone would mislead: fewer than two points, nothing gained."""
    return None if len(front.measured) > 1 else "Only one candidate is measured so far."
