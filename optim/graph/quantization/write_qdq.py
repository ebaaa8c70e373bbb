"""Static quantization as a file: ordinary layers between QuantizeLinear and DequantizeLinear.

ONNX Runtime, OpenVINO and TensorRT all read this form and turn it into integer kernels. Biases stay
float32, four bytes each either way; engines quantize them at load. On x86 processors without VNNI
the sum of two products may saturate at 16 bits; accuracy is measured on the machine itself, so that
this shows.

Four-bit weights stand behind Cast(to=INT8) before they are scaled:

    w_q: int4 -> Cast -> int8 -> DequantizeLinear -> Conv

ONNX Runtime folds the Cast when it loads the file and then runs its INT8 kernels: half the bytes of
INT8 at its speed (0.340 ms against 0.340 ms on the sample ResNet). Without the Cast it computes in
float.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from optim.graph.onnx_file import LAYERS, constants, tidy
from optim.graph.quantization.calibrate import Ranges
from optim.graph.quantization.int8 import activation_grid, signed_activation_grid
from optim.graph.quantization.plan import Plan, before_subgraphs
from optim.graph.quantization.stored_weights import StoredWeights
from optim.recipe import Precision

BIAS_LIMIT = 2.0**31 - 128
"""In units of the integer sum, which has 32 bits."""
ROOM = 2.0**30
"""What biases may take when the scales are chosen; bias correction moves them afterwards."""
LEAST_UNIT = 1e-35
"""Of an integer sum; smaller ones leave the normal numbers of float32."""


def write_qdq(
    model: ModelProto,
    plan: Plan,
    ranges: Ranges,
    weights: Mapping[str, StoredWeights],
    *,
    signed: bool,
) -> bytes:
    """Return the file of a plan.

    Args:
        model: float32, each layer with weights of its own; left alone.
        plan: made from this model.
        ranges: low and high of each of the plan's own grids.
        weights: by the name of the constant, of every layer in the plan.
        signed: activations lie on the signed grid.
    """
    writer = _Writer(model, plan, ranges, weights, signed)
    return writer.file(list(writer.nodes()))


def write_weight_only(model: ModelProto, weights: Mapping[str, StoredWeights]) -> bytes:
    """Return the file with small weights and float activations: a size, not a speed.

    Engines unpack the weights when they load the file, and compute in float.

    Args:
        model: float32, each layer with weights of its own; left alone.
        weights: by the name of the constant.
    """
    plan = Plan(nodes=tuple(model.graph.node), layers=frozenset(), own_grid=(), same_grid={})
    writer = _Writer(model, plan, {}, weights, signed=False)
    return writer.file(list(writer.nodes()))


def least_scales(
    model: ModelProto, plan: Plan, ranges: Ranges, *, signed: bool
) -> dict[str, np.ndarray]:
    """Return the scales of weights below which the bias of a layer would not fit into 32 bits.

    Biases become integers in units of scale_x * scale_w, here or when the engine loads the file.
    Where the input's scale is tiny, as behind a ReLU that is never active, the unit is too.

    Args:
        model, plan, ranges, signed: as ``write_qdq`` takes them.

    Returns:
        By the layer's output name, float64, shape (channels,).
    """
    grid_of, grids = signed_activation_grid if signed else activation_grid, plan.grids
    values = constants(model)
    found = {}
    for node in model.graph.node:
        bias = values.get(node.input[2]) if len(node.input) > 2 else None
        if node.op_type in LAYERS and bias is not None and node.input[0] in grids:
            step = float(grid_of(*ranges[grids[node.input[0]]])[0])
            unit = np.maximum(np.abs(bias.astype(np.float64)) / ROOM, LEAST_UNIT)
            found[node.output[0]] = unit / step
    return found


class _Writer:
    """Writes the quantized graph; initializers are added to the model as they come up."""

    def __init__(
        self,
        model: ModelProto,
        plan: Plan,
        ranges: Ranges,
        weights: Mapping[str, StoredWeights],
        signed: bool,
    ) -> None:
        self.model = ModelProto()
        self.model.CopyFrom(model)
        self.plan = plan
        self.ranges = ranges
        self.weights = weights
        self.grid_of = signed_activation_grid if signed else activation_grid
        self.values = constants(model)
        self.inputs = [value.name for value in model.graph.input]
        self.before_subgraphs = before_subgraphs(plan.nodes)

    def file(self, nodes: list[NodeProto]) -> bytes:
        del self.model.graph.node[:]
        self.model.graph.node.extend(nodes)
        return tidy(self.model)

    def nodes(self) -> Iterator[NodeProto]:
        grids = self.plan.grids
        for name in self.inputs:
            if name in grids:
                yield from self._quantized(name, grids[name])
        for planned in self.plan.nodes:
            node = NodeProto()
            node.CopyFrom(planned)
            if len(node.input) > 1 and node.input[1] in self.weights:
                yield from self._quantize_weights(node, grids.get(node.input[0]))
            if not self.before_subgraphs.intersection(node.output):
                node.input[:] = [f"{name}.dq" if name in grids else name for name in node.input]
            yield node
            for name in node.output:
                if name in grids:
                    yield from self._quantized(name, grids[name])

    def _quantized(self, name: str, grid: str) -> Iterator[NodeProto]:
        scale, zero_point = self.grid_of(*self.ranges[grid])
        parameters = [
            self._constant(f"{grid}.scale", scale), self._constant(f"{grid}.zero", zero_point)
        ]  # fmt: skip
        yield helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}.q"])
        yield helper.make_node("DequantizeLinear", [f"{name}.q", *parameters], [f"{name}.dq"])

    def _quantize_weights(self, node: NodeProto, input_grid: str | None) -> Iterator[NodeProto]:
        name = node.input[1]
        weights = self.weights[name]
        stored = self._constant(f"{name}.q", weights.packed())
        if weights.precision is Precision.INT4 and input_grid is not None:
            yield helper.make_node("Cast", [stored], [f"{name}.q8"], to=TensorProto.INT8)
            stored = f"{name}.q8"
        parameters = [stored, self._constant(f"{name}.scale", weights.scale)]
        if node.op_type == "Gemm" and input_grid is not None:
            # ONNX Runtime's QGemm wants the zero points written out
            zeros = np.zeros(weights.scale.shape, np.int8)
            parameters.append(self._constant(f"{name}.zero", zeros))
        node.input[1] = f"{name}.dq"
        yield _dequantize_node(parameters, node.input[1], weights.axis)
        if node.op_type == "Gemm" and len(node.input) > 2 and input_grid is not None:
            yield self._quantize_bias(node, weights.scale, input_grid)

    def _quantize_bias(self, node: NodeProto, scale: np.ndarray, input_grid: str) -> NodeProto:
        """Return biases in the unit of the integer sum, as QGemm needs them, unlike QLinearConv."""
        name = node.input[2]
        bias = self.values[name]
        unit = (self.grid_of(*self.ranges[input_grid])[0] * scale).astype(np.float32)
        rounded = np.rint(bias / unit.astype(np.float64))
        if np.abs(rounded).max(initial=0) > BIAS_LIMIT:
            raise AssertionError("the scales of the weights must leave room for the bias")
        rounded = rounded.astype(np.int32)
        parameters = [self._constant(f"{name}.q", rounded), self._constant(f"{name}.scale", unit)]
        node.input[2] = f"{name}.dq"
        return _dequantize_node(parameters, node.input[2], 0 if unit.ndim else None)

    def _constant(self, name: str, value: np.ndarray | np.generic) -> str:
        if name not in self.values:
            self.values[name] = np.asarray(value)
            self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def _dequantize_node(parameters: Sequence[str], output: str, axis: int | None) -> NodeProto:
    """Return the DequantizeLinear of stored weights: one scale, or one per index of an axis."""
    node = helper.make_node("DequantizeLinear", parameters, [output])
    if axis is not None:
        node.attribute.append(helper.make_attribute("axis", axis))
    return node
