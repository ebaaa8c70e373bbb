"""The series of trainings that Distill & train offers, made out of what its left column says."""

from __future__ import annotations

from dataclasses import replace

from dashboard.state.training_settings import Student, TrainingSettings
from optim.recipe import Prune, Recipe
from optim.task.task import Task

DATA_SHARES = (1, 10, 100)
"""Percent of the training data, one for each point of the data efficiency curve."""
MOST_PASSES = 10
"""An epoch of less data has fewer steps, so there are more of them: at most this many times."""
ROUNDS = 4
"""Default number of pruning rounds."""


def share_of(settings: TrainingSettings) -> int:
    """Return the percent of the training split that is used."""
    used: float = settings.chosen.fields("distill").get("data_share", 1.0)
    return round(100 * used)


def rounds_recipes(settings: TrainingSettings, task: Task) -> tuple[Recipe, Recipe]:
    """Return a recipe that prunes in rounds, and one that prunes at once with as many epochs."""
    pruned = replace(settings, student=Student.PRUNED)
    rounds = replace(pruned, rounds=settings.rounds if settings.in_rounds else ROUNDS).recipe(task)
    step = rounds.step(Prune)
    assert step is not None  # the settings say rounds
    at_once = (replace(step, rounds=1), *rounds.steps[1:])
    return rounds, Recipe(steps=at_once)


def data_efficiency_recipes(settings: TrainingSettings, task: Task) -> tuple[Recipe, ...]:
    """Return the student's trainings on 1, 10 and 100 % of the data, with and without labels.

    An epoch of less data has fewer steps, so there are more of them, up to ten times as many.
    """
    base = replace(settings, rounds=1)
    epochs = task.fine_tuning_epochs if base.epochs is None else base.epochs
    found = []
    for share in DATA_SHARES:
        longer = min(200.0, epochs * min(100 / share, MOST_PASSES))
        for labels in (True, False):
            asked = {"data_share": share / 100, "labels": labels, "patience": 0}
            chosen = base.chosen.with_fields("distill", asked)
            found.append(replace(base, epochs=longer, chosen=chosen).recipe(task))
    return tuple(found)
