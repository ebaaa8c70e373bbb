"""Explore: choose a model, move two sliders, see measured Pareto plots."""

from __future__ import annotations

import streamlit as st

from dashboard import live, loaders
from dashboard.explore import controls, learn, plots
from dashboard.explore.card import card
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.markup import plain
from optim.candidate import Candidate
from optim.jobs.job import JobKind
from optim.search.pareto import Front
from optim.search.recommend import Recommendation
from optim.task.task import Task


def page() -> None:
    """Draw the page."""
    task = loaders.task(state.model())
    live.begin(task.name)
    header = st.container()
    live.show_note()
    left, right = st.columns([0.29, 0.71], gap="medium")
    recipe_place, limits_place = left.container(), left.container()
    if state.is_narrow():  # where columns become rows, the plot comes before the limits
        limits_place = st.container()
    with limits_place:  # first in the script: a link's limits are known once their fields are
        controls.limits(task)
    limits = state.limits(task.metric)
    front = loaders.front(task.name, limits)
    advice = loaders.recommendation(task.name, limits) if front.measured else None
    with header:
        _header(task, front)
    with recipe_place:
        controls.panel(task)
    with right:
        live.jobs_panel(task.name, (JobKind.PREBUILT,), key="first_figures")
        if front.measured:
            _plots_and_card(task, front, advice)
        else:
            _empty(task)
    if front.measured:
        learn.strip(task)


def _header(task: Task, front: Front) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="header"):
        with st.container(gap="xxsmall"):
            st.title("Explore", anchor=False)
            measured = len(front.measured)
            st.caption(
                " · ".join(
                    (
                        plain(task.title),
                        f"{words.count(task.parameters)} parameters",
                        f"{_test_examples(front)}",
                        f"measured here: {plain(words.environment(loaders.environment()))}",
                        "1 candidate" if measured == 1 else f"{measured} candidates",
                    )
                )
            )
        with st.popover("Share", icon=":material/link:"):
            st.markdown("This address shows the same view again, on this machine:")
            st.code(state.link(), language=None, wrap_lines=True)
            st.caption("Closing the tab loses nothing: jobs go on and their results are kept.")


def _test_examples(front: Front) -> str:
    accuracy = next((c.score for c in front.measured if c.score), None)
    return "test split" if accuracy is None else f"{accuracy.n:,} test examples"


def _plots_and_card(task: Task, front: Front, advice: Recommendation | None) -> None:
    recommended = advice.candidate if advice else None
    plots.panel(task, front, recommended=recommended.id if recommended else None)
    if advice is not None and advice.candidate is None:
        st.warning(f"{plain(advice.reason)} {plain(advice.relax)}", icon=":material/tune:")
    shown = _shown(task, front, recommended)
    if shown is not None:
        card(shown, front, advice, task)


def _shown(task: Task, front: Front, recommended: Candidate | None) -> Candidate | None:
    """Return the candidate that the link names, else the recommended one, else the original."""
    return loaders.find(task.name, state.selected()) or recommended or front.baseline


def _empty(task: Task) -> None:
    with st.container(border=True, key="empty"):
        st.markdown("## The first points are on their way")
        st.markdown(
            f"{plain(task.title)} comes with prebuilt candidates. They are timed now on this "
            "machine, interleaved with the original; the first appears within seconds. Latency "
            "belongs to a machine, so none is shipped."
        )
        st.caption("You may close this tab: the work goes on, and this address shows it again.")


if __name__ == "__main__":  # streamlit runs it so; a test imports it
    page()
