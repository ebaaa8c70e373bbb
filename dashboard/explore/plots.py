"""The plots of Explore, their toggles, and the table that says the same for keyboards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from dashboard import charts, loaders
from dashboard.charts import PLOT_CONFIG, Pending
from dashboard.explore.tables import candidate_table
from dashboard.state import keys as state
from dashboard.words.glossary import what_is
from optim.jobs.job import JobKind
from optim.search.pareto import Front
from optim.search.predict import Prediction
from optim.task.task import Task

PLOT_HEIGHT = 380
"""Pixels: the card begins above the fold of a small laptop."""
LOG = {"auto": None, "log": True, "linear": False}


def panel(task: Task, front: Front, *, recommended: str | None) -> None:
    """Draw the four tabs; only the open one is computed."""
    tabs = st.tabs(list(state.TABS), key=state.TAB, bind="query-params")
    for i, tab in enumerate(tabs):
        if not tab.open:
            continue
        with tab:
            match i:
                case 0:
                    _pareto(task, front, "latency", recommended=recommended)
                case 1:
                    _pareto(task, front, "size", recommended=recommended)
                case 2:
                    _all_three(task, front)
                case _:
                    candidate_table(front, baseline=loaders.baseline(task.name), key="table")


def _pareto(
    task: Task, front: Front, x: Literal["latency", "size"], *, recommended: str | None
) -> None:
    on_their_way = loaders.live_jobs(task.name, JobKind.PREBUILT)
    if (notice := charts.notice(front)) and not on_their_way:
        st.info(notice, icon=":material/info:")
    plot, options = st.container(), st.container()
    with options:
        log, dominated, iso, volume = _options()
    prediction = _predicted_point(task)
    figure = charts.pareto_figure(
        front,
        x=x,
        prediction=prediction,
        pending=_pending(task),
        selected=state.selected(),
        recommended=recommended,
        show_dominated=dominated,
        log_x=LOG[log],
        iso_lines=iso,
        show_hypervolume=volume,
        narrow=state.is_narrow(),
        height=None if state.is_narrow() else PLOT_HEIGHT,
        dark=state.is_dark(),
    )
    key = f"pareto_{task.name}_{x}"
    with plot:
        st.plotly_chart(
            figure,
            theme=None,
            key=key,
            on_select=_selects(key),
            selection_mode="points",
            config=PLOT_CONFIG,
            alt=charts.alt_text(front, x=x, prediction=prediction, recommended=recommended),
        )
    with options:
        st.caption(charts.caption(front))
        if volume:
            _volume(task)


def _options() -> tuple[str, bool, bool, bool]:
    """Return the row of toggles below a plot."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="plot_row"):
        dominated = st.toggle(
            "Dominated",
            value=True,
            key=state.SHOW_DOMINATED,
            bind="query-params",
            persist_state="session",
            help=what_is("Dominated"),
        )
        iso = st.toggle(
            "1x, 2x, 4x lines", key=state.ISO_LINES, bind="query-params", persist_state="session"
        )
        volume = st.toggle(
            "Hypervolume",
            key=state.HYPERVOLUME,
            bind="query-params",
            persist_state="session",
            help=what_is("Hypervolume"),
        )
        log = st.segmented_control(
            "Horizontal axis",
            state.LOG_CHOICES,
            default="auto",
            required=True,
            key=state.LOG_AXIS,
            bind="query-params",
            persist_state="session",
            label_visibility="collapsed",
        )
    return log, dominated, iso, volume


def _all_three(task: Task, front: Front) -> None:
    kind = st.segmented_control(
        "Kind of plot",
        state.THREE_KINDS,
        default="matrix",
        required=True,
        format_func={"matrix": "Matrix", "3d": "3-D", "parallel": "Parallel lines"}.__getitem__,
        key=state.THREE_KIND,
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
    )
    figure = charts.three_objectives_figure(
        front, kind, selected=state.selected(), narrow=state.is_narrow(), dark=state.is_dark()
    )
    key = f"three_{task.name}_{kind}"
    shared: dict[str, Any] = {
        "theme": None, "key": key, "config": PLOT_CONFIG, "alt": charts.alt_text(front)
    }  # fmt: skip
    if kind == "matrix":
        st.plotly_chart(figure, on_select=_selects(key), selection_mode="points", **shared)
        st.caption(what_is("Three objectives"))
    else:  # these two kinds tell no clicks
        st.plotly_chart(figure, **shared)
        st.caption(f"{what_is('Three objectives')} Choose a candidate in the table.")
        candidate_table(front, baseline=loaders.baseline(task.name), key="three_table", height=220)


def _volume(task: Task) -> None:
    history = loaders.volume_history(task.name)
    if not history:
        return
    st.plotly_chart(
        charts.hypervolume_figure(history, narrow=state.is_narrow(), dark=state.is_dark()),
        theme=None,
        key=f"volume_{task.name}",
        config=PLOT_CONFIG,
        alt=f"The hypervolume of the front after {len(history)} candidates is "
        f"{history[-1].value:.2f} times that of the original alone.",
    )


def _predicted_point(task: Task) -> Prediction | None:
    """Return the prediction of the sliders' candidate; None if it is measured already."""
    recipe = state.recipe(task)
    known = loaders.candidate_of(task.name, recipe)
    if known is not None and (known.measured or known.refusal is not None):
        return None
    return loaders.prediction(task.name, recipe)


def _pending(task: Task) -> list[Pending]:
    """Return the candidates that jobs are making, where they are predicted to be."""
    pending = []
    for job in loaders.live_jobs(task.name, JobKind.MAKE):
        recipe = job.recipe
        if recipe is None:
            continue
        known = loaders.candidate_of(task.name, recipe)
        guess = loaders.prediction(task.name, recipe)
        if known is not None and guess is not None and recipe != state.recipe(task):
            pending.append(
                Pending(
                    candidate_id=known.id, words=known.words(), state=job.state, prediction=guess
                )
            )
    return pending


def _selects(key: str) -> Callable[[], None]:
    """Return a callback that opens the card of the clicked point."""

    def select() -> None:
        points = st.session_state[key].selection.points
        ids = [point["customdata"][0] for point in points if point.get("customdata")]
        if ids:
            state.select(str(ids[0]))

    return select
