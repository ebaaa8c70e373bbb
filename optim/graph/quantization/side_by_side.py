"""The float32 network and the quantized one, side by side, from layer to layer.

What a layer should give is known from the float network; what it gets is known from the quantized
one, whose earlier layers are settled already. Between the two lies all that learned rounding and
bias correction need. Each operator runs once, on all examples, in either network:

    float:       x --layer--> y (target)         x --next...
    quantized:   x^ --layer with settled weights--> y^       x^ --next...

Quantization is simulated: numbers lie on the grid of the file but are float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from optim.errors import BrokenArtifactError, EngineError, Refusal, RefusedError
from optim.graph.examples import Examples, batches, feeds_of, fixed_batch
from optim.graph.onnx_file import constants, consumers
from optim.graph.quantization.calibrate import Ranges
from optim.graph.quantization.int8 import activation_grid, signed_activation_grid
from optim.graph.quantization.layers import clamp_bounds, following_clamp
from optim.graph.quantization.plan import Plan
from optim.graph.runner import Runner
from optim.graph.subgraphs import reads
from optim.recipe import Activations

OnGrid = Callable[[str, np.ndarray], np.ndarray]
"""What quantization makes of a tensor, by its name."""


@dataclass(frozen=True, kw_only=True)
class PairedActivations:
    """Both networks at one layer.

    Attributes:
        node: the layer in the float network.
        reads: what it reads in the quantized network, as settled so far.
        target: what it gives in the float network, before any clamp.
        clamp: between which numbers a Relu or Clip behind it keeps its output.
    """

    node: NodeProto
    reads: np.ndarray
    target: np.ndarray
    clamp: tuple[float, float]


def meetings(
    model: ModelProto,
    plan: Plan,
    on_grid: OnGrid,
    settled: Mapping[str, np.ndarray],
    layers: Sequence[str],
    examples: Examples,
) -> Iterator[PairedActivations]:
    """Stop before each of the layers, in the order in which they run.

    Args:
        model: float32, nodes in order, each layer with constants of its own.
        plan: what becomes INT8, made from this model.
        on_grid: what quantization makes of a tensor.
        settled: constants of the quantized network that differ from the model's, by name. It is
            read when an operator runs: set a layer's weights before asking for the next meeting.
        layers: output names in the float network.
        examples: float32, shape (n, ...).
    """
    values = constants(model)
    readers = consumers(model.graph.node)
    outputs = {value.name for value in model.graph.output}
    nodes = {node.output[0]: node for node in model.graph.node}
    by_weight = {nodes[name].input[1]: name for name in layers}
    exact = _alive_before_each(model, list(model.graph.node), lambda name, x: x, {}, examples)
    rough = _alive_before_each(model, plan.nodes, on_grid, settled, examples)
    for planned, alive in rough:
        weight = planned.input[1] if planned is not None and len(planned.input) > 1 else ""
        if planned is None or weight not in by_weight:
            continue
        node = nodes[by_weight[weight]]
        target = next(after[node.output[0]] for _, after in exact if node.output[0] in after)
        clamp = following_clamp(node, readers, outputs)
        bounds = None if clamp is None else clamp_bounds(clamp, values)
        yield PairedActivations(
            node=node,
            reads=np.concatenate(alive[planned.input[0]]),
            target=np.concatenate(target),
            clamp=bounds or (-np.inf, np.inf),
        )


def grid_of_activations(plan: Plan, ranges: Ranges, activations: Activations | None) -> OnGrid:
    """Return the fake-quantizer that each tensor gets in a file with these activations."""
    if activations is Activations.FLOAT:
        return lambda name, x: x
    if activations is Activations.DYNAMIC:
        read = {node.input[0] for node in plan.nodes if node.output[0] in plan.layers}
        return lambda name, x: _each_on_its_own_grid(x) if name in read else x
    signed = activations is Activations.INT8
    limits = (-128, 127) if signed else (0, 255)
    grid_of = signed_activation_grid if signed else activation_grid
    grids = plan.grids

    def on_grid(name: str, x: np.ndarray) -> np.ndarray:
        if name not in grids:
            return x
        scale, zero_point = grid_of(*ranges[grids[name]])
        return _rounded(x, scale, int(zero_point), limits)

    return on_grid


def run_node(
    model: ModelProto, node: NodeProto, feeds: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Return the outputs of a single operator.

    Args:
        model: for its opset.
        node: all of its inputs are in ``feeds``.

    Raises:
        RefusedError: if it cannot run by itself.
    """
    return _run_each(model, node, [feeds])[0]


