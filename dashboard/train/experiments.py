"""The series of trainings that Distill & train offers, made out of what its left column says."""

from __future__ import annotations

from dataclasses import replace

from dashboard.state.training_settings import Student, TrainingSettings
from optim.recipe import Prune, Recipe
from optim.task.task import Task

FEW_SHARES = (1, 10, 100)
"""Those of the curve that asks how little data is enough."""
MOST_PASSES = 10
"""Epochs of little data have fewer steps, so there are more of them: at most so many times."""
ROUNDS = 4
"""What pruning in rounds is shown with, unless somebody chooses otherwise."""


def share_of(settings: TrainingSettings) -> int:
    """Percent of the training split that is used."""
    used: float = settings.chosen.fields("distill").get("data_share", 1.0)
    return round(100 * used)


def rounds_recipes(settings: TrainingSettings, task: Task) -> tuple[Recipe, Recipe]:
    """Pruning in rounds, and at once with as many epochs."""
    pruned = replace(settings, student=Student.PRUNED)
    rounds = replace(pruned, rounds=settings.rounds if settings.in_rounds else ROUNDS).recipe(task)
    step = rounds.step(Prune)
    assert step is not None  # the settings say rounds
    at_once = (replace(step, rounds=1), *rounds.steps[1:])
    return rounds, Recipe(steps=at_once)


def little_data_recipes(settings: TrainingSettings, task: Task) -> tuple[Recipe, ...]:
    """The student on 1, 10 and 100 % of the data: with a teacher, without, and without labels.

    An epoch of less data has fewer steps, so there are more of them, up to ten times as many.
    """
    base = replace(settings, rounds=1)
    epochs = task.fine_tuning_epochs if base.epochs is None else base.epochs
    found = []
    for share in FEW_SHARES:
        longer = min(200.0, epochs * min(100 / share, MOST_PASSES))
        for labels in (True, False):
            asked = {"data_share": share / 100, "labels": labels, "patience": 0}
            chosen = base.chosen.with_fields("distill", asked)
            found.append(replace(base, epochs=longer, chosen=chosen).recipe(task))
    return tuple(found)
