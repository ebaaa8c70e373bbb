"""What stands under "More" beside the sliders: every other choice, in three groups."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.glossary import what_is
from dashboard.settings import MOST_BLOCKS, Settings
from optim.task import Task


def popover(task: Task) -> None:
    """The button and what it folds; choices without effect beside the others are greyed out."""
    chosen = state.settings()
    with st.popover("More", icon=":material/tune:", type="tertiary", key="more"):
        _pruning(task)
        _quantization(chosen)
        _training(chosen)


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
        placeholder=f"{task.fine_tuning_epochs:g}, as suits",
        key=state.EPOCHS,
        bind="query-params",
        persist_state="session",
        help=what_is("Fine-tuning"),
    )


def _quantization(chosen: Settings) -> None:
    st.markdown("**Quantization**")
    off, uncalibrated = not chosen.quantizes, not chosen.calibrates
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
        key=state.SMOOTH,
        bind="query-params",
        persist_state="session",
        disabled=off,
        help=what_is("Smoothing"),
    )


def _training(chosen: Settings) -> None:
    st.markdown("**Training on the grid**")
    left, right = st.columns(2, vertical_alignment="bottom")
    left.number_input(
        "Epochs on the grid",
        min_value=0.0,
        max_value=200.0,
        value=0.0,
        step=0.5,
        key=state.TRAINING,
        bind="query-params",
        persist_state="session",
        disabled=not chosen.quantizes,
        help=what_is("Quantization-aware training"),
    )
    right.toggle(
        "Learn scales",
        key=state.LEARNED_SCALES,
        bind="query-params",
        persist_state="session",
        disabled=not chosen.quantizes or not chosen.training,
        help=what_is("Learned scales"),
    )
