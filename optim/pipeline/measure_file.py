"""Measure an ONNX file that the pipeline did not make, against a task's original network.

The file is parsed, checked and read into memory once; what is measured are those bytes.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from optim.artifact import Artifact, store_artifact
from optim.devices.target import ENGINE, here
from optim.engines import engine_named
from optim.engines.engine import run_single
from optim.errors import BrokenArtifactError
from optim.measure.accuracy import compare_accuracy, predict_classes
from optim.measure.latency import measure_latency
from optim.measure.measurement import MeasuredFile
from optim.pipeline.make import make_candidate
from optim.pipeline.measure import measure_score_of
from optim.pipeline.starters import take_in_if_shipped
from optim.progress import Progress
from optim.recipe import Recipe
from optim.task.task import Task, load_task

if TYPE_CHECKING:
    from optim.store.results import Results


MAX_FILE_BYTES = 2 * 1024**3
"""An ONNX file in one piece cannot be longer: protobuf's own limit."""


def measure_file(
    results: Results, task: str, path: Path, *, progress: Progress = lambda share, words: None
) -> MeasuredFile:
    """Measure accuracy on the test split and latency in turn with the task's original.

    Raises:
        UnknownTaskError: if there is no such task.
        BrokenArtifactError: if the file is no ONNX model, refers to other files, or does not fit
            the task's input and classes.
        EngineError: if the engine cannot load or run it.
    """
    from optim.graph.inspect import graph_facts

    loaded, engine = load_task(task), engine_named(ENGINE)
    content = _checked(path)
    take_in_if_shipped(results, loaded, Recipe())
    baseline = make_candidate(results, loaded, Recipe())
    assert baseline.artifact is not None  # the original network always exports
    test = loaded.split("test")
    with TemporaryDirectory() as folder:
        artifact = store_artifact(content, Path(folder))
        example = np.ascontiguousarray(loaded.split("calibration").inputs[:1])
        answer = run_single(engine.load(artifact.path, threads=1), example)
        _check_answer(answer, loaded, path)
        if (known := results.predictions(baseline.id)) is None:
            progress(0.0, "answering the test split with the original")
            measure_score_of(results, loaded, baseline, progress=_within(progress, 0.0, 0.4))
            known = results.predictions(baseline.id)
        assert known is not None  # measured above, if not before
        answers = predict_classes(
            engine, artifact.path, test, threads=here().cores, progress=_within(progress, 0.4, 0.8)
        )
        progress(0.8, "timing it in turn with the original")
        latency = measure_latency(
            engine,
            baseline.artifact,
            artifact,
            example,
            environment=here(),
            usual_ms=results.usual_baseline_ms(baseline.artifact.sha256, here().fingerprint),
        )
    return MeasuredFile(
        task=loaded.name,
        artifact=Artifact(
            path=path,
            sha256=artifact.sha256,
            size_bytes=artifact.size_bytes,
            compressed_bytes=artifact.compressed_bytes,
        ),
        facts=graph_facts(content),
        score=compare_accuracy(
            answers,
            known,
            test.targets,
            split="test",
            baseline_sha256=baseline.artifact.sha256,
        ),
        latency=latency,
    )


def _checked(path: Path) -> bytes:
    """The bytes of a self-contained ONNX file."""
    from onnx.external_data_helper import uses_external_data

    from optim.graph.onnx_file import read_model

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BrokenArtifactError(f"{path.name} has more than 2 GB. Is it really an ONNX file?")
        content = path.read_bytes()
    except OSError as error:
        raise BrokenArtifactError(
            f"the file {path.name} cannot be read: {error.strerror}. "
            "Check its path and permissions."
        ) from error
    model = read_model(content)
    if any(map(uses_external_data, model.graph.initializer)):
        raise BrokenArtifactError(
            f"{path.name} keeps its weights in other files. Save it in one piece: "
            "onnx.save(model, path, save_as_external_data=False)."
        )
    return content


def _check_answer(answer: np.ndarray, task: Task, path: Path) -> None:
    if answer.shape != (1, len(task.labels)):
        raise BrokenArtifactError(
            f"{path.name} must give one logit for each of the {len(task.labels)} classes of "
            f"{task.name}, shape (1, {len(task.labels)}); it gave {answer.shape}. Choose the task "
            "that it was made for."
        )


def _within(progress: Progress, start: float, end: float) -> Progress:
    return lambda share, words: progress(start + (end - start) * share, words)
