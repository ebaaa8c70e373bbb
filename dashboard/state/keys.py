"""Every session key and URL parameter, named and typed.

What defines a view lives in the URL, so that a link shows the same. Widgets whose key is listed
under "bound" are tied to the parameter of the same name by streamlit, which ignores foreign values.
The rest is text from a stranger: it is parsed into known values here, or ignored.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from dashboard.state.chosen import USUAL, chosen_in, shown_for
from dashboard.state.settings import Settings, settings_of
from optim.devices.target import Target
from optim.errors import OptimError, TargetError
from optim.recipe import Architecture, Precision, PruningUnit, Recipe
from optim.recipe.edit import graph_steps_alone
from optim.recipe.steps import STEP_ORDER
from optim.search.pareto import Limits
from optim.task.metric import Metric
from optim.task.task import SAMPLE_ORDER, Task

# --- pages, as streamlit names them ---------------------------------------------------------------
EXPLORE, COMPARE = "views/explore.py", "views/compare.py"
LAYERS, JOBS, MODELS = "views/layers.py", "views/jobs.py", "views/models.py"

# --- URL parameters parsed here -------------------------------------------------------------------
MODEL = "model"
CANDIDATE = "candidate"
IDS = "ids"
CUTS = "cuts"
THREADS = "threads"
ENGINE = "engine"

# --- URL parameters bound to widgets of the same key ----------------------------------------------
PRECISION = "precision"
PRUNE = "prune"
DISTILL = "distill"
FUSE = "fuse"
UNIT = "unit"
EPOCHS = "epochs"
BLOCKS = "blocks"
STUDENT = "student"
WIDTH = "width"
STRIDE = "stride"
STUDENT_EPOCHS = "student_epochs"
STUDENT_TEACHER = "student_teacher"
SPARSITY = "sparsity"
TRAINING = "training"
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
LAYER_PANEL = "panel"
SENSITIVITY = "sensitivity"
LAYER_SETTING = "set"
CHANNEL_CHART = "channels"
CHANNEL_COST = "cost"

# --- session keys ---------------------------------------------------------------------------------
MODEL_BOX = "model_box"
THREADS_BOX = "threads_box"
ENGINE_BOX = "engine_box"
TARGET_NOTE = "target_note"
PRESET_BOX = "preset_box"
NAMED_PRESET_BOX = "named_preset_box"
ASKED = "asked_beyond_sliders"
LAYERS_BOX = "layers_box"
MIXES = "mixes"
BUDGET = "budget"
BUDGET_OF = "budget_of"
MIXED_FROM = "mixed_from"
CHANNEL_MIXES = "channel_mixes"
CHANNEL_BUDGET = "channel_budget"
CHANNEL_BUDGET_OF = "channel_budget_of"
CHANNEL_NOTE = "channel_note"
HIGHLIGHTED = "highlighted"
COMPARE_BOX = "compare_box"
OWN_FILE = "own_file"
UPLOADED = "uploaded"
NEXT_MODEL = "next_model"
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

LAYER_PANELS: tuple[Literal["time", "sensitivity", "bytes"], ...] = (
    "time", "sensitivity", "bytes",
)  # fmt: skip
SENSITIVITIES: tuple[Literal["noise", "accuracy"], ...] = ("noise", "accuracy")
LAYER_SETTINGS = ("Precision", "Channels")
"""What the Layers page sets layer by layer."""
CHANNEL_CHARTS = ("Curves", "Heat map")
CHANNEL_COSTS: tuple[Literal["accuracy", "loss"], ...] = ("accuracy", "loss")
LONGEST_CUTS, MOST_CUTS = 4000, 500

NO_STUDENT = "none"
UNIT_CHOICES = tuple(map(str, PruningUnit))
STUDENT_CHOICES = (NO_STUDENT, *(kind.replace("_", " ") for kind in Architecture))
DEFAULTS = Settings()
DEFAULT_TARGET = Target()
DEFAULT_PRECISION = DEFAULTS.precision.upper()
DEFAULT_PRUNE = DEFAULTS.prune
DEFAULT_DROP = "2"
SETTING_KEYS = {
    "precision": PRECISION, "prune": PRUNE, "unit": UNIT, "blocks": BLOCKS, "epochs": EPOCHS,
    "distill": DISTILL, "student": STUDENT, "width": WIDTH, "stride": STRIDE,
    "student_epochs": STUDENT_EPOCHS, "teacher": STUDENT_TEACHER, "sparsity": SPARSITY,
    "fuse": FUSE, "training": TRAINING,
}  # fmt: skip
"""The widget of each of the settings that speak of more than one field."""
CHOSEN_STEPS = tuple(kind for kind in STEP_ORDER if kind != "distill")
"""Whose fields have controls on Explore; Distill & train has those of the one left out."""

_NUMBER = re.compile(r"-?[0-9]{1,4}")
_ID = re.compile(r"[0-9a-f]{12}")
_SHARE = re.compile(r"[01](\.[0-9]{1,6})?")


# --- model ----------------------------------------------------------------------------------------
def model_from_url(known: Collection[str]) -> str | None:
    """Return the task that the link names, if it is one of ``known``."""
    name = st.query_params.get(MODEL)
    return name if name in known else None


def model() -> str:
    """Return the task that this page is about; the picker has set it."""
    name: str = st.session_state.get(MODEL_BOX, SAMPLE_ORDER[0])
    return name


def keep_model_in_url() -> None:
    """Write the picked task into the address; page switches clear it."""
    if st.query_params.get(MODEL) != model():
        st.query_params[MODEL] = model()


def forget_choices() -> None:
    """Forget ids when another model is picked: those of the old one mean nothing there."""
    st.query_params[MODEL] = model()
    for name in (CANDIDATE, IDS, CUTS):
        st.query_params.pop(name, None)


# --- selected candidates --------------------------------------------------------------------------
def selected() -> str | None:
    """Return the candidate whose card is open, as the link says it."""
    ids = _ids(st.query_params.get(CANDIDATE, ""))
    return ids[0] if ids else None


def select(candidate_id: str) -> None:
    """Open this candidate's card, in the address too; shares of channels belonged to another."""
    st.query_params.pop(CUTS, None)
    st.query_params[CANDIDATE] = candidate_id


