"""Static INT8 in QDQ form: unsigned activations, signed weights, scales per output channel.

    x_q = clamp(round(x / scale) + zero_point, 0, 255)          activations, asymmetric
    w_q = clamp(round(w / scale), -127, 127)                    weights, symmetric

The file keeps ordinary Conv and Gemm between QuantizeLinear and DequantizeLinear, which ONNX
Runtime, OpenVINO and TensorRT all read and turn into integer kernels. A ReLU or Clip behind a layer
vanishes: the quantized range ends where it would clip. Biases stay float32, four bytes each either
way; engines quantize them at load. What follows the last layer stays float, so that two classes do
not tie on one of 256 levels.

All parts of a Concat share one grid, so that joining them is a copy (1.1 times faster on
SqueezeNet). On x86 processors without VNNI the sum of two products may saturate at 16 bits;
accuracy is measured on the machine itself, so that this shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from optim.graph.calibrate import Ranges, activation_ranges
from optim.graph.onnx_file import LAYERS, attribute, constants, consumers, producers, tidy
from optim.recipe import Calibration

ARITHMETIC = ("Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool")
"""Operators beside the layers that engines compute in INT8."""
CARRIERS = ("MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze")
"""Operators that move numbers without computing: their output has the grid of their input."""
CLAMPS = ("Relu", "Clip")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What becomes INT8.

    Attributes:
        nodes: the float graph without the absorbed clamps, in order.
        layers: output names of the layers that become INT8.
        own_grid: tensors with a range of their own.
        same_grid: tensors that share another tensor's grid.
    """

    nodes: tuple[NodeProto, ...]
    layers: frozenset[str]
    own_grid: tuple[str, ...]
    same_grid: dict[str, str]


def quantize_int8(
    model: ModelProto, calibration: np.ndarray, *, method: Calibration, per_channel: bool
) -> bytes:
    """Quantize weights and activations of a fused float32 model.

    Args:
        model: fused, opset 13 or later; left alone.
        calibration: float32, shape (n, ...), the examples that activation ranges are read from.
        method: how the ranges are chosen.
        per_channel: one weight scale per output channel instead of one per tensor.

    Raises:
        ArithmeticError: if an activation is not a finite number on the calibration examples.
    """
    plan = plan_int8(model)
    ranges = activation_ranges(model, plan.own_grid, calibration, method)
    quantized = ModelProto()
    quantized.CopyFrom(model)
    writer = _Writer(quantized, plan, ranges, per_channel)
    nodes = list(writer.nodes())
    del quantized.graph.node[:]
    quantized.graph.node.extend(nodes)
    return tidy(quantized)


def plan_int8(model: ModelProto) -> Plan:
    """Decide what becomes INT8; the model is left alone."""
    values = constants(model)
    outputs = {value.name for value in model.graph.output}
    nodes = _absorb_clamps(model.graph.node, outputs)
    tail = _tail(nodes, outputs)
    grids: dict[str, str] = {}
    layers = set()
    for node in nodes:
        output = node.output[0]
        moving = [name for name in node.input if name and name not in values]
        if is_quantizable_layer(node, values):
            layers.add(output)
            grids.setdefault(node.input[0], node.input[0])
            if output not in tail or node.op_type == "Conv":
                grids[output] = output
        elif node.op_type in ARITHMETIC and output not in tail and len(moving) == len(node.input):
            for name in (*moving, output):
                grids.setdefault(name, name)
            if node.op_type == "Concat":  # one grid for all parts: joining them is then a copy
                grids.update({name: output for name in moving if grids[name] == name})
        elif node.op_type in CARRIERS and moving[0] in grids and output not in tail:
            grids[output] = grids[moving[0]]
    grids = {name: _root(grids, name) for name in grids}
    return Plan(
        nodes=tuple(nodes),
        layers=frozenset(layers),
        own_grid=tuple(name for name, grid in grids.items() if name == grid),
        same_grid={name: grid for name, grid in grids.items() if name != grid},
    )


def _root(grids: dict[str, str], name: str) -> str:
    while grids[name] != name:
        name = grids[name]
    return name


def is_quantizable_layer(node: NodeProto, values: dict[str, np.ndarray]) -> bool:
    """True for Conv, Gemm and MatMul whose weights (and bias) are constant float32."""
    fixed = node.input[1:] if node.op_type in LAYERS else ()
    plain = node.op_type != "Gemm" or (
        attribute(node, "transA") == 0
        and all(item.f == 1.0 for item in node.attribute if item.name in ("alpha", "beta"))
    )
    return (
        plain
        and len(fixed) > 0
        and all(name in values and values[name].dtype == np.float32 for name in fixed if name)
    )


def output_axis(node: NodeProto, weight: np.ndarray) -> int:
    """The axis of a layer's weights that counts its output channels."""
    if node.op_type == "Conv" or (node.op_type == "Gemm" and attribute(node, "transB")):
        return 0
    return weight.ndim - 1


