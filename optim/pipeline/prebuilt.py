"""Bring the prebuilt candidates of a task into a workspace, with their recorded accuracy.

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
    Prebuilt,
    read_prebuilt,
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


def prebuilt_recipes(task: Task) -> tuple[Recipe, ...]:
    """Return the recipes of a task's prebuilt candidates, in the order they are measured."""
    return tuple(prebuilt.recipe for prebuilt in read_prebuilt(task))


def take_in(results: Results, task: Task, *, progress: Progress) -> tuple[Candidate, ...]:
    """Bring a task's prebuilt candidates into the workspace with their recorded accuracy.

    Files that do not ship are made on the spot. A task without any gets its baseline made.

    Returns:
        These candidates, baseline first. Those whose file answers otherwise than recorded
        have no accuracy yet.

    Raises:
        BrokenArtifactError: if a shipped file is missing or not the one that was recorded.
    """
    known = read_prebuilt(task)
    if not known:
        return (make_candidate(results, task, Recipe(), progress=progress),)
    taken, log = [], TrainingLog(results.folder)
    for i, prebuilt in enumerate(known):
        share = part(progress, i / len(known), (i + 1) / len(known))
        share(0.0, f"taking in {prebuilt.recipe.words()}")
        taken.append(_with_file(results, task, prebuilt, share))
        log.add(candidate_id(task, prebuilt.recipe.training_prefix()), *prebuilt.training)
    if any(candidate.score is None for candidate in taken):
        _add_recorded(results, task, known, taken, progress)
    return tuple(registered(results, task, prebuilt.recipe) for prebuilt in known)


def take_in_if_shipped(
    results: Results, task: Task, recipe: Recipe, *, progress: Progress = lambda share, words: None
) -> None:
    """Take a task's prebuilt candidates in if a recipe needs one: its file, or its trained prefix.

    Raises:
        BrokenArtifactError: as ``take_in``.
    """
    if {recipe, recipe.training_prefix()} & set(prebuilt_recipes(task)):
        take_in(results, task, progress=progress)


def _with_file(results: Results, task: Task, prebuilt: Prebuilt, progress: Progress) -> Candidate:
    found = registered(results, task, prebuilt.recipe, prebuilt=True)
    if found.artifact is not None and found.artifact.path.exists():
        return found
    if not prebuilt.ships:
        return make_candidate(results, task, prebuilt.recipe, progress=progress)
    artifact = store_artifact(shipped_content(task, prebuilt), results.artifacts)
    return keep_file(results, found, artifact, seconds=prebuilt.seconds)


def _add_recorded(
    results: Results,
    task: Task,
    known: Sequence[Prebuilt],
    taken: Sequence[Candidate],
    progress: Progress,
) -> None:
    """Keep the recorded accuracy of each file to which it still belongs.

    All are pairs with the original, so none is kept where the original answers otherwise.
    """
    answers, baseline = recorded_predictions(task), taken[0].artifact
    for prebuilt, candidate in zip(known, taken, strict=True):
        original = candidate is taken[0]
        if candidate.score is not None and not original:
            continue
        recorded = answers[prebuilt.sha256]
        if not _answers_so(task, candidate, prebuilt.sha256, recorded):
            progress(1.0, f"{candidate.words()} answers otherwise than recorded: it is tested here")
            if original:
                return
        elif candidate.score is None:
            assert baseline is not None  # it answers, so it has a file
            accuracy = replace(prebuilt.score, baseline_sha256=baseline.sha256)
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
