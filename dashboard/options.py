"""What stands under "More" beside the sliders: every other choice, in three groups."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard import state
from dashboard.glossary import what_is
from dashboard.settings import MOST_BLOCKS, with_quantize
from optim.recipe.presets import PRESETS
from optim.task import Task


def presets() -> None:
    """Three tried sets of choices; the one that the sliders show is lit, if it is one of them."""
    step = state.settings().quantize()
    training = state.settings().training
    lit = next((name for name, own in PRESETS.items() if own == step and not training), None)
    st.session_state[state.PRESET_BOX] = lit
    st.segmented_control(
        "Preset",
        list(PRESETS),
        format_func=lambda name: name.capitalize(),
        key=state.PRESET_BOX,
        on_change=_take_preset,
        width="stretch",
        label_visibility="collapsed",
    )


def _take_preset() -> None:
    name = st.session_state[state.PRESET_BOX]
    if name in PRESETS:
        state.show_settings(with_quantize(replace(state.settings(), training=0.0), PRESETS[name]))


def popover(task: Task) -> None:
    """The button and what it folds; choices without effect beside the others are greyed out."""
    with st.popover("More", icon=":material/tune:", type="tertiary", key="more"):
        _pruning(task)
        _quantization()
        _training()


def _pruning(task: Task) -> None:
    st.markdown("**Pruning**")
    left, right = st.columns(2)
    left.number_input(
        "Blocks to remove",
        min_value=0,
        max_value=MOST_BLOCKS,
        value=0,
        key=state.BLOCKS,
        bind="query-params",
        persist_state="session",
        help=what_is("Blocks"),
    )
    right.number_input(
        "Epochs afterwards",
        min_value=0.0,
        max_value=200.0,
        value=None,
        step=0.5,
        format="%g",
        placeholder=f"{task.fine_tuning_epochs:g}, as suits",
        key=state.EPOCHS,
        bind="query-params",
        persist_state="session",
        help=what_is("Fine-tuning"),
    )


def _quantization() -> None:
    st.markdown("**Quantization**")
    off = not state.settings().quantizes
    left, right = st.columns(2)
    left.selectbox(
        "Activations",
        state.ACTIVATION_CHOICES,
        key=state.ACTIVATIONS,
        bind="query-params",
        persist_state="session",
        disabled=off,
        help=what_is("Activations"),
    )
    right.selectbox(
        "Rounding",
        state.ROUNDING_CHOICES,
        key=state.ROUNDING,
        bind="query-params",
        persist_state="session",
        disabled=off,
        help=what_is("Rounding"),
    )
    uncalibrated = not state.settings().calibrates  # asked after the activations are drawn
    left.selectbox(
        "Calibration",
        state.CALIBRATION_CHOICES,
        key=state.CALIBRATION,
        bind="query-params",
        persist_state="session",
        disabled=uncalibrated,
        help=what_is("Calibration"),
    )
    right.number_input(
        "Examples",
        min_value=8,
        max_value=512,
        value=512,
        step=8,
        key=state.EXAMPLES,
        bind="query-params",
        persist_state="session",
        disabled=uncalibrated,
        help=what_is("Calibration examples"),
    )
    for label, key, value, box in (
        ("Scale per channel", state.PER_CHANNEL, True, left),
        ("Bias correction", state.BIAS, False, right),
        ("Equalize layers", state.EQUALIZE, False, left),
    ):
        box.toggle(
            label,
            value=value,
            key=key,
            bind="query-params",
            persist_state="session",
            disabled=off,
            help=what_is(label),
        )
    right.number_input(
        "Smoothing, 0 to 1",
        min_value=0.0,
        max_value=1.0,
        value=0.0,
        step=0.1,
        format="%.1f",
        key=state.SMOOTH,
        bind="query-params",
        persist_state="session",
        disabled=off,
        help=what_is("Smoothing"),
    )


def _training() -> None:
    st.markdown("**Training on the grid**")
    off = not state.settings().quantizes
    left, right = st.columns(2, vertical_alignment="bottom")
    left.number_input(
        "Epochs on the grid",
        min_value=0.0,
        max_value=200.0,
        value=0.0,
        step=0.5,
        format="%g",
        key=state.TRAINING,
        bind="query-params",
        persist_state="session",
        disabled=off,
        help=what_is("Quantization-aware training"),
    )
    right.toggle(
        "Learn scales",
        key=state.LEARNED_SCALES,
        bind="query-params",
        persist_state="session",
        disabled=off or not state.settings().training,
        help=what_is("Learned scales"),
    )
