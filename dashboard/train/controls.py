"""The left column of Distill & train: student, teacher, how it teaches, and the two buttons."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import live, loaders
from dashboard.form import recipe_popover
from dashboard.form.widgets import BOUND, draw_field
from dashboard.state import training_keys as keys
from dashboard.state.chosen import controls_of
from dashboard.state.training_settings import (
    Student,
    TrainingSettings,
    families,
    may_be_halved,
)
from dashboard.train.terms import what_it_is
from dashboard.words import words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.errors import OptimError
from optim.jobs.job import JobKind
from optim.recipe import Precision, Recipe
from optim.recipe.edit import without_teacher
from optim.task.task import Task, load_task, teachers
from optim.training_history.history import seconds_to_train

NOTES = {
    Student.PRUNED: "The least important channels go; the rest keeps its weights and learns.",
    Student.NARROWER: "The same architecture with fewer channels, untrained: it learns from zero.",
    Student.FAMILY: "Another architecture, untrained: it learns from zero.",
    Student.SAME: "The original itself learns on, which pays with better teachers.",
}


def panel(task: Task) -> None:
    """Draw controls, estimate, buttons, and what runs."""
    keys.forget_foreign(task)
    with st.container(border=True, key="training_panel"):
        _student(task)
        _teacher(task)
        with st.expander("Data, labels and file", key="training_more"):
            _more(keys.settings())
        recipe = keys.settings().recipe(task)
        both = (recipe, without_teacher(recipe))
        missing = [each for each in both if not _measured(task.name, each)]
        _asked_already(task, recipe, missing)
        if missing:
            st.caption(_effort(task, missing))
        st.button(
            "Train both, with and without",
            key="do_both",
            type="primary",
            icon=":material/compare_arrows:",
            width="stretch",
            disabled=not missing,
            on_click=train,
            args=(task.name, both),
        )
        st.button(
            "Train with the teacher",
            key="do_with_teacher",
            icon=":material/school:",
            width="stretch",
            disabled=recipe not in missing,
            on_click=train,
            args=(task.name, (recipe,)),
        )
        recipe_popover.popover(task, recipe, width="stretch")
        live.jobs_panel(task.name, (JobKind.MAKE,), key="trained")


def train(task: str, recipes: Sequence[Recipe]) -> None:
    """Ask for candidates; those that are measured already cost nothing."""
    try:
        jobs = [
            loaders.workspace().submit(task, recipe)
            for recipe in recipes
            if not _measured(task, recipe)
        ]
    except OptimError as error:
        live.say(str(error))
        return
    if jobs:
        live.watch(jobs[0])
    else:
        live.say("These are trained and measured already; their curves are on the plot.")


def _measured(task: str, recipe: Recipe) -> bool:
    known = loaders.candidate_of(task, recipe)
    return known is not None and known.measured


def _student(task: Task) -> None:
    kind = Student(
        st.selectbox(
            "**Student**",
            list(map(str, Student)),
            key=keys.STUDENT,
            help=what_it_is("Student"),
            **BOUND,
        )
    )
    st.caption(NOTES[kind])
    usual = keys.DEFAULTS
    match kind:
        case Student.PRUNED:
            _percent("Channels removed, %", keys.RATIO, usual.ratio, most=90)
            st.slider(
                "Rounds of pruning",
                1,
                8,
                value=usual.rounds,
                key=keys.ROUNDS,
                help=what_it_is("Rounds"),
                **BOUND,
            )
        case Student.NARROWER:
            _percent("Width, % of the original", keys.WIDTH, usual.width, least=10, most=95)
        case Student.FAMILY:
            known = families(task)
            st.selectbox("Family", list(map(str, known)), key=keys.FAMILY, **BOUND)
            _percent("Width, % of its own", keys.FAMILY_WIDTH, usual.family_width, least=10)
            if may_be_halved(task):
                st.toggle(
                    "Half the resolution", key=keys.HALVED, help=what_it_is("Resolution"), **BOUND
                )
        case Student.SAME:
            pass


def _percent(label: str, key: str, value: int, *, least: int = 5, most: int = 100) -> None:
    term = what_is("Pruning ratio") if key == keys.RATIO else what_it_is("Width")
    st.slider(label, least, most, value=value, step=5, key=key, help=term, **BOUND)


def _teacher(task: Task) -> None:
    st.markdown("**Teacher**", help=what_is("Distillation"))
    settings = keys.settings()
    if settings.in_rounds:
        st.caption(
            "After each round the original teaches with its logits, T = 4. With one round there is "
            "more to choose."
        )
        _epochs(task)
        return
    known = teachers(task)
    if len(known) > 1:
        st.multiselect(
            "Who teaches",
            list(known),
            default=[task.name],
            format_func=lambda name: _teacher_name(task, name),
            key=keys.TEACHER,
            max_selections=4,
            select_all=False,
            placeholder="the original",
            help=what_it_is("Ensemble"),
            **BOUND,
        )
    else:
        st.caption("The original teaches: no other sample network knows this data.")
    left, right = st.columns(2)
    places = [left]  # the first beside the epochs, the others below
    for field, control in controls_of("distill"):
        if not control.folded:
            draw_field(places.pop() if places else st.container(), "distill", field, control)
    with right:
        _epochs(task)


def _teacher_name(task: Task, name: str) -> str:
    return "the original" if name == task.name else load_task(name).title


def _epochs(task: Task) -> None:
    st.number_input(
        "Epochs",
        min_value=0.1,
        max_value=200.0,
        value=None,
        step=1.0,
        format="%g",
        placeholder=f"{task.fine_tuning_epochs:g}",
        key=keys.EPOCHS,
        help=what_is("Fine-tuning"),
        **BOUND,
    )


def _more(settings: TrainingSettings) -> None:
    for field, control in controls_of("distill"):
        if control.folded:
            draw_field(st.container(), "distill", field, control, disabled=settings.in_rounds)
    usual = keys.DEFAULTS
    st.select_slider(
        "Precision of the file",
        [precision.upper() for precision in Precision],
        value=usual.precision.upper(),
        key=keys.FILE,
        help=what_is("Precision"),
        **BOUND,
    )


def _asked_already(task: Task, recipe: Recipe, missing: Sequence[Recipe]) -> None:
    """Draw why it cannot be done, or what it has given."""
    known = loaders.candidate_of(task.name, recipe)
    if known is not None and known.refusal is not None:
        st.warning(plain(str(known.refusal)), icon=":material/block:")
    elif known is not None and known.measured:
        which = "with the teacher" if missing else "both"
        st.badge(f"{which}: trained and measured", icon=":material/check_circle:", color="green")
        st.caption(plain(words.versus_baseline(known, loaders.baseline(task.name))) + ".")


def _effort(task: Task, missing: Sequence[Recipe]) -> str:
    """Return how long the missing trainings take, one after the other."""
    rows, candidates = loaders.trainings(task.name), loaders.candidates(task.name)
    guesses = [seconds_to_train(recipe, rows, candidates) for recipe in missing]
    known = [guess for guess in guesses if guess is not None]
    if len(known) < len(guesses):
        return (
            "How long it takes is not known: nothing like it was trained here. Minutes, on one "
            "core; the first epoch tells."
        )
    one, both = words.about(known[0]), words.about(sum(known))
    both = f" with the teacher; both {both}" if len(known) > 1 else ""
    return f"{one[0].upper()}{one[1:]}{both}. A guess, from earlier epochs."
