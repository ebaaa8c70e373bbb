"""The left column of Explore: sliders, what they predict, and the button that measures it."""

from __future__ import annotations

import streamlit as st

from dashboard import live, loaders
from dashboard.explore import options
from dashboard.state import keys as state
from dashboard.state.settings import FINEST_RATIO, LARGEST_RATIO
from dashboard.words import sliders as slider_words
from dashboard.words import step_words, words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.candidate import Candidate
from optim.errors import OptimError
from optim.jobs.job import JobKind
from optim.recipe import Recipe
from optim.search.effort import seconds_to_measure
from optim.search.predict import Prediction, student_of
from optim.task.task import Task, load_task

NO_BREAK = "\N{NO-BREAK SPACE}"


def panel(task: Task) -> None:
    """Draw sliders, prediction, Measure, and the job that runs."""
    with st.container(border=True, key="recipe_panel"):
        _sliders(task)
        recipe = state.recipe(task)
        known = loaders.candidate_of(task.name, recipe)
        if known is not None and known.measured:
            _measured_already(known)
        elif known is not None and known.refusal is not None:
            st.warning(plain(str(known.refusal)), icon=":material/block:")
        else:
            _predicted(task, recipe)
            st.button(
                "Measure this",
                key="measure",
                type="primary",
                icon=":material/timer:",
                width="stretch",
                on_click=_measure,
                args=(task.name, recipe),
            )
        live.jobs_panel(task.name, (JobKind.MAKE, JobKind.MEASURE), key="made")


def _sliders(task: Task) -> None:
    """Draw the two sliders, first in the script, for everything else depends on them."""
    head, presets = st.container(key="recipe_head"), st.container()
    st.select_slider(
        "Precision",
        state.PRECISIONS,
        value=state.DEFAULT_PRECISION,
        key=state.PRECISION,
        bind="query-params",
        persist_state="session",
        help=what_is("Precision"),
    )
    note = st.container()
    pruning, unit = st.container(), st.container(key="unit_row")
    with unit:
        _unit()
    chosen = step_words.UNIT_NAMES[state.settings().unit]  # asked after the switch is drawn
    pruning.slider(
        f"Pruning, % of {chosen}",
        0,
        LARGEST_RATIO,
        value=state.DEFAULT_PRUNE,
        step=FINEST_RATIO,
        key=state.PRUNE,
        bind="query-params",
        persist_state="session",
        disabled=task.untrainable is not None,
        help=f"{what_is('Pruning')} {what_is('Pruning ratio')}",
    )
    pruning_note = st.container()
    switches = st.container()
    with head:
        _head(task)
    with presets:
        options.presets()
        options.named_presets(task)
    with switches:
        _switches(task)
    note.caption(_precision_note(task))  # what is said comes last: it depends on every choice
    if task.untrainable is not None:
        pruning_note.caption(f":material/block: {plain(str(task.untrainable))}")
    elif told := slider_words.pruning_note(state.settings(), task):
        pruning_note.caption(plain(told).replace(" %", f"{NO_BREAK}%"))


def _unit() -> None:
    """Draw what the pruning ratio is a share of."""
    st.segmented_control(
        "Pruning is a share of",
        state.UNIT_CHOICES,
        default=state.UNIT_CHOICES[0],
        required=True,
        format_func=lambda name: (
            step_words.UNIT_NAMES[name][0].upper() + step_words.UNIT_NAMES[name][1:]
        ),
        key=state.UNIT,
        bind="query-params",
        persist_state="session",
        width="stretch",
        label_visibility="collapsed",
    )


