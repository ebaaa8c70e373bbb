"""The ready artifacts of a sample task: made once by the pipeline, shipped, measured on arrival.

``starters/starters.json`` lists recipe, file, hash and the accuracy that was measured when the file
was made; ``predictions.npz`` holds the predicted class of every test example. A file whose hash
differs is left out: a recorded figure belongs to those very bytes.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optim.artifact import sha256_of, store_artifact
from optim.candidate import Candidate, candidate_id
from optim.errors import BrokenArtifactError
from optim.measure.measurement import Accuracy
from optim.pipeline.make import keep_file, make_candidate, registered
from optim.progress import Epoch, Progress
from optim.recipe import Recipe
from optim.store.training_log import TrainingLog
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.store.results import Results


def starter_recipes(task: Task) -> tuple[Recipe, ...]:
    """The recipes of the artifacts that came with a task, in the order they are measured."""
    return tuple(Recipe.from_dict(entry["recipe"]) for entry in _entries(task))


def take_in(results: Results, task: Task, *, progress: Progress) -> tuple[Candidate, ...]:
    """Copy a task's starters into the workspace with their recorded accuracy.

    A task without starters gets its baseline made on the spot.

    Returns:
        The starters' candidates, baseline first.

    Raises:
        BrokenArtifactError: if a shipped file is missing or not the one that was recorded.
    """
    entries = _entries(task)
    if not entries:
        return (make_candidate(results, task, Recipe(), progress=progress),)
    with np.load(task.starters_folder / "predictions.npz", allow_pickle=False) as file:
        predictions = dict(file)
    taken, log = [], TrainingLog(results.folder)
    for i, entry in enumerate(entries):
        progress(i / len(entries), f"taking in {entry['file']}")
        recipe = Recipe.from_dict(entry["recipe"])
        found = registered(results, task, recipe, starter=True)
        if found.artifact is None or not found.artifact.path.exists():
            content = _checked(task.starters_folder / entry["file"], entry["sha256"])
            artifact = store_artifact(content, results.artifacts)
            keep_file(results, found.id, artifact, seconds=entry["seconds"])
        if found.accuracy is None:
            accuracy = Accuracy(**entry["accuracy"], recorded=True)
            results.add_accuracy(found.id, accuracy, predictions[entry["sha256"]])
        prefix = candidate_id(task, recipe.training_prefix())
        log.add(prefix, *(Epoch(**epoch) for epoch in entry.get("training", ())))
        taken.append(registered(results, task, recipe))
    return tuple(taken)


def take_in_if_shipped(results: Results, task: Task, recipe: Recipe) -> None:
    """Take a task's starters in if they hold what a recipe needs: its file, or its trained prefix.

    Raises:
        BrokenArtifactError: as ``take_in``.
    """
    if {recipe, recipe.training_prefix()} & set(starter_recipes(task)):
        take_in(results, task, progress=lambda share, words: None)


def write_starters(results: Results, task: Task, candidates: tuple[Candidate, ...]) -> None:
    """Ship finished and measured candidates with a task (``sample_models.make_starters``)."""
    folder = task.starters_folder
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    entries: list[dict[str, Any]] = []
    predictions, log = {}, TrainingLog(results.folder)
    for candidate in candidates:
        artifact, accuracy = candidate.artifact, candidate.accuracy
        if artifact is None or accuracy is None:
            raise BrokenArtifactError(f"{candidate.words()} is not finished; measure it first.")
        name = f"{candidate.id}.onnx"
        (folder / name).write_bytes(artifact.path.read_bytes())
        answers = results.predictions(candidate.id)
        assert answers is not None  # its accuracy was measured here
        predictions[artifact.sha256] = answers
        figures = {key: value for key, value in asdict(accuracy).items() if key != "recorded"}
        entries.append(
            {
                "words": candidate.words(),
                "recipe": candidate.recipe.to_dict(),
                "file": name,
                "sha256": artifact.sha256,
                "seconds": candidate.seconds,
                "accuracy": figures,
                "training": [
                    asdict(epoch)
                    for epoch in log.get(candidate_id(task, candidate.recipe.training_prefix()))
                ],
            }
        )
    np.savez_compressed(folder / "predictions.npz", allow_pickle=False, **predictions)
    (folder / "starters.json").write_text(json.dumps(entries, indent=1) + "\n")


def _entries(task: Task) -> list[dict[str, Any]]:
    path = task.starters_folder / "starters.json"
    entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return entries


def _checked(path: Path, sha256: str) -> bytes:
    content = path.read_bytes() if path.exists() else b""
    if sha256_of(content) != sha256:
        raise BrokenArtifactError(
            f"the shipped file {path.name} is missing or differs from the one that was recorded. "
            "Restore it, for example with `git checkout`."
        )
    return content
