"""The answers of the Layers page: why it is not faster, where accuracy went, what fused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import charts, loaders
from dashboard.charts import PLOT_CONFIG
from dashboard.layers.inside import Inside
from dashboard.layers.layer_mix import bytes_change, measure
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.recipe import Precision
from optim.recipe.edit import precisions_of, with_precisions
from optim.task.metric_words import change_words
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.analysis.remedies import Remedy
    from optim.analysis.waterfall import KeptInFloat, Waterfall
    from optim.engines.profile import Profile

MOST_KEPT = 4
SHARES = (0.74, 0.26)
"""Width of a proposal and of its button."""
FOLDS_AT_LOAD = (
    "ONNX Runtime folds batch norms, constants and activations by itself whenever it loads a file, "
    "for the original as for this one (ORT_ENABLE_ALL). So fusing in the file makes it tidier and "
    "quicker to load, not faster to run, and no speed-up on these pages is due to it."
)


def why_slow(task: Task, found: Inside) -> None:
    """Draw the diagnosis in sentences, and remedies, with a button where a recipe does it."""
    st.header("Why is it not faster?", anchor=False, help=what_is("Overhead"))
    diagnosis = loaders.diagnosis(found.candidate)
    if diagnosis is None:
        st.caption("Not looked at yet.")
        return
    for sentence in diagnosis.sentences:
        st.markdown(f"- {plain(sentence)}")
    if not diagnosis.sentences:
        st.caption("This file is in FP32: the engine runs every layer as well as it can.")
    with st.container(gap="xxsmall", key="remedies"):
        for i, remedy in enumerate(diagnosis.remedies):
            _remedy(task, found, remedy, f"remedy_{i}")


def _remedy(task: Task, found: Inside, remedy: Remedy, key: str) -> None:
    text, action = st.columns(SHARES, vertical_alignment="center")
    given = "" if remedy.speedup is None else f" Measured: {words.faster(remedy.speedup)}."
    text.markdown(f":material/healing: {plain(remedy.words + given)}")
    if remedy.recipe is not None:
        action.button(
            "Show it" if remedy.speedup is not None else "Try it",
            key=key,
            type="tertiary",
            icon=":material/timer:",
            on_click=measure,
            args=(task.name, remedy.recipe, found.candidate.id),
        )


def where_the_accuracy_went(task: Task, found: Inside) -> None:
    """Draw the waterfall, and what keeping single layers in FP32 would win back."""
    st.header("Where did the accuracy go?", anchor=False, help=what_is("Waterfall"))
    waterfall = found.waterfall
    if waterfall is None:
        st.caption(
            "Not looked at yet."
            if found.candidate.recipe.precision is not Precision.FP32
            else "Nowhere: this file is in FP32. Choose a quantized candidate above."
        )
        return
    st.plotly_chart(
        charts.waterfall_figure(
            waterfall.stages,
            n=waterfall.n,
            metric=waterfall.scored_by,
            narrow=state.is_narrow(),
            dark=state.is_dark(),
        ),
        theme=None,
        key="waterfall",
        config=PLOT_CONFIG,
        alt=charts.waterfall_alt(waterfall.stages, n=waterfall.n, metric=waterfall.scored_by),
    )
    st.caption(_resolution(waterfall))
    _kept(task, found, waterfall)


def _resolution(waterfall: Waterfall) -> str:
    """Return how much of the result could be chance."""
    if not waterfall.scored_by.right_or_wrong:
        return f"Measured on {waterfall.n:,} validation examples."
    one = words.points(1 / waterfall.n).lstrip("+")
    return (
        f"Measured on {waterfall.n:,} validation examples: one answer more or less is {one}, so "
        "steps of a few answers may be luck."
    )


def _kept(task: Task, found: Inside, waterfall: Waterfall) -> None:
    recipe = found.candidate.recipe
    precisions = precisions_of(recipe, [row.layer for row in found.rows()])
    with st.container(gap="xxsmall", key="kept"):
        for i, layer in enumerate(waterfall.layers[:MOST_KEPT]):
            text, action = st.columns(SHARES, vertical_alignment="center")
            text.markdown(
                f"Keep **{plain(layer.layer)}** in FP32: {plain(kept_words(layer, waterfall))}"
            )
            mix = with_precisions(recipe, {**precisions, layer.layer: Precision.FP32})
            action.button(
                "Measure it",
                key=f"keep_{i}",
                type="tertiary",
                icon=":material/timer:",
                on_click=measure,
                args=(task.name, mix, found.candidate.id),
            )


def kept_words(layer: KeptInFloat, waterfall: Waterfall) -> str:
    """Return what keeping a layer in FP32 gives and takes."""
    time = words.latency(abs(layer.time_ms))
    slower = f"{time} {'slower' if layer.time_ms > 0 else 'faster'}" if layer.time_ms else "as fast"
    metric = waterfall.scored_by
    gain = (
        words.points(layer.score_gain)
        if metric.right_or_wrong
        else change_words(metric, layer.score_gain, waterfall.n)
    )
    return f"{gain} on validation, {slower}, {bytes_change(layer.size_bytes)}"


def what_fused(found: Inside) -> None:
    """Draw the kernels that the engine made of the layers, and what it left in float."""
    st.header("What fused?", anchor=False, help=what_is("Fusion"))
    if found.profile is None:
        st.caption("Not looked at yet.")
    else:
        st.markdown(_in_short(found.profile))
        st.table(kernels_table(found.profile), border="horizontal")
        left = left_in_float(found.profile)
        if left["Left in float"]:
            st.table(left, border="horizontal")
    st.caption(FOLDS_AT_LOAD)


def _in_short(profile: Profile) -> str:
    layers = {o.layer: o.precision for o in profile.operators if o.layer and not o.overhead}
    whole = sum(precision == "int8" for precision in layers.values())
    overhead = sum(o.time_ms for o in profile.operators if o.overhead)
    share = words.percent(round(overhead / profile.total_ms, 2)) if profile.total_ms else "0 %"
    return (
        f"{whole} of {len(layers)} layers run in integers. Conversions and reordering around "
        f"them take {share} of the time."
    )


def kernels_table(profile: Profile) -> dict[str, list[str]]:
    """Return kernels by name: how many, in what they compute, and their share of the time."""
    groups: dict[tuple[str, str], list[float]] = {}
    for operator in profile.operators:
        groups.setdefault((operator.kernel, operator.precision), []).append(operator.time_ms)
    ordered = sorted(groups.items(), key=lambda item: -sum(item[1]))
    total = profile.total_ms or 1.0
    return {
        "Kernel": [plain(f"{len(times)} {kernel}") for (kernel, _), times in ordered],
        "Computes in": [plain(p.upper()) or "moves data" for (_, p), _ in ordered],
        "Time": [plain(words.latency(sum(times))) for _, times in ordered],
        "Share": [words.percent(round(sum(times) / total, 2)) for _, times in ordered],
    }


def left_in_float(profile: Profile) -> dict[str, list[str]]:
    """Return what computes in float in a quantized file, with the reason."""
    left = sorted((o for o in profile.operators if o.reason), key=lambda o: -o.time_ms)
    return {
        "Left in float": [plain(o.operator or o.kernel) for o in left],
        "Layer": [plain(o.layer) or words.NOTHING for o in left],
        "Why": [plain(o.reason) for o in left],
        "Time": [plain(words.latency(o.time_ms)) for o in left],
    }
