"""Layers: which one takes the time, which one cannot bear few bits, and what to do about it."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, live, loaders
from dashboard.charts import PLOT_CONFIG
from dashboard.layers import budgets, insights, layer_mix, placing, pruning_panel
from dashboard.layers import inside as looking
from dashboard.layers.inside import Inside
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.candidate import Candidate
from optim.jobs.job import JobKind
from optim.recipe import INTEGER_PRECISIONS, MixedPrecision
from optim.task.task import Task


def page() -> None:
    """Draw the page."""
    task = loaders.task(state.model())
    live.begin(task.name)
    st.title("Layers", anchor=False)
    st.caption(f"{plain(task.title)} · what every layer costs, and what it could cost.")
    live.show_note()
    made = {c.id: c for c in loaders.candidates(task.name) if c.artifact is not None}
    if not made:
        live.jobs_panel(task.name, (JobKind.PREBUILT,), key="first_figures")
        st.info(
            "No candidate is made yet. The Explore page makes the first ones by itself.",
            icon=":material/hourglass_empty:",
        )
        return
    candidate = _choose(task, made)
    _against(task, candidate)
    setting = st.segmented_control(
        "What to set",
        state.LAYER_SETTINGS,
        default=state.LAYER_SETTINGS[0],
        required=True,
        key=state.LAYER_SETTING,
        bind="query-params",
        persist_state="session",
        help=what_is("What to set"),
    )
    live.jobs_panel(
        task.name, (JobKind.ANALYSE, JobKind.MAKE, JobKind.MEASURE), key="looking_inside"
    )
    if setting == "Channels":
        pruning_panel.panel(task, candidate)
        return
    found = looking.look(task, candidate)
    looking.offer(task, found)
    if found.known:
        _answers(task, found)
    else:
        placing.panel(task, found)


def _choose(task: Task, made: dict[str, Candidate]) -> Candidate:
    """Draw the picker and return its candidate; the link decides with which the page opens."""
    chosen = made.get(state.selected() or "") or _opening(task, made)
    st.session_state[state.LAYERS_BOX] = chosen.id
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox(
            "Candidate",
            list(made),
            format_func=lambda name: made[name].words(),
            key=state.LAYERS_BOX,
            on_change=lambda: state.select(st.session_state[state.LAYERS_BOX]),
        )
        st.page_link(
            state.EXPLORE,
            label="See it on the front",
            icon=":material/scatter_plot:",
            query_params={state.MODEL: task.name, state.CANDIDATE: chosen.id},
        )
    return chosen


def _opening(task: Task, made: dict[str, Candidate]) -> Candidate:
    """Return the recommended candidate if it is in integers, else the fastest that is."""
    advice = loaders.recommendation(task.name, state.limits(task.metric))
    best = advice.candidate if advice else None
    whole = [c for c in made.values() if c.measured and c.recipe.precision in INTEGER_PRECISIONS]
    if best is not None and best in whole:
        return best
    fastest = max(whole, key=lambda c: c.latency.speedup if c.latency else 0.0, default=None)
    return fastest or next(iter(made.values()))


def _against(task: Task, candidate: Candidate) -> None:
    """Draw the difference from the candidate that a mix was made from."""
    uniform = candidate.recipe.without(MixedPrecision)
    other = loaders.find(task.name, st.session_state.get(state.MIXED_FROM))
    if other is None or other.id == candidate.id:
        other = loaders.candidate_of(task.name, uniform)
    if other is None or other.id == candidate.id or not (candidate.measured and other.measured):
        return
    st.markdown(
        f":material/compare_arrows: Against {plain(other.words())}: "
        f"**{plain(layer_mix.difference(candidate, other))}**."
    )


def _answers(task: Task, found: Inside) -> None:
    speed, loss = st.columns(2, gap="large")
    with speed:
        insights.why_slow(task, found)
        placing.panel(task, found)
    with loss:
        insights.where_the_accuracy_went(task, found)
    _chart(found)
    rows = found.rows()
    if rows:
        st.header("Set the precision of single layers", anchor=False)
        table, budget = st.columns([0.72, 0.28], gap="medium")
        with budget:
            budgets.panel(found, layer_mix.mix_of(found.candidate, rows))
        with table:
            layer_mix.panel(task, found, rows)
    insights.what_fused(found)


def _chart(found: Inside) -> None:
    st.header("Layer by layer", anchor=False, help=what_is("Sensitivity"))
    narrow = state.is_narrow()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        panels = charts.PANELS
        if narrow:
            panel = st.segmented_control(
                "What the chart shows",
                state.LAYER_PANELS,
                default="time",
                required=True,
                key=state.LAYER_PANEL,
                bind="query-params",
                persist_state="session",
                label_visibility="collapsed",
            )
            panels = (panel,)
        measure = st.segmented_control(
            "Sensitivity as",
            state.SENSITIVITIES,
            default="noise",
            required=True,
            key=state.SENSITIVITY,
            bind="query-params",
            persist_state="session",
            label_visibility="collapsed",
        )
    rows, rest = found.rows(), found.rest()
    st.plotly_chart(
        charts.layers_figure(
            rows, rest, panels=panels, sensitivity=measure, narrow=narrow, dark=state.is_dark()
        ),
        theme=None,
        key="layers",
        config=PLOT_CONFIG,
        alt=charts.layers_alt(rows, rest),
    )
    st.caption(_where(found))


def _where(found: Inside) -> str:
    """Return where the figures come from."""
    parts = [f"Measured on {plain(words.environment(loaders.environment()))}"]
    if found.profile is not None:
        parts.append(
            f"times by the engine's own profiler, the median of {found.profile.runs} runs; it adds "
            "some time itself, so compare layers with each other"
        )
    if found.sensitivity is not None:
        n = found.sensitivity.n
        one = words.points(1 / n).removeprefix("+")
        parts.append(
            f"sensitivity on {n:,} validation examples, one layer quantized at a time: there one "
            f"answer is {one} of accuracy, and the noise tells layers apart that it cannot"
        )
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


if __name__ == "__main__":  # streamlit runs it so; a test imports it
    page()