def compared(known: Collection[str]) -> list[str]:
    """Return the candidates to compare, as the link says it: those that are known, at most four."""
    ids = [name for name in _ids(st.query_params.get(IDS, "")) if name in known]
    return ids[:MOST_COMPARED]


def keep_compared_in_url() -> None:
    """Write the chosen candidates into the address."""
    st.query_params[IDS] = ",".join(st.session_state[COMPARE_BOX])


# --- channels -------------------------------------------------------------------------------------
def cuts() -> dict[str, float]:
    """Return the share of channels that the link takes from each layer: ``layer:share,...``."""
    found = {}
    for part in st.query_params.get(CUTS, "")[:LONGEST_CUTS].split(",")[:MOST_CUTS]:
        layer, _, ratio = part.rpartition(":")
        if layer and _SHARE.fullmatch(ratio):
            found[layer] = float(ratio)
    return found


def keep_cuts_in_url(cuts: Mapping[str, float]) -> None:
    """Write the shares into the address; more than an address can hold are left out."""
    text = ",".join(f"{layer}:{ratio:.6g}" for layer, ratio in cuts.items())
    if text and len(text) <= LONGEST_CUTS:
        if st.query_params.get(CUTS) != text:
            st.query_params[CUTS] = text
    else:
        st.query_params.pop(CUTS, None)


def _ids(text: str) -> list[str]:
    parts = text[:200].split(",")
    return list(dict.fromkeys(part for part in parts if _ID.fullmatch(part)))


# --- sliders --------------------------------------------------------------------------------------
def settings() -> Settings:
    """Return what the sliders, the toggles and the choices under "More" say."""
    known = st.session_state
    said = {field: _read(field, known[key]) for field, key in SETTING_KEYS.items() if key in known}
    return Settings(**said, chosen=chosen_in(known.to_dict(), *CHOSEN_STEPS))


def recipe(task: Task) -> Recipe:
    """Return what sliders and toggles mean, or the named preset that is asked for beyond them.

    Of a network that cannot be trained only the steps that change the file.
    """
    found = named_preset_recipe() or settings().recipe(task)
    return found if task.untrainable is None else graph_steps_alone(found)


def named_preset_recipe() -> Recipe | None:
    """Return the recipe that is asked for beyond the sliders; a moved slider forgets it."""
    asked = st.session_state.get(ASKED)
    if asked is None or asked[1:] != (model(), settings()):
        return None
    found: Recipe = asked[0]
    return found


def ask_for(recipe: Recipe | None, task: Task) -> None:
    """Move the sliders to a recipe, or keep it as it is if they cannot show it; in a callback."""
    st.session_state.pop(ASKED, None)
    if recipe is None:
        return
    if fits_sliders(recipe, task):
        set_sliders(recipe, task)
    else:
        st.session_state[ASKED] = (recipe, model(), settings())


