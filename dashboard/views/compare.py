"""Compare: two to four candidates side by side, down to the examples whose answer changed."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import charts, live, loaders
from dashboard.charts import PLOT_CONFIG
from dashboard.compare import flips
from dashboard.explore import tables
from dashboard.state import keys as state
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.candidate import Candidate, Role
from optim.errors import OptimError
from optim.jobs.job import JobKind
from optim.task.task import Task


def page() -> None:
    """Draw the page."""
    task = loaders.task(state.model())
    live.begin(task.name)
    st.title("Compare", anchor=False)
    st.caption(f"{plain(task.title)} · choose two to four candidates; the first is the reference.")
    live.show_note()
    measured = {c.id: c for c in loaders.candidates(task.name) if c.measured}
    live.jobs_panel(task.name, (JobKind.MAKE, JobKind.MEASURE), key="compared")
    if len(measured) < 2:
        st.info(
            "Two measured candidates are needed. The Explore page measures them.",
            icon=":material/hourglass_empty:",
        )
        return
    chosen = [measured[name] for name in _choose(task, measured)]
    if len(chosen) < 2:
        st.info("Choose at least two candidates above.", icon=":material/compare_arrows:")
        return
    _warn_of_environments(chosen)
    st.table(tables.metrics_table(chosen), border="horizontal")
    st.plotly_chart(
        charts.metrics_figure(chosen, loaders.baseline(task.name) or chosen[0], **_looks()),
        theme=None,
        key="metrics",
        config=PLOT_CONFIG,
        alt="Latency, file size and accuracy lost of the chosen candidates, as in the table above.",
    )
    answers = {c.id: loaders.predictions(c) for c in chosen}
    if unknown := [c for c in chosen if answers[c.id] is None]:
        _offer_measuring(unknown)
        return
    known = {name: each for name, each in answers.items() if each is not None}
    if task.metric.of_classes and task.metric.needs_labels:
        _per_class(task, chosen, known)
        if task.dataset.folder is None:  # how to draw an example is known of what ships
            flips.panel(task, chosen, known)


def _choose(task: Task, measured: dict[str, Candidate]) -> list[str]:
    """Draw the picker and return the picked ids; the link decides with which it opens."""
    if state.COMPARE_BOX not in st.session_state:
        st.session_state[state.COMPARE_BOX] = state.compared(measured) or _opening(task, measured)
    kept = [name for name in st.session_state[state.COMPARE_BOX] if name in measured]
    st.session_state[state.COMPARE_BOX] = kept
    return st.multiselect(
        "Candidates",
        list(measured),
        format_func=lambda name: measured[name].words(),
        key=state.COMPARE_BOX,
        max_selections=state.MOST_COMPARED,
        on_change=state.keep_compared_in_url,
        select_all=False,
    )


def _opening(task: Task, measured: dict[str, Candidate]) -> list[str]:
    """Return the original and the candidate that Explore recommends."""
    advice = loaders.recommendation(task.name, state.limits(task.metric))
    best = advice.candidate if advice else None
    ids = [name for name, c in measured.items() if c.role is Role.BASELINE]
    ids += [best.id] if best else []
    return list(dict.fromkeys([*ids, *measured]))[:2]


def _warn_of_environments(chosen: list[Candidate]) -> None:
    places = {c.latency.environment.words() for c in chosen if c.latency}
    if len(places) > 1:
        st.warning(
            "These latencies were measured in different places and do not compare: "
            + plain("; ".join(sorted(places))),
            icon=":material/warning:",
        )


def _offer_measuring(unknown: list[Candidate]) -> None:
    names = ", ".join(plain(c.words()) for c in unknown)
    st.info(f"The single answers of {names} are not known yet.", icon=":material/quiz:")
    st.button(
        "Measure now",
        key="measure_answers",
        type="primary",
        icon=":material/timer:",
        on_click=_measure,
        args=([c.id for c in unknown],),
    )


def _measure(ids: list[str]) -> None:
    try:
        for name in ids:
            live.watch(loaders.workspace().submit_measure(name))
    except OptimError as error:
        live.say(str(error))


def _per_class(task: Task, chosen: list[Candidate], answers: dict[str, np.ndarray]) -> None:
    st.header("Accuracy by class", anchor=False, help=what_is("Accuracy"))
    truth = loaders.test_split(task.name).targets
    series = [charts.class_accuracy(c, answers[c.id], truth, task.labels) for c in chosen]
    st.plotly_chart(
        charts.per_class_figure(series, **_looks()),
        theme=None,
        key="per_class",
        config=PLOT_CONFIG,
        alt="; ".join(flips.worst_class(series[0], other) for other in series[1:]),
    )


def _looks() -> dict[str, bool]:
    return {"narrow": state.is_narrow(), "dark": state.is_dark()}


if __name__ == "__main__":  # streamlit runs it so; a test imports it
    page()
