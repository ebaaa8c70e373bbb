"""Sensitivity: each layer alone is quantized, the rest is float.

Accuracy moves in whole examples, and one layer in INT8 rarely moves one. The noise in the logits
tells layers apart where accuracy cannot: each row has both.

"All layers but one" is the other side of it: what a quantized file wins back if this layer alone
keeps its float32 weights. Its activations stay quantized, as its neighbours need them.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optim.candidate import Candidate
from optim.engines.profile import Profile
from optim.errors import Refusal, RefusedError
from optim.measure.noise import sqnr_db
from optim.measure.profile import profile
from optim.measure.scoring import mean_score
from optim.pipeline.make import file_of, make_candidate
from optim.progress import Progress, part
from optim.recipe import INTEGER_PRECISIONS, Precision, Quantize, QuantizeAware
from optim.store.names import from_stored, to_stored
from optim.task.datasets import Split
from optim.task.metric import ACCURACY, Metric, metric_named
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.devices.target import Target
    from optim.graph.simulation.layerwise import Calibrated, Layer
    from optim.store.results import Results


FEWEST_EXAMPLES, MOST_EXAMPLES = 8, 1024
CALIBRATION_MACS, ANSWER_MACS = 7e10, 3e11
"""Work that the examples may cost: multiply-accumulates of one pass over them, and of one pass for
every layer. Set by work and not by time, so that every machine takes the same examples. ResNet-50
at 224 x 224 pixels has 54 layers and is answered on 8: ranges, weights and noise took 49 s on two
processors, 67 s of their time. 16 examples gave each layer's decibels within 0.4 of that."""
SEVERAL_INPUTS = (
    "layers are quantized one by one in a simulation, which takes networks with one input; this "
    "one has several."
)
NO_LAYER = (
    "this network has no named convolution or matrix product with constant float32 weights, so "
    "there is nothing to compare."
)


@dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """One layer in one precision, everything else in FP32.

    Attributes:
        layer: its ONNX node name.
        operator: Conv, Gemm or MatMul.
        precision: of this layer.
        sqnr_db: signal to quantization noise in the logits, decibels; higher is better, infinite
            for FP32.
        score_drop: accuracy of the FP32 file minus that with this layer quantized, on
            *validation*, 0..1; negative is a gain.
        size_bytes: of this layer's weights and scales in this precision.
        time_ms: of this layer in this precision on the engine, milliseconds, from profiles of whole
            files; None where it was not measured.
        alone_in_float_gain: accuracy on validation that a file in this precision wins back when
            this layer alone stays in FP32 ("one but one"), 0..1; None where it was not measured.
        alone_in_float_gain_db: the same in decibels of noise in the logits.
    """

    layer: str
    operator: str
    precision: Precision
    sqnr_db: float
    score_drop: float
    size_bytes: int
    time_ms: float | None = None
    alone_in_float_gain: float | None = None
    alone_in_float_gain_db: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """Every layer in every precision, FP32 included (as the cost of keeping it).

    Attributes:
        rows: in the order of the network, layer by layer.
        score: of the FP32 file on validation, 0..1.
        n: validation examples that accuracies are taken over.
        rest_bytes: of the INT8 file, what belongs to no layer: biases, graph, ranges.
        rest_ms: of the INT8 file, time of what belongs to no layer; None if not measured.
        metric: the name of what scores the examples.
    """

    rows: tuple[LayerSensitivity, ...]
    score: float
    n: int
    rest_bytes: int = 0
    rest_ms: float | None = None
    metric: str = ACCURACY.name

    @property
    def scored_by(self) -> Metric:
        """Metric that scores the examples."""
        return metric_named(self.metric)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        values = to_stored(asdict(self))
        return {**values, "rows": [to_stored(row) for row in values["rows"]]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Sensitivity:
        """Return the inverse of ``to_dict``."""
        rows = tuple(
            LayerSensitivity(**{**from_stored(row), "precision": Precision(row["precision"])})
            for row in data["rows"]
        )
        return cls(**{**from_stored(data), "rows": rows})


def measure_sensitivity(
    results: Results, task: Task, candidate: Candidate, target: Target, *, progress: Progress
) -> Sensitivity:
    """Quantize one layer at a time, and see what it does to the answers.

    A quantized candidate is looked at through its float parent. Weights are rounded and ranges
    read as the ordinary INT8 and INT4 files have them; the examples are the first of a fixed
    shuffle of the validation split, fewer for heavy networks.

    Raises:
        RefusedError: if the weights were trained for one precision, no layer can be quantized, or
            there are several inputs.
    """
    from optim.graph.fuse import fuse
    from optim.graph.inspect import count_macs
    from optim.graph.onnx_file import read_model
    from optim.graph.simulation.layerwise import calibrate_layers

    parent = float_parent(results, task, candidate)
    assert parent.artifact is not None  # float_parent sees to that
    model = read_model(fuse(parent.artifact.path.read_bytes()))
    macs = max(1, count_macs(model))
    calibration = task.split("calibration")
    if calibration.more:
        raise RefusedError(Refusal(reason=SEVERAL_INPUTS))
    inputs = calibration.inputs
    progress(0.0, "reading ranges and rounding weights")
    step = Quantize()
    most = min(step.calibration_examples, calibration_examples(macs))
    try:
        found = calibrate_layers(model, step, inputs[:most])
    except ArithmeticError as error:
        raise RefusedError(Refusal(reason=str(error))) from error
    if not found.layers:
        raise RefusedError(Refusal(reason=NO_LAYER))
    split = task.split("validation").take(answer_examples(macs, len(found.layers)))
    noise = layer_noise(found, split, metric=task.metric, progress=part(progress, 0.1, 0.8))
    progress(0.8, "timing the layers in every precision")
    times, rest_bytes, rest_ms = _files(results, task, parent, found, target, progress)
    rows = tuple(replace(row, time_ms=times[row.precision].get(row.layer)) for row in noise.rows)
    return replace(noise, rows=rows, rest_bytes=rest_bytes, rest_ms=rest_ms)


def float_parent(results: Results, task: Task, candidate: Candidate) -> Candidate:
    """Return the FP32 candidate that a candidate is a quantized version of; itself if it is FP32.

    Raises:
        RefusedError: if it was trained for the quantizers of one precision.
    """
    if candidate.recipe.step(QuantizeAware) is not None:
        raise RefusedError(
            Refusal(
                reason="this candidate was trained for the quantizers of one precision; "
                "another one, layer by layer, would undo that training.",
                remedy="Look at the network as it was before that training.",
            )
        )
    parent = make_candidate(results, task, candidate.recipe.training_prefix())
    if parent.artifact is None:
        assert parent.refusal is not None  # made or refused
        raise RefusedError(parent.refusal)
    return parent


def layer_noise(
    found: Calibrated,
    split: Split,
    *,
    metric: Metric = ACCURACY,
    progress: Progress = lambda share, words: None,
) -> Sensitivity:
    """Return each layer alone in each precision, and all but each layer; nothing is timed."""
    from optim.graph.simulation.layerwise import quantized_throughout, walk

    layers = {layer.name: layer for layer in found.layers}
    reference: np.ndarray | None = None
    alone: dict[tuple[str, Precision], np.ndarray] = {}
    for i, stop in enumerate(walk(found.model, list(layers), split.inputs)):
        progress(i / len(layers) / 2, f"layer {stop.layer} alone in INT8 and INT4")
        if reference is None:
            reference = stop.answer(stop.x, stop.weight)
        layer = layers[stop.layer]
        x = layer.input_on_grid(stop.x)
        for precision in INTEGER_PRECISIONS:
            alone[stop.layer, precision] = stop.answer(x, layer.on_grid(precision))
    assert reference is not None  # there is a layer
    judge = _Judge(metric, reference, split)
    scores = {key: judge.score(answer) for key, answer in alone.items()}
    gains: dict[tuple[str, Precision], _Score] = {}
    for k, precision in enumerate(INTEGER_PRECISIONS):
        own = part(progress, 0.5 + 0.25 * k, 0.75 + 0.25 * k)
        whole = quantized_throughout(found, dict.fromkeys(layers, precision))
        all_of_them: _Score | None = None
        for i, stop in enumerate(walk(whole, list(layers), split.inputs)):
            own(i / len(layers), f"all layers in {precision.upper()} but {stop.layer}")
            if all_of_them is None:
                all_of_them = judge.score(stop.answer(stop.x, stop.weight))
            score = judge.score(stop.answer(stop.x, layers[stop.layer].weight))
            gains[stop.layer, precision] = score.minus(all_of_them)
    whole_score = judge.score(reference).score
    rows = [
        _row(layer, precision, whole_score, scores, gains)
        for layer in found.layers
        for precision in (Precision.FP32, *INTEGER_PRECISIONS)
    ]
    natural = whole_score if metric.higher_is_better else -whole_score
    return Sensitivity(rows=tuple(rows), score=natural, n=len(split), metric=metric.name)


@dataclass(frozen=True)
class _Score:
    sqnr_db: float
    score: float

    def minus(self, other: _Score) -> _Score:
        return _Score(self.sqnr_db - other.sqnr_db, self.score - other.score)


@dataclass(frozen=True)
class _Judge:
    """Scores answers to a split beside those of the FP32 file, turned so that higher is better."""

    metric: Metric
    reference: np.ndarray
    split: Split

    def score(self, answer: np.ndarray) -> _Score:
        mean = mean_score(self.metric, answer, self.split.targets, original=self.reference)
        sign = 1 if self.metric.higher_is_better else -1
        return _Score(sqnr_db(self.reference, answer), sign * mean)


def _row(
    layer: Layer,
    precision: Precision,
    whole_score: float,
    scores: dict[tuple[str, Precision], _Score],
    gains: dict[tuple[str, Precision], _Score],
) -> LayerSensitivity:
    score = scores.get((layer.name, precision), _Score(math.inf, whole_score))
    gain = gains.get((layer.name, precision))
    return LayerSensitivity(
        layer=layer.name,
        operator=layer.operator,
        precision=precision,
        sqnr_db=score.sqnr_db,
        score_drop=whole_score - score.score,
        size_bytes=layer.size_bytes(precision),
        alone_in_float_gain=None if gain is None else gain.score,
        alone_in_float_gain_db=None if gain is None else gain.sqnr_db,
    )


def _files(
    results: Results,
    task: Task,
    parent: Candidate,
    found: Calibrated,
    target: Target,
    progress: Progress,
) -> tuple[dict[Precision, dict[str, float]], int, float]:
    """Time by layer in every precision; bytes and time of the INT8 file that are in no layer."""
    assert parent.artifact is not None
    example = task.example(target.batch)
    times: dict[Precision, dict[str, float]] = {}
    rest_bytes, rest_ms = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for i, precision in enumerate((Precision.FP32, *INTEGER_PRECISIONS)):
            path = parent.artifact.path
            if precision is not Precision.FP32:
                steps = (*parent.recipe.steps, Quantize(precision=precision))
                path = Path(folder) / f"{precision}.onnx"
                path.write_bytes(file_of(results, task, replace(parent.recipe, steps=steps)))
            progress(0.8 + 0.2 * i / 3, f"timing the layers in {precision.upper()}")
            seen = profile(path, example, target)
            times[precision] = layer_times(seen)
            if precision is Precision.INT8:
                rest_ms = seen.total_ms - sum(times[precision].values())
                rest_bytes = path.stat().st_size - sum(
                    layer.size_bytes(precision) for layer in found.layers
                )
    return times, rest_bytes, rest_ms


def layer_times(seen: Profile) -> dict[str, float]:
    """Return the milliseconds of each layer's own kernels, by the layer's name."""
    times: dict[str, float] = {}
    for operator in seen.operators:
        if operator.layer:
            times[operator.layer] = times.get(operator.layer, 0.0) + operator.time_ms
    return times


def calibration_examples(macs: int) -> int:
    """Return how many examples ranges are read from, at most, for a network of so many MACs."""
    return int(max(FEWEST_EXAMPLES, CALIBRATION_MACS // macs))


def answer_examples(macs: int, layers: int) -> int:
    """Return how many examples are answered, for a network of so many MACs and layers."""
    return min(MOST_EXAMPLES, int(max(FEWEST_EXAMPLES, ANSWER_MACS // (macs * layers))))
