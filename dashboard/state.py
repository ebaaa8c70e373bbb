"""Every session key and URL parameter, named and typed.

What defines a view lives in the URL, so that a link shows the same. Widgets whose key is listed
under "bound" are tied to the parameter of the same name by streamlit, which ignores foreign values.
The rest is text from a stranger: it is parsed into known values here, or ignored.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from optim.recipe import Fuse, Precision, Prune, Recipe, recipe_of
from optim.search.pareto import Limits
from optim.task import SAMPLE_ORDER, Task

# --- pages, as streamlit names them ---------------------------------------------------------------
EXPLORE, COMPARE, JOBS = "views/explore.py", "views/compare.py", "views/jobs.py"

# --- URL parameters parsed here -------------------------------------------------------------------
MODEL = "model"
CANDIDATE = "candidate"
IDS = "ids"

# --- URL parameters bound to widgets of the same key ----------------------------------------------
PRECISION = "precision"
PRUNE = "prune"
DISTILL = "distill"
FUSE = "fuse"
EPOCHS = "epochs"
MAX_DROP = "max_drop"
MAX_MS = "max_ms"
MAX_MB = "max_mb"
TAB = "view"
SHOW_DOMINATED = "dominated"
LOG_AXIS = "log"
ISO_LINES = "iso"
HYPERVOLUME = "volume"
THREE_KIND = "three"
PAGE_OF_FLIPS = "flips"

# --- session keys ---------------------------------------------------------------------------------
MODEL_BOX = "model_box"
COMPARE_BOX = "compare_box"
VIEWPORT = "viewport"
BEGUN = "tasks_begun"
WATCHED = "job_watched"
SEEN_VERSION = "version_drawn"
NOTE = "note_after_rerun"

PRECISIONS = tuple(precision.upper() for precision in Precision)
NO_LIMIT = "no limit"
DROPS = ("0.1", "0.25", "0.5", "1", "2", "3", "5", "10", NO_LIMIT)
"""Points of accuracy that may be lost."""

TABS = ("Accuracy against latency", "Accuracy against size", "All three", "Table")
LOG_CHOICES = ("auto", "log", "linear")
THREE_KINDS: tuple[Literal["matrix", "3d", "parallel"], ...] = ("matrix", "3d", "parallel")
MOST_COMPARED = 4

DEFAULT_PRECISION = "INT8"
DEFAULT_PRUNE = 40
DEFAULT_DROP = "2"

_ID = re.compile(r"[0-9a-f]{12}")


# --- model ----------------------------------------------------------------------------------------
def model_from_url(known: Collection[str]) -> str | None:
    """The task that the link names, if it is one of ``known``."""
    name = st.query_params.get(MODEL)
    return name if name in known else None


def model() -> str:
    """The task that this page is about; the picker has set it."""
    name: str = st.session_state.get(MODEL_BOX, SAMPLE_ORDER[0])
    return name


def keep_model_in_url() -> None:
    """Write the picked task into the address; page switches clear it."""
    if st.query_params.get(MODEL) != model():
        st.query_params[MODEL] = model()


def forget_choices() -> None:
    """Called when another model is picked: ids of the old one mean nothing there."""
    st.query_params[MODEL] = model()
    for name in (CANDIDATE, IDS):
        st.query_params.pop(name, None)


# --- selected candidates --------------------------------------------------------------------------
def selected() -> str | None:
    """The candidate whose card is open, as the link says it."""
    ids = _ids(st.query_params.get(CANDIDATE, ""))
    return ids[0] if ids else None


def select(candidate_id: str) -> None:
    """Open this candidate's card, in the address too."""
    st.query_params[CANDIDATE] = candidate_id


def compared(known: Collection[str]) -> list[str]:
    """The candidates to compare, as the link says it: those that are known, at most four."""
    ids = [name for name in _ids(st.query_params.get(IDS, "")) if name in known]
    return ids[:MOST_COMPARED]


def keep_compared_in_url() -> None:
    """Write the chosen candidates into the address."""
    st.query_params[IDS] = ",".join(st.session_state[COMPARE_BOX])


