"""Any ONNX file becomes a task: a folder in the workspace with its card, its model and its data.

    admit -> look -> make fit -> read examples -> divide -> choose the metric -> write the folder

All of it happens in ``optim.intake.sandbox``; here only the finished folder is put in its place.

    labels that are classes     accuracy
    labels that are numbers     mean absolute error
    none, answer is a class     agreement with the original
    none, anything else         signal to noise against the original
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from optim.errors import BrokenDataError, WorkspaceError
from optim.graph.onnx_file import read_model
from optim.graph.runner import Runner
from optim.intake.data import (
    Examples,
    divided,
    normalized,
    random_examples,
    read_examples,
)
from optim.intake.fit import Fitted, make_fit
from optim.intake.gate import admit
from optim.intake.limits import limits_for
from optim.intake.look import Look, look_at
from optim.intake.pixels import NORMALIZATIONS
from optim.intake.sandbox import Plain, run_apart
from optim.progress import Progress
from optim.task.card import CARD_NAME
from optim.task.own_data import TARGETS
from optim.task.task import OWN_NAME, SAMPLE_ORDER
from optim.words import one_line

MODEL_NAME = "model.onnx"
TASKS = "tasks"
GUESSED_ON = 128
"""Examples that the normalization of pictures is guessed on."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Result of bringing a file.

    Attributes:
        name: of the task.
        folder: where it lies.
        before, after: the file as it came, and as it is worked on.
        steps: what was done to make it fit.
        free_batch: True if it takes any number of examples at once.
        metric: name of what scores it.
        examples: how many there are in each split.
        data: where they come from, in words.
        preprocessing: what was done to pictures, in words.
        guesses: accuracy by normalization, where one was guessed; 0..1.
    """

    name: str
    folder: Path
    before: Look
    after: Look
    steps: tuple[str, ...]
    free_batch: bool
    metric: str
    examples: Mapping[str, int]
    data: str
    preprocessing: str
    guesses: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {
            "task": self.name, "folder": str(self.folder), "before": self.before.to_dict(),
            "after": self.after.to_dict(), "steps": list(self.steps), "metric": self.metric,
            "free_batch": self.free_batch, "examples": dict(self.examples), "data": self.data,
            "preprocessing": self.preprocessing, "guesses": dict(self.guesses),
        }  # fmt: skip


def look_apart(path: Path) -> Look:
    """Admit a file and say what it is, in a process of its own.

    Raises:
        BrokenArtifactError: if it is no ONNX model that can be worked on within limits.
    """
    with TemporaryDirectory(prefix="edge-optim-") as folder:
        told = run_apart(
            _look, {"path": str(path.absolute())}, Path(folder), name=one_line(path.name),
            limits=limits_for(path),
        )  # fmt: skip
    return Look.from_dict(told["look"])


def bring(
    path: Path,
    workspace: Path,
    *,
    name: str | None = None,
    data: Path | None = None,
    sizes: Mapping[str, int] | None = None,
    frozen: Mapping[str, float] | None = None,
    normalization: str | None = None,
    progress: Progress = lambda share, words: None,
) -> Brought:
    """Make a task of an ONNX file.

    Args:
        path: the file; weights in files beside it are taken in.
        workspace: an existing one.
        name: of the task; by default made from the file's.
        data: a folder of class folders with pictures, or an .npz; None for random inputs.
        sizes: a number for each size that the file leaves free, but the batch.
        frozen: inputs that become constants.
        normalization: of pictures, a key of ``NORMALIZATIONS``; None tries all on labelled examples
            and takes the one with which the model is right most often.

    Raises:
        BrokenArtifactError: if the file is no ONNX model that can be worked on within limits.
        BrokenDataError: if the data does not fit it.
        WorkspaceError: if a task of this name is there already, or it cannot be written.
    """
    chosen = _task_name(path, name)
    place = workspace / TASKS / chosen
    if place.exists():
        raise WorkspaceError(
            f"there is a task {chosen!r} already. Give another name: --name {chosen}-2."
        )
    if normalization is not None and normalization not in NORMALIZATIONS:
        raise BrokenDataError(
            f"normalization must be one of {', '.join(NORMALIZATIONS)}; got {normalization!r:.40}."
        )
    asked: Plain = {
        "path": str(path.absolute()), "title": one_line(path.stem)[:80],
        "data": None if data is None else str(data.absolute()), "sizes": dict(sizes or {}),
        "frozen": dict(frozen or {}), "normalization": normalization,
    }  # fmt: skip
    with TemporaryDirectory(prefix="edge-optim-") as temporary:
        told = run_apart(
            _bring, asked, Path(temporary), name=one_line(path.name), limits=limits_for(path),
            progress=progress,
        )  # fmt: skip
        _put(Path(temporary) / "task", place)
    return Brought(
        **{**told, "before": Look.from_dict(told["before"]), "after": Look.from_dict(told["after"]),
           "steps": tuple(told["steps"])},
        name=chosen, folder=place,
    )  # fmt: skip


def _task_name(path: Path, name: str | None) -> str:
    """Return the given name, or one from the file's."""
    if name is None:
        plain = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")[:60]
        name = plain or "my-network"
        if name in SAMPLE_ORDER:
            name = f"my-{name}"[:60]
    if not OWN_NAME.fullmatch(name) or name in SAMPLE_ORDER:
        raise WorkspaceError(
            "a task's name must consist of small letters, digits, dots, dashes and underscores, at "
            f"most 60, and be no sample's; got {one_line(name)!r:.80}."
        )
    return name


