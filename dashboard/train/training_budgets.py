"""Two panels of Distill & train: pruning in rounds or at once, and data efficiency."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import loaders
from dashboard.charts import PLOT_CONFIG
from dashboard.charts.training import network_name
from dashboard.charts.training_budgets import (
    data_efficiency_alt,
    data_efficiency_figure,
    rounds_alt,
    rounds_figure,
)
from dashboard.state import keys as state
from dashboard.state import training_keys as keys
from dashboard.train import controls as training_controls
from dashboard.train import words as training_words
from dashboard.train.experiments import data_efficiency_recipes, rounds_recipes
from dashboard.train.terms import what_it_is
from dashboard.words import words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.recipe import Prune, Recipe
from optim.recipe.edit import without_teacher
from optim.task.task import Task
from optim.training_history.data_efficiency import DataEfficiency, data_efficiency
from optim.training_history.history import Training, network_words, seconds_to_train
from optim.training_history.pruning_rounds import PruningPath, pruning_paths


def rounds_panel(task: Task, rows: Sequence[Training]) -> None:
    """Draw pruning in rounds as it goes, beside pruning of the same ratio at once."""
    st.header("In rounds, or at once?", anchor=False, help=what_it_is("Rounds"))
    path = _path(task, pruning_paths(rows))
    if path is None:
        recipes = rounds_recipes(keys.settings(), task)
        step = recipes[0].step(Prune)
        assert step is not None  # the recipes prune
        st.markdown(
            "Not known for this model: nothing was pruned in rounds yet. Each round is drawn as it "
            "ends, and stays a candidate if you cancel."
        )
        _button(
            task,
            recipes,
            f"Prune {words.percent(step.ratio)} in {step.rounds} rounds, and at once",
            "do_rounds",
        )
        return
    n, original = loaders.validation_examples(task.name), _original(task)
    st.plotly_chart(
        rounds_figure(path, n=n, original=original, dark=state.is_dark()),
        theme=None,
        key="rounds_chart",
        config=PLOT_CONFIG,
        alt=rounds_alt(path, n=n, original=original),
    )
    st.caption(plain(training_words.rounds_verdict(path, n)) + _one_seed(n, "validation"))
    if path.at_once is None:
        step = path.training.recipe.step(Prune)
        assert step is not None  # it is the path of a pruning
        at_once = rounds_recipes(keys.settings(), task)[1]
        cut = at_once.step(Prune)
        if cut is not None and (cut.ratio, cut.unit) == (step.ratio, step.unit):
            _button(task, (at_once,), "Prune as much at once", "do_at_once")


def data_efficiency_panel(task: Task, rows: Sequence[Training]) -> None:
    """Draw accuracy against the share of the training data, three ways of learning."""
    st.header("Data efficiency: how little is enough?", anchor=False, help=what_is("Data share"))
    found = _data(task, data_efficiency(rows, loaders.validation_examples(task.name)))
    recipes = _efficiency_recipes(task)
    if found is None:
        st.markdown(
            "Not known for this model: the student on the left would be trained on 1, 10 and "
            "100 % of the data, with a teacher, without one, and with a teacher but no labels."
        )
        _button(task, recipes, f"Train the {len(recipes)}", "do_data_efficiency")
        return
    st.plotly_chart(
        data_efficiency_figure(found, dark=state.is_dark()),
        theme=None,
        key="data_efficiency_chart",
        config=PLOT_CONFIG,
        alt=data_efficiency_alt(found),
    )
    split = "validation" if found.tested is None else "test"
    st.caption(
        f"{plain(_sentence_case(network_name(found.network)))}. "
        f"{plain(training_words.data_efficiency_verdict(found))}{_one_seed(found.n, split)}"
    )
    own = network_words(recipes[0])
    if found.network != own:
        _button(task, recipes, f"Train the {len(recipes)} of the student on the left", "do_own")


def _efficiency_recipes(task: Task) -> tuple[Recipe, ...]:
    """Return nine trainings: each share with a teacher, without, and with one but no labels."""
    recipes = data_efficiency_recipes(keys.settings(), task)
    return tuple(dict.fromkeys((*recipes, *map(without_teacher, recipes))))


def _path(task: Task, known: Sequence[PruningPath]) -> PruningPath | None:
    """Return the path of the controls' network if there is one, one with a teacher first."""
    network = network_words(keys.settings().recipe(task))
    own = [path for path in known if path.training.network == network]
    return max(own or known, key=lambda path: path.training.has_teacher, default=None)


def _data(task: Task, known: Sequence[DataEfficiency]) -> DataEfficiency | None:
    """Return the curve of the controls' network if there is one, else that with most points."""
    network = network_words(keys.settings().recipe(task))
    own = [data for data in known if data.network == network]
    return next(iter((*own, *known)), None)


def _sentence_case(text: str) -> str:
    return text[0].upper() + text[1:]


def _original(task: Task) -> float:
    return task.validation_score


def _one_seed(n: int, split: str) -> str:
    return f" One seed; n = {n:,} {split} examples, bars are 95 % intervals."


def _button(task: Task, recipes: Sequence[Recipe], label: str, key: str) -> None:
    rows, candidates = loaders.trainings(task.name), loaders.candidates(task.name)
    guesses = [seconds_to_train(recipe, rows, candidates) for recipe in recipes]
    known = [guess for guess in guesses if guess is not None]
    time = words.about(sum(known)) if len(known) == len(guesses) else "unknown time, minutes"
    st.button(
        label,
        key=key,
        icon=":material/play_arrow:",
        on_click=training_controls.train,
        args=(task.name, tuple(recipes)),
    )
    st.caption(f"{time[0].upper()}{time[1:]}.")
