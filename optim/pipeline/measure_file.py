"""Measure an ONNX file that the pipeline did not make, against a task's original network.

Everything that reads or runs the file happens in ``optim.intake.sandbox``: first it is admitted and
answers one example; only then is the original made, if it is not there yet, and both are measured.
What is measured are the admitted bytes, which stay in the child's folder.
"""

from __future__ import annotations

from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from optim.artifact import Artifact, GraphFacts, artifact_at
from optim.devices.device import usable_cores
from optim.devices.target import Target
from optim.engines.engine import run_single
from optim.errors import BrokenArtifactError
from optim.graph.inspect import graph_facts
from optim.intake.gate import admit
from optim.intake.limits import limits_for
from optim.intake.reading import read_regular
from optim.intake.sandbox import Plain, Work, run_apart
from optim.measure.latency import measure
from optim.measure.measurement import Latency, MeasuredFile
from optim.measure.scoring import compare, predictions_of
from optim.pipeline.measure import with_predictions
from optim.pipeline.prebuilt import take_in_if_shipped
from optim.pipeline.reference import Reference, prepare_reference
from optim.progress import Progress, part
from optim.recipe import Recipe
from optim.task.task import Task, load_task

if TYPE_CHECKING:
    from optim.store.results import Results

BATCH = 100
"""Examples per run where the file takes any number; bounds the memory."""
PREDICTIONS_NAME = "predictions.npy"
NPY_HEADER = 1024
MODEL_FOLDER = "model"


def measure_file(
    results: Results,
    task: str,
    path: Path,
    target: Target,
    *,
    progress: Progress = lambda share, words: None,
) -> MeasuredFile:
    """Measure the score on the test split, and latency interleaved with the task's original.

    Raises:
        UnknownTaskError: if there is no such task.
        BrokenArtifactError: if the file is no ONNX model that can be worked on within limits, or
            does not fit the task's input and classes.
        EngineError: if the engine cannot load or run it.
    """
    loaded = load_task(task, results.folder)
    with TemporaryDirectory(prefix="edge-optim-") as folder:

        def apart(work: Work, argument: Plain, progress: Progress) -> Plain:
            return run_apart(
                work, argument, Path(folder), name=path.name, limits=limits_for(path),
                progress=progress,
            )  # fmt: skip

        given: Plain = {
            "task": loaded.name,
            "workspace": str(results.folder),
            "path": str(path.absolute()),
            "target": target.to_dict(),
        }
        batch = apart(_look, given, part(progress, 0.0, 0.1))["batch"]
        reference = _original(results, loaded, target, part(progress, 0.1, 0.4))
        baseline, known = reference.artifact, reference.predictions
        assert known is not None  # _original sees to that
        asked: Plain = {
            **given,
            "batch": batch,
            "baseline": {**asdict(baseline), "path": str(baseline.path.absolute())},
            "usual_ms": reference.usual_ms,
        }
        told = apart(_measure, asked, part(progress, 0.4, 1.0))
        test = loaded.split("test")
        answers = read_regular(
            Path(folder) / PREDICTIONS_NAME, at_most=8 * len(test) + NPY_HEADER, follow=False
        )
    return MeasuredFile(
        task=loaded.name,
        artifact=Artifact(**{**told["artifact"], "path": path}),
        facts=GraphFacts(**told["facts"]),
        score=compare(
            np.load(BytesIO(answers), allow_pickle=False),
            known,
            test.targets,
            split="test",
            baseline_sha256=baseline.sha256,
            metric=loaded.metric,
        ),
        latency=Latency.from_dict(told["latency"]),
    )


def _original(results: Results, task: Task, target: Target, progress: Progress) -> Reference:
    """Return the task's original network, made and scored unless it is."""
    take_in_if_shipped(results, task, Recipe())
    reference = prepare_reference(results, task, target, progress=progress)
    return with_predictions(results, task, target, reference, progress=progress)


# --- in the child ---------------------------------------------------------------------------------
def _look(argument: Plain, progress: Progress) -> Plain:
    """Admit the file, leave it in the folder, and see that it answers one example of the task."""
    task, path = _task(argument), Path(argument["path"])
    progress(0.0, "reading the file")
    content = admit(path).content
    model = _model_path(path)
    model.parent.mkdir()
    model.write_bytes(content)
    progress(0.5, "trying one example")
    target = Target.from_dict(argument["target"])
    session = target.load_engine().load(model, threads=1)
    batch = session.inputs[0].shape[0] if session.inputs and session.inputs[0].shape else None
    if batch not in (None, 1):
        raise BrokenArtifactError(
            f"{path.name} takes batches of {batch} alone, and latency is that of single examples. "
            "Export it with a batch that is free, or 1."
        )
    answer = run_single(session, task.example())
    _check_answer(answer, task, path)
    return {"batch": batch or BATCH}


def _measure(argument: Plain, progress: Progress) -> Plain:
    """Answer the test split, time the file, interleaved with the original, and count in it."""
    task, path = _task(argument), Path(argument["path"])
    target, artifact = Target.from_dict(argument["target"]), artifact_at(_model_path(path))
    answers = predictions_of(
        target.load_engine(), artifact.path, task.split("test"), threads=usable_cores(),
        metric=task.metric, batch_size=argument["batch"], progress=part(progress, 0.0, 0.6),
    )  # fmt: skip
    np.save(PREDICTIONS_NAME, answers, allow_pickle=False)
    progress(0.6, "timing it, interleaved with the original")
    told = argument["baseline"]
    latency = measure(
        artifact, Artifact(**{**told, "path": Path(told["path"])}), target,
        example=task.example(target.batch),
        usual_ms=argument["usual_ms"],
    )  # fmt: skip
    progress(0.95, "counting in the file")
    return {
        "artifact": {**asdict(artifact), "path": ""},
        "facts": asdict(graph_facts(artifact.path.read_bytes())),
        "latency": latency.to_dict(),
    }


def _task(argument: Plain) -> Task:
    return load_task(argument["task"], Path(argument["workspace"]))


def _model_path(path: Path) -> Path:
    """Return the admitted file's path in the child's folder: its own name, for sentences."""
    name = path.name if path.suffix == ".onnx" else f"{path.stem[:200]}.onnx"
    return Path(MODEL_FOLDER) / name


def _check_answer(answer: np.ndarray, task: Task, path: Path) -> None:
    if task.labels and answer.shape != (1, len(task.labels)):
        raise BrokenArtifactError(
            f"{path.name} must give one logit for each of the {len(task.labels)} classes of "
            f"{task.name}, shape (1, {len(task.labels)}); it gave {answer.shape}. Choose the task "
            "that it was made for."
        )
