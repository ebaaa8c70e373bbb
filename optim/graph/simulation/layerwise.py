"""One layer of a network made different from the rest, without writing a file for each case.

Between two layers little is alive: one tensor, or a few where branches run side by side. So the
network is walked from layer to layer, each piece run once on all examples, and at every stop

    alive tensors, the layer's input x, its weights W  ->  logits

can be asked for any x and W. Half of the network on average runs for each question, ranges and
weights are found once for all questions, and no question writes or reads a file.

Quantization is simulated: numbers lie on the grid of the file but are float32, so that answers
differ from the file's only by the rounding of integer kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from optim.graph.onnx_file import constants
from optim.graph.quantization.calibrate import Ranges, activation_ranges
from optim.graph.quantization.int8 import activation_grid
from optim.graph.quantization.layer_inputs import grouped
from optim.graph.quantization.layers import is_quantizable_layer
from optim.graph.quantization.plan import Plan, plan_int8
from optim.graph.quantization.precisions import rounding_of
from optim.graph.quantization.prepare import with_biases_by_channel
from optim.graph.quantization.safe_names import with_safe_names
from optim.graph.quantization.stored_weights import StoredWeights, WeightStorage, store_weights
from optim.graph.quantization.unshared_initializers import weight_name, with_unshared_initializers
from optim.graph.runner import Runner
from optim.graph.simulation.pieces import Loader, reads, run, run_piece
from optim.recipe import INTEGER_PRECISIONS, Precision, Quantize, Rounding

WIDEST_COMPENSATED = 2400
"""Inputs per output up to which weights are rounded with compensation, as the file's are: it takes
seconds for a layer of 4608. Nearest rounding stands in for it above."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer that can have a precision of its own.

    Attributes:
        name: of its node.
        operator: Conv, Gemm or MatMul.
        weight: float32.
        stored: by precision, what the file would hold; INT8 and INT4.
        input_range: of the tensor it reads, on the grid that the whole file has; None if that
            tensor is not quantized.
    """

    name: str
    operator: str
    weight: np.ndarray
    stored: Mapping[Precision, StoredWeights]
    input_range: tuple[float, float] | None

    def on_grid(self, precision: Precision) -> np.ndarray:
        """Return the weights in a precision, float32; in FP32 as they are."""
        found = self.stored.get(precision)
        return self.weight if found is None else found.dequantized()

    def input_on_grid(self, x: np.ndarray) -> np.ndarray:
        """Return the layer's input as its 8-bit quantizer gives it."""
        return x if self.input_range is None else on_activation_grid(x, *self.input_range)

    def size_bytes(self, precision: Precision) -> int:
        """Return the bytes of its weights and scales."""
        found = self.stored.get(precision)
        if found is None:
            return int(self.weight.nbytes)
        bits = 4 if precision is Precision.INT4 else 8
        return -(-found.levels.size * bits // 8) + int(found.scale.nbytes)


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A fused float32 model with everything that quantizing any part of it needs.

    Attributes:
        model: float32, fused.
        plan: what becomes INT8.
        ranges: by grid, low and high.
        layers: in the order in which they run.
    """

    model: ModelProto
    plan: Plan
    ranges: Ranges
    layers: tuple[Layer, ...]


def calibrate_layers(model: ModelProto, step: Quantize, examples: np.ndarray) -> Calibrated:
    """Read ranges and round the weights of every layer to INT8 and INT4, once.

    Args:
        model: fused, float32; left alone.
        step: calibration method, granularity and rounding.
        examples: float32, shape (n, ...).

    Raises:
        ArithmeticError: if an activation is not a finite number on the examples.
    """
    safe, _ = with_safe_names(model)
    own = with_unshared_initializers(with_biases_by_channel(safe), biases=False)
    values = constants(own)
    plan = plan_int8(own)
    ranges = activation_ranges(own, plan.own_grid, examples, step.calibration)
    nodes = [node for node in own.graph.node if node.name and is_quantizable_layer(node, values)]
    stored = {
        precision: store_weights(
            own,
            {node.output[0]: _choice(node, values, step, precision) for node in nodes},
            examples,
        )
        for precision in INTEGER_PRECISIONS
    }
    layers = tuple(
        Layer(
            name=node.name,
            operator=node.op_type,
            weight=values[node.input[1]],
            stored={precision: stored[precision][weight_name(node)] for precision in stored},
            input_range=ranges.get(plan.grids.get(node.input[0], "")),
        )
        for node in nodes
    )
    return Calibrated(model=own, plan=plan, ranges=ranges, layers=layers)


def _choice(
    node: NodeProto, values: dict[str, np.ndarray], step: Quantize, precision: Precision
) -> WeightStorage:
    wide = grouped(values[node.input[1]], node).shape[2] > WIDEST_COMPENSATED
    rounding = Rounding.NEAREST if wide else rounding_of(step, precision)
    return WeightStorage(precision=precision, rounding=rounding, per_channel=step.per_channel)


def on_activation_grid(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Round to the unsigned 8-bit grid over a range that contains 0; float32, the shape of x."""
    scale, zero_point = activation_grid(low, high)
    levels = np.rint(x / scale)
    levels += np.float32(zero_point)
    np.clip(levels, 0, 255, out=levels)
    levels -= np.float32(zero_point)
    levels *= scale
    return np.asarray(levels, np.float32)


def quantized_throughout(
    calibrated: Calibrated, precisions: Mapping[str, Precision], *, activations: bool = True
) -> ModelProto:
    """Return the model with the weights of its layers on the grid of their precisions.

    Args:
        precisions: by layer; FP32 leaves its weights as they are.
        activations: False leaves them float32; else they go through QuantizeLinear and
            DequantizeLinear wherever the INT8 file quantizes them.
    """
    plan, ranges = calibrated.plan, calibrated.ranges
    grids = plan.grids if activations else {}
    made = ModelProto()
    made.CopyFrom(calibrated.model)
    added: dict[str, TensorProto] = {}

    def on_grid(name: str) -> Iterator[NodeProto]:
        scale, zero_point = activation_grid(*ranges[grids[name]])
        pair = [f"{grids[name]}.scale", f"{grids[name]}.zero"]
        for key, value in zip(pair, (scale, zero_point), strict=True):
            added[key] = numpy_helper.from_array(np.asarray(value), key)
        yield helper.make_node("QuantizeLinear", [name, *pair], [f"{name}.q"])
        yield helper.make_node("DequantizeLinear", [f"{name}.q", *pair], [f"{name}.dq"])

    nodes = [
        pair for value in made.graph.input if value.name in grids for pair in on_grid(value.name)
    ]
    layers = {layer.name: layer for layer in calibrated.layers}
    for planned in plan.nodes if activations else calibrated.model.graph.node:
        node = NodeProto()
        node.CopyFrom(planned)
        if node.name in layers:
            weight = layers[node.name].on_grid(precisions[node.name])
            node.input[1] = f"{node.name}.rounded"
            added[node.input[1]] = numpy_helper.from_array(weight, node.input[1])
        node.input[:] = [f"{name}.dq" if name in grids else name for name in node.input]
        nodes.append(node)
        nodes += [pair for name in node.output if name in grids for pair in on_grid(name)]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(added.values())
    return made


@dataclass(frozen=True, kw_only=True)
class LayerProbe:
    """The walk before one layer.

    Attributes:
        layer: its node's name.
        x: what the layer reads, float32, shape (n, ...).
        weight: what it multiplies with in the model that is walked.
        answer: logits (n, classes) for another ``x`` and ``weight``.
    """

    layer: str
    x: np.ndarray
    weight: np.ndarray
    answer: Callable[[np.ndarray, np.ndarray], np.ndarray]


def walk(model: ModelProto, layers: Sequence[str], inputs: np.ndarray) -> Iterator[LayerProbe]:
    """Yield a probe before each of the layers, in the order in which they run.

    Args:
        model: nodes in order, one input, one output; float32 but for Q/DQ pairs.
        layers: node names.
        inputs: float32, shape (n, ...).
    """
    nodes = list(model.graph.node)
    places = [i for i, node in enumerate(nodes) if node.name in set(layers)]
    values = constants(model)
    loader = Loader(model)
    state = {model.graph.input[0].name: inputs}
    for start, stop in zip([0, *places[:-1]], places, strict=True):
        alive = _alive(nodes, stop, {*state, *_written(nodes[start:stop])})
        state = run_piece(loader, nodes[start:stop], state, alive)
        node = nodes[stop]
        yield LayerProbe(
            layer=node.name,
            x=state[node.input[0]],
            weight=values[node.input[1]],
            answer=_Rest(loader, nodes[stop:], state),
        )


class _Rest:
    """Part of the network from a layer to the logits, loaded at the first question."""

    def __init__(
        self, loader: Loader, nodes: Sequence[NodeProto], state: dict[str, np.ndarray]
    ) -> None:
        self.loader = loader
        self.nodes = nodes
        self.state = state
        self.runner: Runner | None = None

    def __call__(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        first = NodeProto()
        first.CopyFrom(self.nodes[0])
        first.input[0], first.input[1] = "the layer's x", "the layer's weight"
        nodes = [first, *self.nodes[1:]]
        feeds = {name: v for name, v in self.state.items() if reads(nodes, name)} | {
            first.input[0]: x
        }
        output = self.loader.model.graph.output[0].name
        if self.runner is None:
            shapes = {name: (None, *value.shape[1:]) for name, value in feeds.items()}
            shapes[first.input[1]] = weight.shape
            self.runner = self.loader.load(nodes, shapes, [output])
        fixed = {first.input[1]: weight}
        return run(self.runner, [output], feeds, fixed)[output]


def _written(nodes: Sequence[NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.output}


def _alive(nodes: Sequence[NodeProto], place: int, known: set[str]) -> list[str]:
    """Return the tensors that exist before a place and are read at it or later."""
    return [name for name in sorted(known) if name and reads(nodes[place:], name)]