def _put(made: Path, place: Path) -> None:
    """Copy the finished folder beside its place, then put it there at once."""
    waiting = place.with_name(f".{place.name}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(waiting, ignore_errors=True)
        (waiting / "data").mkdir(parents=True)
        for path in (made / CARD_NAME, made / MODEL_NAME, *sorted((made / "data").iterdir())):
            if path.is_symlink() or not path.is_file():
                continue
            shutil.copyfile(path, waiting / path.relative_to(made), follow_symlinks=False)
        os.rename(waiting, place)
    except OSError as error:
        shutil.rmtree(waiting, ignore_errors=True)
        raise WorkspaceError(
            f"the task cannot be written to {place.parent}: {error.strerror}."
        ) from error


# --- in the child ---------------------------------------------------------------------------------
def _look(argument: Plain, progress: Progress) -> Plain:
    return {"look": look_at(admit(Path(argument["path"])).content).to_dict()}


def _bring(argument: Plain, progress: Progress) -> Plain:
    """Leave the folder ``task`` in the current one, and tell what is in it."""
    progress(0.0, "reading the file")
    content = admit(Path(argument["path"])).content
    progress(0.1, "making it fit, and comparing its answers")
    fitted = make_fit(content, sizes=argument["sizes"], frozen=argument["frozen"])
    answer = _answer_of_one(fitted)
    progress(0.4, "reading the examples")
    classes = answer.shape[1] if answer.ndim == 2 and answer.shape[1] > 1 else None
    inputs = fitted.look.inputs
    guesses: dict[str, float] = {}
    if argument["data"] is None:
        examples = random_examples(inputs)
    else:
        examples = read_examples(Path(argument["data"]), inputs, classes)
        if examples.preprocessing:
            examples, guesses = _prepared(examples, fitted, argument["normalization"])
    metric = _metric(examples, answer, classes)
    progress(0.7, "dividing the examples")
    splits = divided(examples)
    folder = Path("task")
    (folder / "data").mkdir(parents=True)
    for name, split in splits.items():
        arrays: dict[str, Any] = dict(split.feeds)
        if split.labelled:
            arrays[TARGETS] = split.targets
        np.savez(folder / "data" / f"{name}.npz", **arrays)
    (folder / MODEL_NAME).write_bytes(fitted.content)
    card = _card(argument["title"], fitted, examples, metric, classes)
    (folder / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return {
        "before": look_at(content).to_dict(), "after": fitted.look.to_dict(),
        "steps": list(fitted.steps), "free_batch": fitted.free_batch, "metric": metric,
        "examples": {name: len(split) for name, split in splits.items()}, "data": examples.words,
        "preprocessing": examples.preprocessing, "guesses": guesses,
    }  # fmt: skip


def _answer_of_one(fitted: Fitted) -> np.ndarray:
    """Return the first output for one random example."""
    model = read_model(fitted.content)
    feeds = random_examples(fitted.look.inputs).rows(np.array([0])).feeds
    return Runner(model).run([model.graph.output[0].name], feeds)[0]


def _prepared(
    examples: Examples, fitted: Fitted, normalization: str | None
) -> tuple[Examples, dict[str, float]]:
    """Return pictures normalised as asked, or as suits the model best; and what each way scored."""
    if normalization is not None:
        return normalized(examples, normalization), {}
    draw = np.random.default_rng(0).permutation(len(examples))[:GUESSED_ON]
    some = examples.rows(np.sort(draw))
    channels = next(iter(some.feeds.values())).shape
    ways = [
        way
        for way, (mean, _) in NORMALIZATIONS.items()
        if len(mean) == 1 or len(mean) in (channels[1], channels[-1])
    ]
    guesses = {way: _accuracy(normalized(some, way), fitted) for way in ways}
    best = max(ways, key=lambda way: guesses[way])
    return normalized(examples, best), guesses


def _accuracy(examples: Examples, fitted: Fitted) -> float:
    model = read_model(fitted.content)
    runner, output = Runner(model), model.graph.output[0].name
    step = 16 if fitted.free_batch else 1
    right = 0
    for start in range(0, len(examples), step):
        part = examples.rows(np.arange(start, min(start + step, len(examples))))
        (answer,) = runner.run([output], part.feeds)
        right += int((answer.argmax(1) == part.targets).sum())
    return right / len(examples)


def _metric(examples: Examples, answer: np.ndarray, classes: int | None) -> str:
    """Return the metric that the known part of the examples allows."""
    if not examples.labelled:
        return "sqnr" if classes is None or examples.random else "agreement"
    if examples.targets.ndim == 1 and examples.targets.dtype.kind in "iu":
        largest = int(examples.targets.max())
        if classes is None or largest >= classes or int(examples.targets.min()) < 0:
            told = "no classes" if classes is None else f"classes 0 to {classes - 1}"
            raise BrokenDataError(
                f"the labels must be classes that the model tells apart; it tells {told}, and the "
                f"labels go up to {largest}."
            )
        return "accuracy"
    if examples.targets.shape[1:] != answer.shape[1:]:
        raise BrokenDataError(
            f"the targets must have the shape of the model's answer, {answer.shape[1:]}; they have "
            f"{examples.targets.shape[1:]}."
        )
    return "mae"


def _card(
    title: str, fitted: Fitted, examples: Examples, metric: str, classes: int | None
) -> dict[str, Any]:
    port = fitted.look.inputs[0]
    labels = list(examples.labels)
    if not labels and classes is not None and metric in ("accuracy", "agreement"):
        labels = [f"class {i}" for i in range(classes)]
    return {
        "title": title,
        "summary": f"Brought as an ONNX file; scored on {examples.words}.",
        "source": "an ONNX file of the user's",
        "licence": "not stated",
        "model": MODEL_NAME,
        "metric": metric,
        "results": {"parameters": fitted.look.parameters},
        "data": {
            "title": examples.words,
            "labels": labels,
            "input_shape": list(port.shape[1:]),
            "input_names": ", ".join(each.name for each in fitted.look.inputs),
            "preprocessing": examples.preprocessing,
            "kind": "image" if examples.preprocessing else "other",
        },
    }