def _ids(text: str) -> list[str]:
    parts = text[:200].split(",")
    return list(dict.fromkeys(part for part in parts if _ID.fullmatch(part)))


# --- sliders --------------------------------------------------------------------------------------
def recipe(task: Task) -> Recipe:
    """What the sliders and toggles mean."""
    state = st.session_state
    precision = Precision(state.get(PRECISION, DEFAULT_PRECISION).lower())
    epochs = state.get(EPOCHS)
    return recipe_of(
        precision=precision,
        pruning_ratio=state.get(PRUNE, DEFAULT_PRUNE) / 100,
        epochs=task.fine_tuning_epochs if epochs is None else epochs,
        distill=state.get(DISTILL, True),
        fuse=state.get(FUSE, False) and can_fuse(precision),
    )


def can_fuse(precision: Precision) -> bool:
    """False where quantization fuses anyway: there the toggle would change nothing."""
    return precision in (Precision.FP32, Precision.FP16)


def fits_sliders(recipe: Recipe, task: Task) -> bool:
    """True if the sliders can show this very recipe."""
    step = recipe.step(Prune)
    ratio = round(100 * recipe.pruning_ratio)
    again = recipe_of(
        precision=recipe.precision,
        pruning_ratio=ratio / 100,
        epochs=task.fine_tuning_epochs if step is None else step.epochs,
        distill=True if step is None else step.distill,
        fuse=recipe.step(Fuse) is not None,
        seed=recipe.seed,
    )
    return ratio % 5 == 0 and ratio <= 90 and recipe.seed == 0 and again == recipe


def set_sliders(recipe: Recipe, task: Task) -> None:
    """Move sliders and toggles to a recipe; call it before they are drawn (in a callback)."""
    step = recipe.step(Prune)
    st.session_state[PRECISION] = recipe.precision.upper()
    st.session_state[PRUNE] = round(100 * recipe.pruning_ratio)
    st.session_state[DISTILL] = True if step is None else step.distill
    st.session_state[FUSE] = recipe.step(Fuse) is not None
    epochs = task.fine_tuning_epochs if step is None else step.epochs
    st.session_state[EPOCHS] = None if epochs == task.fine_tuning_epochs else epochs


def reset_sliders() -> None:
    """Back to how the page opens."""
    st.session_state[PRECISION] = DEFAULT_PRECISION
    st.session_state[PRUNE] = DEFAULT_PRUNE
    st.session_state[DISTILL] = True
    st.session_state[FUSE] = False
    st.session_state[EPOCHS] = None


def sliders_moved() -> bool:
    """True if there is something to reset."""
    state = st.session_state
    return (
        state.get(PRECISION, DEFAULT_PRECISION) != DEFAULT_PRECISION
        or state.get(PRUNE, DEFAULT_PRUNE) != DEFAULT_PRUNE
        or not state.get(DISTILL, True)
        or bool(state.get(FUSE, False))
        or state.get(EPOCHS) is not None
    )


# --- limits ---------------------------------------------------------------------------------------
def limits() -> Limits:
    """What the user will not accept."""
    state = st.session_state
    drop = state.get(MAX_DROP, DEFAULT_DROP)
    max_mb = state.get(MAX_MB)
    return Limits(
        max_accuracy_drop=None if drop == NO_LIMIT else float(drop) / 100,
        max_latency_ms=state.get(MAX_MS),
        max_size_bytes=None if max_mb is None else max_mb * 1e6,
    )


# --- the browser ----------------------------------------------------------------------------------
def is_dark() -> bool:
    """True if the browser shows the dark theme."""
    return st.context.theme.type == "dark"


def is_narrow() -> bool:
    """True if the window is as narrow as a phone; at first the browser's name tells."""
    told = st.session_state.get(VIEWPORT)
    if told is not None and told.get("narrow") is not None:
        return bool(told["narrow"])
    return "Mobi" in st.context.headers.get("User-Agent", "")


def link() -> str:
    """The address that shows this view again."""
    parts = urlsplit(st.context.url or "")
    query = urlencode([(key, v) for key in st.query_params for v in st.query_params.get_all(key)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
