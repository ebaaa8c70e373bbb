"""Session keys and URL parameters of Distill & train, named and typed, as ``state`` has the others.

All are tied to a widget of the same key, so streamlit ignores foreign values in a link. Names that
Explore uses for its own sliders are not used again, for a widget keeps its value across pages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import streamlit as st

from dashboard.state.chosen import chosen_in
from dashboard.state.training_settings import Student, TrainingSettings, families
from optim.recipe import Architecture, Precision
from optim.task.task import Task, teachers

PAGE = "views/train.py"
"""As streamlit names it."""

# --- URL parameters, bound to widgets of the same key ---------------------------------------------
STUDENT = "train_student"
RATIO = "train_ratio"
ROUNDS = "train_rounds"
WIDTH = "train_width"
FAMILY = "train_family"
FAMILY_WIDTH = "train_family_width"
HALVED = "train_halved"
TEACHER = "teacher"
EPOCHS = "train_epochs"
FILE = "train_file"
AGAINST = "against"
SHOWN = "networks"

DEFAULTS = TrainingSettings()
SETTING_KEYS = {
    "student": STUDENT, "ratio": RATIO, "rounds": ROUNDS, "width": WIDTH, "family": FAMILY,
    "family_width": FAMILY_WIDTH, "halved": HALVED, "teacher": TEACHER, "epochs": EPOCHS,
    "precision": FILE,
}  # fmt: skip
"""The widget of each of the settings that speak of more than one field."""
Axis = Literal["seconds", "epochs"]
AXES: tuple[Axis, ...] = ("seconds", "epochs")
ALL, THIS = "all networks", "this network"
_KINDS: dict[str, Any] = {
    "student": Student,
    "family": Architecture,
    "teacher": tuple,
    "precision": lambda shown: Precision(shown.lower()),
}


def settings() -> TrainingSettings:
    """Return what the controls say."""
    known = st.session_state
    said = {
        field: _KINDS.get(field, lambda shown: shown)(known[key])
        for field, key in SETTING_KEYS.items()
        if known.get(key) is not None
    }
    return replace(DEFAULTS, **said, chosen=chosen_in(known.to_dict(), "distill"))


def forget_foreign(task: Task) -> None:
    """Drop what another task has left in the controls; call it before they are drawn."""
    if st.session_state.get(FAMILY) not in (None, *families(task)):
        del st.session_state[FAMILY]
    chosen = st.session_state.get(TEACHER)
    if chosen is not None and not set(chosen) <= set(teachers(task)):
        del st.session_state[TEACHER]
