"""The ready candidates of a task come into a workspace: copied, or made, with recorded accuracy.

A recorded figure belongs to a file that answers as the measured one did: the same bytes, or, where
another version of the exporter wrote other bytes, the same answers to ``CHECKED`` test examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optim.artifact import store_artifact
from optim.candidate import Candidate, candidate_id
from optim.devices.target import Target
from optim.measure.scoring import predictions_of
from optim.pipeline.make import keep_file, make_candidate, registered
from optim.pipeline.shipped import (
    Starter,
    read_starters,
    recorded_predictions,
    shipped_content,
)
from optim.progress import Progress, part
from optim.recipe import Recipe
from optim.store.training_log import TrainingLog
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.store.results import Results

CHECKED = 500
"""Test examples that a file of other bytes must answer as the measured one did."""


def starter_recipes(task: Task) -> tuple[Recipe, ...]:
    """The recipes of a task's ready candidates, in the order they are measured."""
    return tuple(starter.recipe for starter in read_starters(task))


def take_in(results: Results, task: Task, *, progress: Progress) -> tuple[Candidate, ...]:
    """Bring a task's starters into the workspace with their recorded accuracy.

    Files that do not ship are made on the spot. A task without starters gets its baseline made.

    Returns:
        The starters' candidates, baseline first. Those whose file answers otherwise than recorded
        have no accuracy yet.

    Raises:
        BrokenArtifactError: if a shipped file is missing or not the one that was recorded.
    """
    starters = read_starters(task)
    if not starters:
        return (make_candidate(results, task, Recipe(), progress=progress),)
    taken, log = [], TrainingLog(results.folder)
    for i, starter in enumerate(starters):
        share = part(progress, i / len(starters), (i + 1) / len(starters))
        share(0.0, f"taking in {starter.recipe.words()}")
        taken.append(_with_file(results, task, starter, share))
        log.add(candidate_id(task, starter.recipe.training_prefix()), *starter.training)
    if any(candidate.score is None for candidate in taken):
        _add_recorded(results, task, starters, taken, progress)
    return tuple(registered(results, task, starter.recipe) for starter in starters)


def take_in_if_shipped(
    results: Results, task: Task, recipe: Recipe, *, progress: Progress = lambda share, words: None
) -> None:
    """Take a task's starters in if they hold what a recipe needs: its file, or its trained prefix.

    Raises:
        BrokenArtifactError: as ``take_in``.
    """
    if {recipe, recipe.training_prefix()} & set(starter_recipes(task)):
        take_in(results, task, progress=progress)


def _with_file(results: Results, task: Task, starter: Starter, progress: Progress) -> Candidate:
    found = registered(results, task, starter.recipe, starter=True)
    if found.artifact is not None and found.artifact.path.exists():
        return found
    if not starter.ships:
        return make_candidate(results, task, starter.recipe, progress=progress)
    artifact = store_artifact(shipped_content(task, starter), results.artifacts)
    return keep_file(results, found, artifact, seconds=starter.seconds)


def _add_recorded(
    results: Results,
    task: Task,
    starters: Sequence[Starter],
    taken: Sequence[Candidate],
    progress: Progress,
) -> None:
    """Keep the recorded accuracy of each file to which it still belongs.

    All are pairs with the original, so none is kept where the original answers otherwise.
    """
    answers, baseline = recorded_predictions(task), taken[0].artifact
    for starter, candidate in zip(starters, taken, strict=True):
        original = candidate is taken[0]
        if candidate.score is not None and not original:
            continue
        recorded = answers[starter.sha256]
        if not _answers_so(task, candidate, starter.sha256, recorded):
            progress(1.0, f"{candidate.words()} answers otherwise than recorded: it is tested here")
            if original:
                return
        elif candidate.score is None:
            assert baseline is not None  # it answers, so it has a file
            accuracy = replace(starter.score, baseline_sha256=baseline.sha256)
            results.add_score(candidate.id, accuracy, recorded)


def _answers_so(task: Task, candidate: Candidate, sha256: str, recorded: np.ndarray) -> bool:
    """True if a file is the one that was measured, or answers as it did."""
    if candidate.artifact is None or candidate.artifact.sha256 == sha256:
        return candidate.artifact is not None
    answers = predictions_of(
        Target().load_engine(),
        candidate.artifact.path,
        task.split("test").first(CHECKED),
        threads=1,
        metric=task.metric,
    )
    return np.array_equal(answers, recorded[: len(answers)])