def _run_each(
    model: ModelProto, node: NodeProto, portions: Sequence[Mapping[str, np.ndarray]]
) -> list[tuple[np.ndarray, ...]]:
    """Return the outputs of a single operator for several feeds of the same shapes."""
    feeds = portions[0]
    names = list(dict.fromkeys(reads(node)))
    outputs = [name for name in node.output if name]
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(feeds[name].dtype), feeds[name].shape
            )
            for name in names
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
    )
    one = helper.make_model(graph, ir_version=model.ir_version, opset_imports=model.opset_import)
    try:
        runner = Runner(one)
        return [tuple(runner.run(outputs, {n: feeds[n] for n in names})) for feeds in portions]
    except (BrokenArtifactError, EngineError) as error:
        raise RefusedError(
            Refusal(
                reason="learned rounding and bias correction run each operator by itself, and "
                f"{node.op_type} does not: {error}",
                remedy="Choose nearest or compensated rounding without bias correction.",
            )
        ) from error


def _alive_before_each(
    model: ModelProto,
    nodes: Sequence[NodeProto],
    on_grid: OnGrid,
    settled: Mapping[str, np.ndarray],
    examples: Examples,
) -> Iterator[tuple[NodeProto | None, dict[str, list[np.ndarray]]]]:
    """Yield each operator with the tensors that are needed from there on, then None with the last.

    A tensor has an array for each portion of the examples: one for all if the batch is free.
    """
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    last = {name: place for place, node in enumerate(nodes) for name in reads(node)}
    portions = [examples] if fixed_batch(model) is None else list(batches(model, examples))
    feeds = [feeds_of(model, portion) for portion in portions]
    alive = {name: [on_grid(name, given[name]) for given in feeds] for name in feeds[0]}
    for place, node in enumerate(nodes):
        yield node, alive
        fixed = {
            name: settled[name] if name in settled else numpy_helper.to_array(values[name])
            for name in reads(node) if name not in alive
        }  # fmt: skip
        moving = [name for name in reads(node) if name in alive]
        found = _run_each(
            model,
            node,
            [fixed | {name: alive[name][i] for name in moving} for i in range(len(portions))],
        )
        for name, column in zip(filter(None, node.output), zip(*found, strict=True), strict=True):
            alive[name] = [on_grid(name, value) for value in column]
        for name in reads(node):
            if last[name] == place:
                alive.pop(name, None)
    yield None, alive


def _rounded(
    x: np.ndarray, scale: np.float32, zero_point: int, limits: tuple[int, int]
) -> np.ndarray:
    """Round with a fixed scale and zero point; float32."""
    levels = np.rint(x / scale)
    np.clip(levels, limits[0] - zero_point, limits[1] - zero_point, out=levels)
    levels *= scale
    return levels.astype(np.float32, copy=False)


def _each_on_its_own_grid(x: np.ndarray) -> np.ndarray:
    """Return every example on the unsigned grid over its own range, as at batch 1; float32."""
    axes = tuple(range(1, x.ndim))
    low = np.minimum(x.min(axis=axes, keepdims=True), 0)
    high = np.maximum(x.max(axis=axes, keepdims=True), 0)
    scale = np.where(high > low, high - low, 1) / np.float32(255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    levels = np.clip(np.rint(x / scale) + zero, 0, 255) - zero
    return np.asarray(levels * scale, np.float32)
