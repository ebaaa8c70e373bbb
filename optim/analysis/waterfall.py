"""Waterfall: where the accuracy of a quantized file went, from FP32 down, step by step.

FP32 -> weights quantized -> activations quantized: the file -> single layers back in FP32
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from optim.artifact import Artifact, store_artifact
from optim.candidate import Candidate
from optim.devices.device import usable_cores
from optim.engines.engine import run_single
from optim.errors import Refusal, RefusedError
from optim.measure.latency import measure
from optim.measure.noise import sqnr_db
from optim.measure.scoring import mean_score
from optim.pipeline.make import file_of
from optim.progress import Progress
from optim.recipe import Activations, Precision, Quantize, Recipe
from optim.recipe.edit import keep_in_float, precisions_of
from optim.store.names import from_stored, to_stored
from optim.task.datasets import Split
from optim.task.metric import ACCURACY, Metric, metric_named
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.devices.target import Target
    from optim.store.results import Results


EXAMPLES, SIMULATED_EXAMPLES = 2048, 128
BATCH = 64
MOST_LAYERS = 5
"""Layers that are tried in FP32: each needs a file of its own, answered and timed."""
TIMING_S = 0.6


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step of the waterfall: the same network with a little more of it quantized.

    Attributes:
        name: in words, such as ``weights in INT8``.
        score: on validation, by the task's metric: for accuracy a share, 0..1.
        sqnr_db: signal to noise in the logits against FP32, decibels; None for FP32 itself.
    """

    name: str
    score: float
    sqnr_db: float | None


@dataclass(frozen=True, kw_only=True)
class KeptInFloat:
    """Measured gain of keeping one layer in FP32.

    Attributes:
        layer: its ONNX node name.
        score_gain: what the score on validation becomes more by.
        sqnr_gain_db: decibels in the logits.
        time_ms: latency added, milliseconds (negative: it becomes faster).
        size_bytes: bytes added.
    """

    layer: str
    score_gain: float
    sqnr_gain_db: float
    time_ms: float
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Waterfall:
    """The way from the float parent to the quantized file.

    Attributes:
        stages: FP32 first, the file last.
        layers: those whose return to FP32 wins most, best first.
        n: validation examples.
        metric: the name of what scores them.
    """

    stages: tuple[Stage, ...]
    layers: tuple[KeptInFloat, ...]
    n: int
    metric: str = ACCURACY.name

    @property
    def scored_by(self) -> Metric:
        """Metric that scores the examples."""
        return metric_named(self.metric)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        values = asdict(self)
        rows = {name: [to_stored(row) for row in values[name]] for name in ("stages", "layers")}
        return {**values, **rows}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Waterfall:
        """Return the inverse of ``to_dict``."""
        return cls(
            stages=tuple(Stage(**from_stored(row)) for row in data["stages"]),
            layers=tuple(KeptInFloat(**from_stored(row)) for row in data["layers"]),
            n=data["n"],
            metric=data.get("metric", ACCURACY.name),
        )


