"""Choices under "More" beside the sliders, in four groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard import loaders
from dashboard.form.widgets import draw_fields
from dashboard.state import keys as state
from dashboard.state.chosen import USUAL
from dashboard.state.settings import (
    FINEST_RATIO,
    MOST_BLOCKS,
    NARROWEST,
    with_quantize,
)
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.errors import OptimError
from optim.recipe import Architecture
from optim.recipe.fields import FAMILIES
from optim.recipe.presets import PRESETS
from optim.search.named_presets import NamedPreset
from optim.search.named_presets import named_presets as read_named_presets
from optim.task.architectures import FOR_SERIES
from optim.task.task import Task, load_task, teachers

POPOVER_PX = 430
"""The same for every tab, or the popover would change its width when another is opened."""


def presets() -> None:
    """Draw three tried sets of choices; the one that the sliders show is lit."""
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


def named_presets(task: Task) -> None:
    """Draw the named presets of the task, where it has any; the one that is asked for is shown."""
    try:
        known = read_named_presets(task)
    except OptimError as error:
        st.warning(plain(str(error)), icon=":material/error:")
        return
    if not known:
        return
    asked = state.recipe(task)
    st.session_state[state.NAMED_PRESET_BOX] = next(
        (h.name for h in known if h.recipe == asked), None
    )
    st.selectbox(
        "Named presets",
        [each.name for each in known],
        index=None,
        placeholder="Named presets",
        key=state.NAMED_PRESET_BOX,
        on_change=_take_named_preset,
        args=(known, task),
        label_visibility="collapsed",
    )
    if state.named_preset_recipe() is not None:
        st.caption(f"Beyond the sliders: {plain(asked.words())}. Move one to leave it.")


def _take_named_preset(known: tuple[NamedPreset, ...], task: Task) -> None:
    """Set the sliders to it, or ask for it as it is; a finished one is shown, too."""
    name = st.session_state[state.NAMED_PRESET_BOX]
    recipe = next((each.recipe for each in known if each.name == name), None)
    state.ask_for(recipe, task)
    made = None if recipe is None else loaders.candidate_of(task.name, recipe)
    if made is not None and made.measured:
        state.select(made.id)


def _take_preset() -> None:
    name = st.session_state[state.PRESET_BOX]
    if name in PRESETS:
        state.show_settings(with_quantize(replace(state.settings(), training=0.0), PRESETS[name]))


def popover(task: Task) -> None:
    """Draw the button and what it folds; choices without effect here are greyed out."""
    folded = st.popover("More", icon=":material/tune:", type="tertiary", key="more")
    with folded, st.container(width=POPOVER_PX):
        pruning, student, zeros, quantization = st.tabs(
            ["Pruning", "Student", "Zeros", "Quantization"]
        )
        with student:
            _student(task)
        with pruning:
            _pruning(task)
        with zeros:
            _zeros(task)
        with quantization:
            _quantization(task)
            _training(task)


def _option(
    draw: Callable[..., Any], label: str, key: str, *values: Any, term: str = "", **own: Any
) -> None:
    """Draw one choice: in the link, kept across pages, explained by the glossary."""
    draw(
        label,
        *values,
        key=key,
        bind="query-params",
        persist_state="session",
        help=what_is(term or label),
        **own,
    )


def _pruning(task: Task) -> None:
    usual = task.pruning
    suits = "as was found best" if task.pruning_is_found else "as suits"
    draw_fields("prune", lambda: state.settings().step("prune", task), best=usual, suits=suits)
    left, right = st.columns(2)
    _option(
        left.number_input, "Blocks to remove", state.BLOCKS, term="Blocks", min_value=0,
        max_value=MOST_BLOCKS, value=0,
    )  # fmt: skip
    _option(
        right.number_input, "Epochs afterwards", state.EPOCHS, term="Fine-tuning", min_value=0.0,
        max_value=200.0, value=None, step=0.5, format="%g",
        placeholder=f"{usual.epochs:g}, {suits}",
    )  # fmt: skip


def _student(task: Task) -> None:
    series = len(task.input_shape) == 2
    fitting = [
        name
        for name in state.STUDENT_CHOICES
        if name == state.NO_STUDENT or (_read(Architecture, name) in FOR_SERIES) == series
    ]
    _option(
        st.selectbox, "Student", state.STUDENT, fitting,
        format_func=_student_name,
    )  # fmt: skip
    off = state.settings().student is None
    left, right = st.columns(2)
    _option(
        left.number_input, "Width, %", state.WIDTH, term="Width", min_value=NARROWEST,
        max_value=100, value=state.DEFAULTS.width, step=5, disabled=off,
    )  # fmt: skip
    _option(
        right.number_input, "First stride", state.STRIDE, min_value=1, max_value=1 if series else 2,
        value=1, disabled=off or series,
    )  # fmt: skip
    _option(
        left.number_input, "Student epochs", state.STUDENT_EPOCHS,
        min_value=0.5, max_value=200.0, value=state.DEFAULTS.student_epochs, step=0.5, format="%g",
        disabled=off,
    )  # fmt: skip
    others = teachers(task)[1:]
    if others:
        _option(
            right.selectbox, "Who teaches", state.STUDENT_TEACHER, (USUAL, *others),
            term="Teacher", disabled=off or state.settings().prunes or not state.settings().distill,
            format_func=lambda name: (
                "The original" if name == USUAL else load_task(name).title
            ),
        )  # fmt: skip


def _zeros(task: Task) -> None:
    _option(
        st.number_input, "Zeros, % of the weights", state.SPARSITY, term="Zeros", min_value=0,
        max_value=95, value=0, step=FINEST_RATIO,
    )  # fmt: skip
    draw_fields("sparsify", lambda: state.settings().step("sparsify", task))
    st.caption("Only a sparse engine is faster for zeros; here they shrink the compressed file.")


def _student_name(name: str) -> str:
    if name == state.NO_STUDENT:
        return "None: the network itself"
    return FAMILIES.name(_read(Architecture, name))


def _read(kind: type[Architecture], name: str) -> Architecture:
    return kind(name.replace(" ", "_"))


def _quantization(task: Task) -> None:
    draw_fields("quantize", lambda: state.settings().step("quantize", task))


def _training(task: Task) -> None:
    off = not state.settings().quantizes or state.settings().zeroes
    left, right = st.columns(2, vertical_alignment="bottom")
    _option(
        left.number_input, "Quantization-aware epochs", state.TRAINING,
        term="Quantization-aware training", min_value=0.0, max_value=200.0, value=0.0, step=0.5,
        format="%g", disabled=off,
    )  # fmt: skip
    draw_fields("quantize_aware", lambda: state.settings().step("quantize_aware", task), half=right)