def _head(task: Task) -> None:
    """Draw the rest under "More", at the top: its popover opens downwards and needs the room."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown("**Recipe**", width="stretch", help=what_is("Presets"))
        reset = st.container(width="content")
        options.popover(task)
        if state.sliders_moved():
            reset.button(
                "Reset",
                key="reset",
                type="tertiary",
                icon=":material/restart_alt:",
                on_click=state.reset_sliders,
            )


def _switches(task: Task) -> None:
    chosen = state.settings()
    other = chosen.other_teacher(task)
    st.toggle(
        f"Distil from {load_task(other).title if other else 'the original'}",
        value=True,
        key=state.DISTILL,
        bind="query-params",
        persist_state="session",
        disabled=not chosen.trains or task.untrainable is not None,
        help=what_is("Distillation"),
    )
    fused = f" (part of {chosen.precision.upper()})" if chosen.quantizes else ""
    st.toggle(
        f"Fuse layers{fused}",
        key=state.FUSE,
        bind="query-params",
        persist_state="session",
        disabled=chosen.quantizes,
        help=what_is("Fusion"),
    )


def _precision_note(task: Task) -> str:
    """Return what the chosen quantization alone gives this model."""
    step = state.settings().quantize()
    rows, baseline = loaders.candidates(task.name), loaders.baseline(task.name)
    known = slider_words.measured_ratios(step, rows, baseline)
    if known is None and step is not None:
        guess = loaders.prediction(task.name, Recipe(steps=(step,)))
        known = slider_words.predicted_ratios(step, guess, rows, baseline)
    return slider_words.precision_note(step, known, engine=loaders.environment().engine)


def _predicted(task: Task, recipe: Recipe) -> None:
    """Draw the figures of the predicted point, and how long the solid one takes."""
    guess, baseline = loaders.prediction(task.name, recipe), loaders.baseline(task.name)
    seconds = seconds_to_measure(recipe, loaders.candidates(task.name))
    effort = "a minute or more" if seconds is None else words.about(seconds)
    with st.container(gap="xxsmall", key="predicted"):
        st.badge(
            "predicted", icon=":material/trending_flat:", color="orange", help=what_is("Predicted")
        )
        if guess is None or baseline is None:
            needed = "a student like it" if student_of(recipe) else "two candidates"
            st.markdown(f"Nothing to predict from yet: {needed} must be measured first.")
        else:
            st.markdown(_prediction_words(guess, baseline))
        st.caption(f"{effort[0].upper()}{effort[1:]} to measure.")


def _prediction_words(guess: Prediction, baseline: Candidate) -> str:
    """Return the figures in one line that breaks between them, not within them."""
    figures = [plain(figure) for figure in words.predicted(guess, baseline).split(", ")]
    return " · ".join(f"**{figure.replace(' ', NO_BREAK)}**" for figure in figures)


def _measured_already(known: Candidate) -> None:
    st.badge("measured already", icon=":material/check_circle:", color="green")
    st.caption(f"{known.words()}: this very recipe stands on the plot.")
    if state.selected() != known.id:
        st.button(
            "Show it",
            key="show_known",
            icon=":material/my_location:",
            width="stretch",
            on_click=state.select,
            args=(known.id,),
        )


def _measure(task: str, recipe: Recipe) -> None:
    """Ask for the recipe's candidate, or open its card if another tab was quicker."""
    known = loaders.candidate_of(task, recipe)
    if known is not None and known.measured:
        state.select(known.id)
        return
    try:
        job = loaders.workspace().submit(task, recipe)
    except OptimError as error:
        live.say(str(error))
        return
    live.watch(job)


def limits(task: Task) -> None:
    """Draw the user's limits: points lost, milliseconds, megabytes."""
    step = f", {task.metric.step}" if task.metric.step else ""
    with st.container(border=True, key="limits_panel"):
        st.markdown("**Limits**")
        st.select_slider(
            f"{task.metric.title} I may lose{step}",
            state.DROPS,
            value=state.DEFAULT_DROP,
            key=state.MAX_DROP,
            bind="query-params",
            persist_state="session",
            help=what_is("Points"),
        )
        time_box, size_box = st.columns(2)
        time_box.number_input(
            "At most, ms",
            min_value=0.0,
            value=None,
            step=0.1,
            format="%.3g",
            placeholder="no limit",
            key=state.MAX_MS,
            bind="query-params",
            persist_state="session",
        )
        size_box.number_input(
            "At most, MB",
            min_value=0.0,
            value=None,
            step=0.1,
            format="%.3g",
            placeholder="no limit",
            key=state.MAX_MB,
            bind="query-params",
            persist_state="session",
        )