def measure_waterfall(
    results: Results, task: Task, candidate: Candidate, target: Target, *, progress: Progress
) -> Waterfall:
    """Quantize more and more of the float parent until it is the candidate's file.

    All figures are of real files on the engine. The layers that are tried in FP32 are those whose
    return quiets the logits most in a simulation of the file.

    Raises:
        RefusedError: if the candidate is not quantized.
    """
    step = candidate.recipe.step(Quantize)
    if step is None:
        raise RefusedError(
            Refusal(
                reason=f"{candidate.words()} is not quantized, so quantization took nothing.",
                remedy="Look at an INT8 or INT4 version of it.",
            )
        )
    artifact = candidate.artifact
    assert artifact is not None  # optim.analysis.analyses sees to that
    split = task.split("validation").take(EXAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        files = _Files(results, task, target, split, Path(folder))
        progress(0.0, "FP32 and the quantized file")
        float_file = files.of(candidate.recipe.training_prefix())
        exact = files.answers(float_file)
        stages = [Stage(name="FP32", score=files.score(exact, exact), sqnr_db=None)]
        if step.activations not in (Activations.FLOAT, None):
            progress(0.1, "weights alone")
            weights = files.of(candidate.recipe.with_step(_weights_alone(step)))
            name = f"weights in {step.precision.upper()}"
            stages.append(files.stage(name, exact, files.answers(weights)))
        answers = files.answers(artifact)
        stages.append(files.stage(_last_stage(step), exact, answers))
        progress(0.2, "looking for the layers that carry the loss")
        layers = _loudest_layers(float_file, task, candidate.recipe)
        kept = []
        for i, layer in enumerate(layers):
            progress(0.3 + 0.7 * i / len(layers), f"with {layer} in FP32")
            kept.append(files.kept(candidate.recipe, artifact, layer, exact, answers))
    sign = 1 if task.metric.higher_is_better else -1
    kept.sort(key=lambda row: (-sign * row.score_gain, -row.sqnr_gain_db))
    return Waterfall(
        stages=tuple(stages), layers=tuple(kept), n=len(split), metric=task.metric.name
    )


@dataclass(frozen=True)
class _Files:
    """Files of some recipes and their answers, in a folder that is thrown away."""

    results: Results
    task: Task
    target: Target
    split: Split
    folder: Path

    def of(self, recipe: Recipe) -> Artifact:
        return store_artifact(file_of(self.results, self.task, recipe), self.folder)

    def answers(self, artifact: Artifact) -> np.ndarray:
        """Return logits, float32, shape (n, classes)."""
        session = self.target.load_engine().load(artifact.path, threads=usable_cores())
        starts = range(0, len(self.split), BATCH)
        return np.concatenate(
            [run_single(session, self.split.rows(slice(i, i + BATCH)).feeds) for i in starts]
        )

    def score(self, answers: np.ndarray, exact: np.ndarray) -> float:
        """Return the mean score of answers beside those of the FP32 file."""
        return mean_score(self.task.metric, answers, self.split.targets, original=exact)

    def stage(self, name: str, exact: np.ndarray, answers: np.ndarray) -> Stage:
        """Score a file of the way, and measure its error."""
        return Stage(name=name, score=self.score(answers, exact), sqnr_db=sqnr_db(exact, answers))

    def kept(
        self, recipe: Recipe, file: Artifact, layer: str, exact: np.ndarray, answers: np.ndarray
    ) -> KeptInFloat:
        """Return what changes if a layer of the file stays in FP32."""
        other = self.of(keep_in_float(recipe, [layer]))
        better = self.answers(other)
        latency = measure(
            other,
            file,
            self.target,
            example=self.task.example(self.target.batch),
            budget_s=TIMING_S,
            max_restarts=1,
        )
        return KeptInFloat(
            layer=layer,
            score_gain=self.score(better, exact) - self.score(answers, exact),
            sqnr_gain_db=sqnr_db(exact, better) - sqnr_db(exact, answers),
            time_ms=float(np.median(latency.baseline_ms)) * (1 / latency.speedup - 1),
            size_bytes=other.size_bytes - file.size_bytes,
        )


def _loudest_layers(float_file: Artifact, task: Task, recipe: Recipe) -> list[str]:
    """Return the layers that reduce the error most when kept in FP32, best first; simulated."""
    from optim.graph.fuse import fuse
    from optim.graph.onnx_file import read_model
    from optim.graph.simulation.layerwise import calibrate_layers, quantized_throughout, walk

    step = recipe.step(Quantize)
    assert step is not None  # measure_waterfall has looked
    if step.precision is Precision.FP16 or task.split("validation").more:
        return []  # the simulation quantizes layers of networks with one input
    model = read_model(fuse(float_file.path.read_bytes()))
    calibration = task.split("calibration").inputs[: step.calibration_examples]
    found = calibrate_layers(model, step, calibration)
    precisions = precisions_of(recipe, [layer.name for layer in found.layers])
    whole = quantized_throughout(
        found, precisions, activations=step.activations is not Activations.FLOAT
    )
    inputs = task.split("validation").take(SIMULATED_EXAMPLES).inputs
    exact_stop = next(walk(found.model, list(precisions), inputs))
    exact = exact_stop.answer(exact_stop.x, exact_stop.weight)
    quiet = {}
    for stop in walk(whole, list(precisions), inputs):
        if precisions[stop.layer] is not Precision.FP32:
            weight = next(layer.weight for layer in found.layers if layer.name == stop.layer)
            quiet[stop.layer] = sqnr_db(exact, stop.answer(stop.x, weight))
    if len(quiet) < 2:
        return []  # with its last layer in FP32 nothing would be quantized
    return sorted(quiet, key=lambda name: -quiet[name])[:MOST_LAYERS]


def _weights_alone(step: Quantize) -> Quantize:
    """Return the same weights beside float activations; what only activations need is left out."""
    return replace(step, activations=Activations.FLOAT, smooth=0.0)


def _last_stage(step: Quantize) -> str:
    match step.activations:
        case Activations.UINT8 | Activations.INT8:
            return f"activations in {step.activations.upper()}: the file"
        case Activations.DYNAMIC:
            return "activations in INT8, ranges found in each run: the file"
        case Activations.FLOAT | None:
            return f"weights in {step.precision.upper()}: the file"
        case _:
            assert_never(step.activations)