def activation_grid(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of the unsigned 8-bit grid over a range that contains 0.

    >>> scale, zero_point = activation_grid(0.0, 2.55)
    >>> round(float(scale), 4), int(zero_point)
    (0.01, 0)
    """
    scale = np.float32(max(high - low, 1e-6) / 255)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def quantize_weight_int8(weight: np.ndarray, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Round to the symmetric signed 8-bit grid.

    Args:
        weight: float32.
        axis: the axis with a scale for each index, None for one scale.

    Returns:
        int8 of the same shape, and the scale: shape (weight.shape[axis],) or ().
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / 127).astype(np.float32)
    rounded = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
    return rounded, scale.reshape(() if axis is None else (-1,))


def dequantize_node(parameters: Sequence[str], output: str, axis: int | None) -> NodeProto:
    """DequantizeLinear of stored weights: one scale, or one per index of an axis."""
    node = helper.make_node("DequantizeLinear", parameters, [output])
    if axis is not None:
        node.attribute.append(helper.make_attribute("axis", axis))
    return node


def _absorb_clamps(nodes: Sequence[NodeProto], outputs: set[str]) -> list[NodeProto]:
    """Copies of the nodes without the ReLU and Clip that follow a layer or an addition alone."""
    readers, writers = consumers(nodes), producers(nodes)
    renamed: dict[str, str] = {}
    kept = []
    for node in nodes:
        before = writers.get(node.input[0]) if node.op_type in CLAMPS else None
        if (
            before is not None
            and before.op_type in ("Conv", "Gemm", "MatMul", "Add")
            and len(readers[node.input[0]]) == 1
            and not outputs.intersection((node.input[0], node.output[0]))
        ):
            renamed[node.input[0]] = node.output[0]
            continue
        copy = NodeProto()
        copy.CopyFrom(node)
        kept.append(copy)
    for node in kept:
        node.output[:] = [renamed.get(name, name) for name in node.output]
    return kept


def _tail(nodes: Sequence[NodeProto], outputs: set[str]) -> set[str]:
    """Tensors that no layer reads, directly or later: everything behind the last layer."""
    tail = set(outputs)
    readers = consumers(nodes)
    for node in reversed(nodes):
        after = [reader for name in node.output for reader in readers.get(name, [])]
        if all(r.op_type not in LAYERS and tail.issuperset(r.output) for r in after):
            tail.update(node.output)
    return tail


class _Writer:
    """Writes the quantized graph; initializers are added to the model as they come up."""

    def __init__(self, model: ModelProto, plan: Plan, ranges: Ranges, per_channel: bool) -> None:
        self.model = model
        self.plan = plan
        self.ranges = ranges
        self.per_channel = per_channel
        self.values = constants(model)
        self.inputs = [value.name for value in model.graph.input]

    def nodes(self) -> Iterator[NodeProto]:
        grids = {name: name for name in self.plan.own_grid} | self.plan.same_grid
        for name in self.inputs:
            if name in grids:
                yield from self._quantized(name, grids[name])
        for node in self.plan.nodes:
            if node.output[0] in self.plan.layers:
                yield from self._quantize_weights(node, grids[node.input[0]])
            node.input[:] = [f"{name}.dq" if name in grids else name for name in node.input]
            yield node
            for name in node.output:
                if name in grids:
                    yield from self._quantized(name, grids[name])

    def _quantized(self, name: str, grid: str) -> Iterator[NodeProto]:
        scale, zero_point = activation_grid(*self.ranges[grid])
        parameters = [
            self._constant(f"{grid}.scale", scale), self._constant(f"{grid}.zero", zero_point)
        ]  # fmt: skip
        yield helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}.q"])
        yield helper.make_node("DequantizeLinear", [f"{name}.q", *parameters], [f"{name}.dq"])

    def _quantize_weights(self, node: NodeProto, input_grid: str) -> Iterator[NodeProto]:
        name = f"{node.output[0]}.weight"
        weight = self.values[node.input[1]]
        axis = output_axis(node, weight) if self.per_channel else None
        rounded, scale = quantize_weight_int8(weight, axis)
        parameters = [self._constant(f"{name}.q", rounded), self._constant(f"{name}.scale", scale)]
        if node.op_type == "Gemm":  # ONNX Runtime's QGemm wants the zero points written out
            parameters.append(self._constant(f"{name}.zero", np.zeros(scale.shape, np.int8)))
        node.input[1] = f"{name}.dq"
        yield dequantize_node(parameters, node.input[1], axis)
        if node.op_type == "Gemm" and len(node.input) > 2:
            yield self._quantize_bias(node, scale, input_grid)

    def _quantize_bias(self, node: NodeProto, scale: np.ndarray, input_grid: str) -> NodeProto:
        """Biases in the unit of the integer sum; QGemm, unlike QLinearConv, wants them so."""
        name = f"{node.output[0]}.bias"
        bias = self.values[node.input[2]]
        unit = (activation_grid(*self.ranges[input_grid])[0] * scale).astype(np.float32)
        limit = 2.0**31 - 128
        rounded = np.clip(np.rint(bias / unit.astype(np.float64)), -limit, limit).astype(np.int32)
        parameters = [self._constant(f"{name}.q", rounded), self._constant(f"{name}.scale", unit)]
        node.input[2] = f"{name}.dq"
        return dequantize_node(parameters, node.input[2], 0 if unit.ndim else None)

    def _constant(self, name: str, value: np.ndarray | np.generic) -> str:
        if name not in self.values:
            self.values[name] = np.asarray(value)
            self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name
