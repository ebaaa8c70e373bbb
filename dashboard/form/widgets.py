"""The controls of single fields, drawn from their descriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.state.chosen import USUAL, controls_of, left_alone, options_of, written
from optim.recipe import Step
from optim.recipe.field import Choice, Control, Field, Flag, Integer, Names, Number, Table

BOUND: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
"""A control that stands in the link and keeps its value across pages."""


def draw_field(
    place: DeltaGenerator,
    kind: str,
    field: Field,
    control: Control,
    *,
    disabled: bool = False,
    best: Step | None = None,
    suits: str = "",
) -> None:
    """Draw the control of one field.

    Args:
        kind: of its step.
        disabled: greyed out, because it would change nothing.
        best: a step of that kind as it suits the task: what is taken if nothing is chosen.
        suits: what is said of that, such as "as was found best".
    """
    usual = None if best is None or not field.suits else getattr(best, field.name)
    alone = left_alone(kind, field)
    common: dict[str, Any] = {
        "key": control.key, "help": control.about, "disabled": disabled, **BOUND
    }  # fmt: skip
    match field.kind:
        case Choice():
            choice = field.kind
            _read_old_word(field, control, choice)
            place.selectbox(
                control.label,
                options_of(field),
                format_func=lambda name: _named(name, choice, usual, suits),
                **common,
            )
        case Flag():
            place.toggle(control.label, value=alone, **common)
        case Number() if control.stops:
            place.select_slider(control.label, control.stops, value=round(100 * alone), **common)
        case Number() | Integer():
            number = float if isinstance(field.kind, Number) else int
            ends: dict[str, Any] = {
                "min_value": number(field.kind.low if control.low is None else control.low),
                "max_value": number(field.kind.high if control.high is None else control.high),
                "step": number(control.step or 1),
            }
            shape: dict[str, Any] = {"format": "%g"} if number is float else {}
            if control.slider:
                place.slider(control.label, value=alone, **ends, **shape, **common)
            else:
                told = None if usual is None else f"{usual:g}, {suits}"
                place.number_input(
                    control.label, value=alone, placeholder=told, **ends, **shape, **common
                )
        case Names() | Table():
            raise AssertionError(f"{field.name} needs a control that the page draws itself")
        case _:
            assert_never(field.kind)


def draw_fields(
    kind: str,
    meant: Callable[[], Step | None],
    *,
    best: Step | None = None,
    suits: str = "",
    half: DeltaGenerator | None = None,
) -> None:
    """Draw every control of a step's fields, two in a row.

    Args:
        meant: the step that the page means; None greys all out. Asked anew for each control, since
            what has an effect depends on those that are drawn before.
        best, suits: as ``draw_field`` takes them.
        half: the right half of a row whose left one is taken.
    """
    free = half
    for field, control in controls_of(kind):
        if control.wide:
            place: DeltaGenerator = st.container()
        else:
            place, free = (free, None) if free is not None else st.columns(2)
        step = meant()
        draw_field(
            place, kind, field, control,
            disabled=step is None or not field.has_effect(step), best=best, suits=suits,
        )  # fmt: skip


def _read_old_word(field: Field, control: Control, choice: Choice) -> None:
    """Choose today's word for one of a former version in the link, before the control reads it."""
    said = st.query_params.get(control.key)
    if said is not None and said in choice.renamed.values():
        del st.query_params[control.key]
        st.session_state[control.key] = written(field, control, choice.today(said))


def _named(name: str, choice: Choice, usual: str | None, suits: str) -> str:
    """Return the label of an option; nothing chosen has that of what is then taken."""
    if name != USUAL:
        return choice.name(name.replace(" ", "_"))
    return USUAL if usual is None else f"{choice.name(usual)}, {suits}"
