"""Trainings with realistic curves, as the log has them; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from optim.candidate import Candidate, candidate_id, role_of
from optim.progress import Epoch
from optim.recipe import Distill, Prune, Quantize, Recipe, Replace
from optim.recipe.edit import without_teacher
from optim.task.task import load_task
from optim.training_history.history import Training, stage_recipes, trainings
from tests.dashboard.factories import candidate

TASK = load_task("fashion-squeezenet")
N = 5_000
NARROW = Replace(architecture="squeezenet", width=0.5, epochs=0)
INT8 = Quantize(precision="int8")
TAUGHT = Recipe(steps=(NARROW, Distill(epochs=3), INT8))
ALONE = without_teacher(TAUGHT)
ROUNDS = Recipe(steps=(Prune(ratio=0.75, rounds=3, epochs=3), INT8))
AT_ONCE = Recipe(steps=(Prune(ratio=0.75, epochs=3), INT8))

Logs = dict[str, tuple[Epoch, ...]]


def epochs(*accuracies: float, seconds: float = 10.0) -> tuple[Epoch, ...]:
    """A log with these accuracies, every epoch as long."""
    return tuple(
        Epoch(epoch=i, loss=1.0, score=accuracy, seconds=seconds)
        for i, accuracy in enumerate(accuracies, start=1)
    )


def log_name(recipe: Recipe) -> str:
    """Under which a recipe's last training step is logged."""
    return candidate_id(TASK, recipe.training_prefix())


def logs() -> Logs:
    """A narrow student with and without a teacher; three rounds, and one cut."""
    first, second, third = stage_recipes(ROUNDS)
    return {
        log_name(TAUGHT): epochs(0.70, 0.89, 0.912, seconds=12.0),
        log_name(ALONE): epochs(0.60, 0.85, 0.889),
        log_name(first): epochs(0.93),
        log_name(second): epochs(0.92),
        log_name(third): epochs(0.90),
        log_name(AT_ONCE): epochs(0.80, 0.86, 0.88),
    }


def finished(recipe: Recipe) -> Candidate:
    """A measured candidate of these trainings."""
    return candidate(recipe, speedup=4.0, size_bytes=400_000, lost=80, task=TASK.name)


def asked_for(recipe: Recipe) -> Candidate:
    """A candidate of which nothing is made yet."""
    return Candidate(
        id=recipe.fingerprint[:12], task=TASK.name, recipe=recipe, role=role_of(recipe)
    )


def rows_of(
    recipes: Sequence[Recipe] = (TAUGHT, ALONE, ROUNDS, AT_ONCE),
    known: Logs | None = None,
    *,
    running: Sequence[Recipe] = (),
    shipped: Sequence[Recipe] = (),
) -> tuple[Training, ...]:
    """The rows of the page."""
    log = logs() if known is None else known
    made = [
        asked_for(r) if r in running else replace(finished(r), prebuilt=r in shipped)
        for r in recipes
    ]
    return trainings(TASK, made, lambda name: log.get(name, ()), running=running)


def data_efficiency_recipes() -> dict[Recipe, tuple[Epoch, ...]]:
    """1, 10 and 100 % of the data, three ways of learning, each with its log."""
    ends = {0.01: (0.72, 0.64, 0.70), 0.1: (0.84, 0.81, 0.83), 1.0: (0.912, 0.889, 0.905)}
    found = {}
    for share, (both, labels, teacher) in ends.items():
        for step, end in (
            (Distill(epochs=3, data_share=share), both),
            (Distill(epochs=3, data_share=share, alpha=0), labels),
            (Distill(epochs=3, data_share=share, labels=False), teacher),
        ):
            found[Recipe(steps=(NARROW, step, INT8))] = epochs(0.5, 0.6, end)
    return found