def show_settings(settings: Settings) -> None:
    """Move everything to these settings; call it before they are drawn (in a callback)."""
    for field, key in SETTING_KEYS.items():
        st.session_state[key] = _written(field, getattr(settings, field))
    st.session_state.update(shown_for(settings.chosen, *CHOSEN_STEPS))


def fits_sliders(recipe: Recipe, task: Task) -> bool:
    """True if the sliders can show this very recipe."""
    return settings_of(recipe, task) is not None


def set_sliders(recipe: Recipe, task: Task) -> None:
    """Move sliders and toggles to a recipe that fits them; call it in a callback."""
    found = settings_of(recipe, task)
    if found is not None:
        show_settings(found)


def reset_sliders() -> None:
    """Set the sliders to how the page opens."""
    show_settings(DEFAULTS)


def sliders_moved() -> bool:
    """True if there is something to reset."""
    return settings() != DEFAULTS


def _read(field: str, shown: Any) -> Any:
    """Return the value of a field from what its widget shows."""
    if shown in (USUAL, NO_STUDENT):
        return None
    kind = _KINDS.get(field)
    return shown if kind is None else kind(shown.lower().replace(" ", "_"))


def _written(field: str, value: Any) -> Any:
    """Return what a field's widget shows for a value."""
    if field == "teacher":
        return value or USUAL
    if field not in _KINDS:
        return value
    if value is None:
        return NO_STUDENT if field == "student" else USUAL
    return value.upper() if field == "precision" else value.replace("_", " ")


_KINDS: dict[str, type[StrEnum]] = {
    "precision": Precision,
    "unit": PruningUnit,
    "student": Architecture,
}


# --- limits ---------------------------------------------------------------------------------------
def limits(metric: Metric) -> Limits:
    """Return the user's limits; a drop is chosen in the steps of the metric."""
    state = st.session_state
    drop = state.get(MAX_DROP, DEFAULT_DROP)
    max_mb = state.get(MAX_MB)
    return Limits(
        max_score_drop=None if drop == NO_LIMIT else float(drop) / metric.scale,
        max_latency_ms=state.get(MAX_MS),
        max_size_bytes=None if max_mb is None else max_mb * 1e6,
    )


# --- what is measured on --------------------------------------------------------------------------
def target() -> Target:
    """Return the engine and the threads whose figures are shown; the picker has set them."""
    known = st.session_state
    return Target(
        engine=known.get(ENGINE_BOX, DEFAULT_TARGET.engine),
        threads=int(known.get(THREADS_BOX, DEFAULT_TARGET.threads)),
    )


def open_target() -> None:
    """Choose the target of a new session: the link decides; a wrong one is told and left out."""
    if THREADS_BOX in st.session_state:
        return
    chosen = DEFAULT_TARGET
    try:
        chosen = target_from(st.query_params)
    except OptimError as error:
        st.session_state[TARGET_NOTE] = str(error)
    st.session_state[ENGINE_BOX] = chosen.engine
    st.session_state[THREADS_BOX] = str(chosen.threads)


def target_from(link: Mapping[str, str]) -> Target:
    """Return the target that URL parameters name; what they leave out is as usual.

    Raises:
        EngineError, TargetError: if nothing can be measured so.
    """
    threads = link.get(THREADS, str(DEFAULT_TARGET.threads))
    if not _NUMBER.fullmatch(threads):
        raise TargetError(f"threads must be a number, got {threads!r:.40}. Try 1.")
    return Target(engine=link.get(ENGINE, DEFAULT_TARGET.engine), threads=int(threads))


def target_in_url() -> dict[str, str]:
    """Return the chosen target as URL parameters; nothing if it is the usual one."""
    chosen = target()
    named = {THREADS: str(chosen.threads), ENGINE: chosen.engine}
    usual = {THREADS: str(DEFAULT_TARGET.threads), ENGINE: DEFAULT_TARGET.engine}
    return {key: value for key, value in named.items() if value != usual[key]}


def keep_target_in_url() -> None:
    """Write the chosen target into the address; page switches clear it."""
    wanted = target_in_url()
    for key in (THREADS, ENGINE):
        if key not in wanted:
            st.query_params.pop(key, None)
        elif st.query_params.get(key) != wanted[key]:
            st.query_params[key] = wanted[key]


def forget_target_note() -> None:
    """Forget what was wrong with the link when a target is picked."""
    st.session_state.pop(TARGET_NOTE, None)


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
    """Return the address that shows this view again."""
    parts = urlsplit(st.context.url or "")
    query = urlencode([(key, v) for key in st.query_params for v in st.query_params.get_all(key)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
