"""The channel part of the Layers page: which channels matter, and how many each layer keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from dashboard import charts, loaders
from dashboard.charts import PLOT_CONFIG
from dashboard.charts.pruning import MOST_COLOURED
from dashboard.layers import channel_mix, layer_mix
from dashboard.layers import inside as looking
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.channels import redundancy_sentences
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.analysis.channel_cuts import source_recipe, tells_its_cuts
from optim.candidate import Candidate
from optim.jobs.job import JobKind
from optim.recipe import Prune, Recipe
from optim.store.analyses import AnalysisKind
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.analysis.pruning_curves import PruningCurves

T = TypeVar("T", bound=str)

KIND = AnalysisKind.PRUNING


def panel(task: Task, candidate: Candidate) -> None:
    """Draw curves, redundant layers in words, sliders and budget; or how to find the curves out."""
    wanted = source_recipe(candidate.recipe)
    source = loaders.candidate_of(task.name, wanted)
    st.header("Which channels matter?", anchor=False, help=what_is("Pruning curves"))
    _what_is_cut(candidate, wanted)
    if source is None or source.artifact is None:
        _make_first(task, candidate, wanted)
        return
    curves: PruningCurves | None = loaders.analysis(source, KIND)
    if curves is None:
        _offer(task, source)
        return
    _show(curves)
    st.header("Set how many channels each layer loses", anchor=False)
    channel_mix.panel(task, candidate, curves)


def _what_is_cut(candidate: Candidate, source: Recipe) -> None:
    """Draw which network the curves are of, where it is not the candidate itself."""
    if candidate.recipe.step(Prune) is None:
        return
    told = (
        "the sliders stand at what each layer has lost"
        if tells_its_cuts(candidate.recipe)
        else "its recipe does not say what each layer lost, so the sliders begin at whole layers"
    )
    st.caption(
        f"This candidate is pruned already. Channels are planned on the network that it was made "
        f"from ({plain(source.words())}); {told}."
    )


def _make_first(task: Task, candidate: Candidate, wanted: Recipe) -> None:
    st.info(
        f"The network to prune, {plain(wanted.words())}, is not made yet.",
        icon=":material/hourglass_empty:",
    )
    st.button(
        "Make it",
        key="make_source",
        icon=":material/timer:",
        on_click=layer_mix.measure,
        args=(task.name, wanted, candidate.id),
    )


def _offer(task: Task, source: Candidate) -> None:
    """Draw the button that measures the curves; nothing while that is under way."""
    missing = ((source, KIND),)
    for job in looking.failed_looks(missing):
        st.warning(plain(job.error or "The curves could not be measured."), icon=":material/block:")
    if any(
        j.payload.get("analysis") == KIND for j in loaders.live_jobs(task.name, JobKind.ANALYSE)
    ):
        st.caption("The curves are being measured; closing this page loses nothing.")
        return
    seconds = words.about(looking.seconds_to_look(missing, loaders.jobs()))
    with st.container(border=True, key="offer_curves"):
        st.markdown(
            "**Nobody has measured that yet.** Each layer alone loses more and more of its "
            "channels, and after each step the answers to validation examples are counted. Nothing "
            "is trained, and the test examples are not touched."
        )
        st.button(
            f"Measure the pruning curves ({seconds})",
            key="measure_curves",
            type="primary",
            icon=":material/search:",
            on_click=looking.submit,
            args=([(source.id, KIND)],),
        )


def _show(curves: PruningCurves) -> None:
    chart, told = st.columns([0.68, 0.32], gap="medium")
    with chart:
        _chart(curves)
    with told:
        st.subheader("Redundant layers", anchor=False)
        for sentence in redundancy_sentences(curves):
            st.markdown(f"- {plain(sentence)}")
        st.caption("Alone means: the rest stayed whole. Cuts in several layers add up.")


def _chart(curves: PruningCurves) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        kind = _choice("What the chart shows", state.CHANNEL_CHARTS, state.CHANNEL_CHART)
        cost = _choice("Cost as", state.CHANNEL_COSTS, state.CHANNEL_COST)
    narrow, dark = state.is_narrow(), state.is_dark()
    if kind == "Curves":
        picked = _picked(curves)
        figure = charts.pruning_figure(curves, picked=picked, cost=cost, narrow=narrow, dark=dark)
    else:
        figure = charts.pruning_map(curves, cost=cost, narrow=narrow, dark=dark)
    st.plotly_chart(
        figure, theme=None, key="pruning", config=PLOT_CONFIG, alt=charts.pruning_alt(curves)
    )
    empty = " Empty cells were not measured." if kind != "Curves" else ""
    st.caption(_how(curves) + empty)


def _choice(label: str, options: tuple[T, ...], key: str) -> T:
    """Return a choice that stands in the link."""
    return st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        key=key,
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
    )


def _picked(curves: PruningCurves) -> list[str]:
    """Return layers to draw in colour; asked only where not all are."""
    if len(curves.curves) <= MOST_COLOURED:
        return []
    return st.multiselect(
        "Layers in colour",
        [curve.layer for curve in curves.curves],
        key=state.HIGHLIGHTED,
        max_selections=MOST_COLOURED,
        placeholder="the most and the least sensitive",
    )


def _how(curves: PruningCurves) -> str:
    """Return how the curves were found, and what one answer is worth."""
    one = words.points(1 / curves.n).removeprefix("+")
    told = (
        f"One layer pruned at a time, nothing trained; batch norms are re-estimated. Accuracy and "
        f"loss on {curves.n:,} validation examples in FP32: one answer is {one}. Channels leave in "
        f"blocks, by the criterion {plain(curves.criterion.upper())}."
    )
    if any(point.latency_ms is not None for c in curves.curves for point in c.points):
        told += " Latencies are predicted from measured times of single layers."
    return told
