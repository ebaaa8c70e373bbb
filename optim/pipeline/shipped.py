"""Shipped files of a task's prebuilt candidates, and what was recorded when they were made.

    starters.json     of each: recipe, versions of its steps, hash of the file, accuracy, epochs
    predictions.npz   its predicted class of every test example, by hash
    ID.onnx           its file, unless the pipeline makes it from the weights within seconds

A record stands as long as weights, recipe and the versions of its steps do: only then is it read,
and only another version replaces it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optim.artifact import sha256_of
from optim.candidate import Candidate, candidate_id
from optim.errors import BrokenArtifactError
from optim.intake.arrays import read_arrays
from optim.measure.measurement import Moments, Score
from optim.progress import Epoch
from optim.recipe import STEP_VERSIONS, Recipe, step_kind
from optim.store.training_log import TrainingLog
from optim.task.metric import ACCURACY
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.store.results import Results


@dataclass(frozen=True, kw_only=True)
class Prebuilt:
    """A prebuilt candidate, as it was recorded.

    Attributes:
        candidate: its name: it changes with the weights, the recipe and the versions of its steps.
        recipe: how it is made.
        ships: True if its file lies beside the record.
        sha256: of the file that was measured.
        seconds: how long making it took; None if nobody knows.
        score: on the test split, against the first one, the original.
        training: the log of its last training step.
    """

    candidate: str
    recipe: Recipe
    ships: bool
    sha256: str
    seconds: float | None
    score: Score
    training: tuple[Epoch, ...] = ()

    @property
    def file(self) -> str:
        """The name under which its file ships."""
        return f"{self.candidate}.onnx"


def read_prebuilt(task: Task) -> tuple[Prebuilt, ...]:
    """Return a task's prebuilt candidates, the original first, without those of older steps."""
    path = task.prebuilt_folder / "starters.json"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    known = map(_from_entry, entries)
    return tuple(each for each in known if each.candidate == candidate_id(task, each.recipe))


def recorded_predictions(task: Task) -> Mapping[str, np.ndarray]:
    """Return the predicted class of each test example, (n,), by the hash of the measured file.

    Raises:
        BrokenArtifactError: if they are missing or cannot be read.
    """
    path = task.prebuilt_folder / "predictions.npz"
    try:
        return read_arrays(path)
    except BrokenArtifactError as error:
        raise BrokenArtifactError(
            f"the recorded answers of {task.name} cannot be read from {path.name}. "
            "Restore the file, for example with `git checkout`."
        ) from error


def shipped_content(task: Task, prebuilt: Prebuilt) -> bytes:
    """Return the bytes of a prebuilt file that ships.

    Raises:
        BrokenArtifactError: if the file is missing or not the one that was recorded.
    """
    path = task.prebuilt_folder / prebuilt.file
    content = path.read_bytes() if path.exists() else b""
    if sha256_of(content) != prebuilt.sha256:
        raise BrokenArtifactError(
            f"the shipped file {path.name} is missing or differs from the one that was recorded. "
            "Restore it, for example with `git checkout`."
        )
    return content


def write_prebuilt(
    results: Results,
    task: Task,
    candidates: Collection[Candidate],
    *,
    at_first_need: Collection[Recipe] = (),
) -> None:
    """Ship finished and measured candidates with a task (``sample_models.make_prebuilt``).

    What is recorded already stays to the byte; a step's next version makes a new candidate of it.

    Args:
        candidates: the original first.
        at_first_need: recipes whose files do not ship.

    Raises:
        BrokenArtifactError: if a candidate is not finished.
    """
    folder = task.prebuilt_folder
    folder.mkdir(parents=True, exist_ok=True)
    known = {prebuilt.candidate: prebuilt for prebuilt in read_prebuilt(task)}
    answers = dict(recorded_predictions(task)) if known else {}
    shipped = []
    for candidate in candidates:
        ships = candidate.recipe not in at_first_need
        prebuilt = known.get(candidate.id)
        if prebuilt is None or (ships and not (folder / prebuilt.file).exists()):
            prebuilt = _recorded(results, task, candidate)
            found = results.predictions(candidate.id)
            assert found is not None  # its accuracy was measured here
            answers[prebuilt.sha256] = found
            assert candidate.artifact is not None  # it was recorded
            (folder / prebuilt.file).write_bytes(candidate.artifact.path.read_bytes())
        shipped.append(replace(prebuilt, ships=ships))
    kept = {prebuilt.file for prebuilt in shipped if prebuilt.ships}
    for path in folder.glob("*.onnx"):
        if path.name not in kept:
            path.unlink()
    np.savez_compressed(
        folder / "predictions.npz",
        allow_pickle=False,
        **{prebuilt.sha256: answers[prebuilt.sha256] for prebuilt in shipped},
    )
    entries = [_to_entry(prebuilt) for prebuilt in shipped]
    (folder / "starters.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def _recorded(results: Results, task: Task, candidate: Candidate) -> Prebuilt:
    if candidate.artifact is None or candidate.score is None:
        raise BrokenArtifactError(f"{candidate.words()} is not finished; measure it first.")
    prefix = candidate_id(task, candidate.recipe.training_prefix())
    return Prebuilt(
        candidate=candidate.id,
        recipe=candidate.recipe,
        ships=True,
        sha256=candidate.artifact.sha256,
        seconds=candidate.seconds,
        score=candidate.score,
        training=tuple(TrainingLog(results.folder).get(prefix)),
    )


def _from_entry(entry: dict[str, Any]) -> Prebuilt:
    return Prebuilt(
        candidate=entry["candidate"],
        recipe=Recipe.from_dict(entry["recipe"]),
        ships=entry["ships"],
        sha256=entry["sha256"],
        seconds=entry["seconds"],
        score=_score(entry["accuracy"]),
        training=tuple(Epoch.from_dict(epoch) for epoch in entry["training"]),
    )


def _score(figures: dict[str, Any]) -> Score:
    moments = figures.get("moments")
    known = figures if moments is None else {**figures, "moments": Moments(**moments)}
    return Score(**known, recorded=True)


def _to_entry(prebuilt: Prebuilt) -> dict[str, Any]:
    kinds = [step_kind(step) for step in prebuilt.recipe.steps]
    figures = asdict(prebuilt.score)
    del figures["recorded"]
    if prebuilt.score.moments is None:
        del figures["moments"]
    if prebuilt.score.metric == ACCURACY.name:
        del figures["metric"]  # as it was recorded before there were others
    return {
        "candidate": prebuilt.candidate,
        "words": prebuilt.recipe.words(),
        "versions": {kind: STEP_VERSIONS[kind] for kind in kinds},
        "recipe": prebuilt.recipe.to_dict(),
        "ships": prebuilt.ships,
        "sha256": prebuilt.sha256,
        "seconds": prebuilt.seconds,
        "accuracy": figures,
        "training": [epoch.to_dict() for epoch in prebuilt.training],
    }
