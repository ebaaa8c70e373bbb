"""Every rewrite of random networks answers as the network does, or is refused in a sentence.

What is right comes from ONNX's own reference evaluator; from ONNX Runtime, each operator as it
stands, where the reference lacks an operator or the two disagree on the network itself.
"""

import numpy as np
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator

from optim.errors import OptimError
from optim.graph.equivalence import EXACT
from optim.graph.fuse import fuse
from optim.graph.quantization.quantize import quantize
from optim.recipe import Quantize
from tests.graph.random_graphs import RandomGraph, random_graph

PROMISES = (
    # least signal above noise in decibels, with room for networks that make small errors large
    (Quantize(precision="int8"), 6),
    (Quantize(precision="int8", activations="int8"), 6),
    (Quantize(precision="int8", activations="dynamic"), 14),
    (Quantize(precision="int8", activations="float"), 18),
    (Quantize(precision="int8", per_channel=False), 5),
    (Quantize(precision="int8", bias_correction=True), 6),
    (Quantize(precision="int8", equalize=True), 6),
    (Quantize(precision="int8", smooth=0.5), 6),
    (Quantize(precision="int8", calibration="percentile"), 6),
    (Quantize(precision="int8", rounding="gptq", activations="int8"), 6),
    (Quantize(precision="int4"), 0),
    (Quantize(precision="int4", activations="float"), 0),
    (Quantize(precision="int4", activations="dynamic", rounding="nearest"), 0),
    (Quantize(precision="fp16"), 40),
)
OLDEST_TO_QUANTIZE = 13
ROUNDING = 1e-5
"""Outputs below are differences of numbers near 1 that would be 0 in exact arithmetic."""
STEPS_EACH = 2


def answers(content: bytes, graph: RandomGraph, *, optimize: bool = True) -> list[np.ndarray]:
    """All outputs, each as one row of numbers, for all examples."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    given, wanted = graph.model.graph.input[0].name, [v.name for v in graph.model.graph.output]
    assert [value.name for value in session.get_inputs()] == [given]
    assert [value.name for value in session.get_outputs()] == wanted
    return _joined([session.run(None, {given: portion}) for portion in graph.portions])


def right_answers(graph: RandomGraph) -> list[np.ndarray]:
    plain = answers(graph.content, graph, optimize=False)
    try:
        reference = ReferenceEvaluator(graph.model)
        given = graph.model.graph.input[0].name
        right = _joined([reference.run(None, {given: portion}) for portion in graph.portions])
    except Exception:  # the reference raises anything where it lacks an operator
        return plain
    return right if difference(plain, right) <= EXACT else plain


def _joined(runs: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate([part.ravel() for part in parts]) for parts in zip(*runs, strict=True)]


def difference(found: list[np.ndarray], right: list[np.ndarray]) -> float:
    """The largest, as a share of the largest answer of the same output."""
    worst = 0.0
    for a, b in zip(found, right, strict=True):
        if a.shape != b.shape or not np.isfinite(a).all():
            return np.inf
        off = float(np.abs(a - b).max())
        worst = max(worst, off / float(np.abs(b).max()) if off else 0.0)
    return worst


def signal_db(found: list[np.ndarray], right: list[np.ndarray]) -> float:
    """Signal above noise, of the output that has the least; what is only rounding has none."""
    least = np.inf
    for a, b in zip(found, right, strict=True):
        if np.abs(b).max() < ROUNDING:
            continue
        if a.shape != b.shape or not np.isfinite(a).all():
            return -np.inf
        noise = np.square(a.astype(np.float64) - b).sum()
        if noise:
            signal = max(np.square(b, dtype=np.float64).sum(), 1e-300)
            least = min(least, float(10 * np.log10(signal / noise)))
    return least


def check(seed: int, *, steps: int) -> None:
    """Fuse one network and quantize it in some ways.

    A network on which the engine disagrees with itself, optimized and not, is no case for us.
    """
    graph = random_graph(seed)
    right = right_answers(graph)
    assert all(np.isfinite(values).all() for values in right)
    if difference(answers(graph.content, graph), right) > EXACT:
        return
    fused = fuse(graph.content)
    assert difference(answers(fused, graph), right) <= EXACT
    again = fuse(fused)  # ONNX Runtime merges equal operators around an inner output only then
    assert again == fused or difference(answers(again, graph), right) <= EXACT
    rng = np.random.default_rng(seed)
    if graph.model.opset_import[0].version < OLDEST_TO_QUANTIZE:
        with pytest.raises(OptimError):
            quantize(graph.content, PROMISES[0][0], graph.examples)
        return
    for place in rng.choice(len(PROMISES), steps, replace=False):
        step, least = PROMISES[place]
        try:
            content = quantize(graph.content, step, graph.examples)
        except OptimError:
            continue
        assert signal_db(answers(content, graph), right) >= least, step


@pytest.mark.parametrize("first", range(0, 300, 30))
def test_random_networks_keep_their_answers(first):
    for seed in range(first, first + 30):
        try:
            check(seed, steps=STEPS_EACH)
        except Exception as error:
            raise AssertionError(f"network {seed}: {error}") from error


@pytest.mark.faults
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("first", range(1000, 21000, 1000))
def test_twenty_thousand_random_networks_keep_their_answers(first):
    wrong = {}
    for seed in range(first, first + 1000):
        try:
            check(seed, steps=3)
        except Exception as error:  # all are told, not only the first
            wrong[seed] = f"{type(error).__name__}: {error}"[:300]
    assert wrong == {}
