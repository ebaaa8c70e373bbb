"""The 8-bit grids, and the plan of what in a network becomes INT8.

    x_q = clamp(round(x / scale) + zero_point, 0, 255)          activations, unsigned
    x_q = clamp(round(x / scale), -128, 127)                    activations, signed
    w_q = clamp(round(w / scale), -127, 127)                    weights

On the unsigned grid a ReLU or Clip behind a layer vanishes: the quantized range ends where it would
clip. On the signed grid it stays, and ONNX Runtime then computes the layer before it in float: the
sample MobileNetV2 ran at 0.49 times its float32 speed. What follows the last layer stays float, so
that two classes do not tie on one of 256 levels.

All parts of a Concat share one grid, so that joining them is a copy (1.1 times faster on
SqueezeNet). A layer that stays float takes the operators between it and other float layers along:
each change of format costs time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, helper

from optim.graph.onnx_file import LAYERS, attribute, constants, consumers

ARITHMETIC = ("Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool")
"""Operators beside the layers that engines compute in INT8."""
DATA_MOVEMENT = ("MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze")
"""Operators that move numbers without computing: their output has the grid of their input."""
CLIPPING = ("Relu", "Clip")


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

    @property
    def grids(self) -> dict[str, str]:
        """For every quantized tensor the one whose range it has."""
        return {name: name for name in self.own_grid} | self.same_grid


def plan_int8(
    model: ModelProto, *, floats: frozenset[str] = frozenset(), signed: bool = False
) -> Plan:
    """Decide what becomes INT8; the model is left alone.

    Args:
        model: fused, float32.
        floats: output names of layers that stay float.
        signed: activations lie on the symmetric grid. A ReLU before it stays: half of the grid is
            below zero.
    """
    values = constants(model)
    absorbed = {} if signed else _absorbable_clamps(model)
    wanted = _read_in_int8(model, floats)
    grids: dict[str, str] = {}
    layers, nodes = set(), []
    dropped = set(absorbed.values())
    for original in model.graph.node:
        if original.output[0] in dropped:
            continue
        node = NodeProto()
        node.CopyFrom(original)
        nodes.append(node)
        output = absorbed.get(node.output[0], node.output[0])
        moving = [name for name in node.input if name and name not in values]
        if is_quantizable_layer(node, values) and node.output[0] not in floats:
            grids.setdefault(node.input[0], node.input[0])
            if node.output[0] in wanted or node.op_type == "Conv":
                grids[output] = output
            layers.add(output if output in grids else node.output[0])
        elif (
            node.op_type in ARITHMETIC
            and node.output[0] in wanted
            and len(moving) == len(node.input)
            and any(name in grids for name in moving)
        ):
            for name in (*moving, output):
                grids.setdefault(name, name)
            if node.op_type == "Concat":  # one grid for all parts: joining them is then a copy
                grids.update({name: output for name in moving if grids[name] == name})
        elif (
            node.op_type in DATA_MOVEMENT
            and moving
            and moving[0] in grids
            and node.output[0] in wanted
        ):
            grids[output] = grids[moving[0]]
        if output in grids:
            node.output[0] = output
        else:
            dropped.discard(output)
    return Plan(
        nodes=tuple(nodes),
        layers=frozenset(layers),
        own_grid=tuple(name for name in grids if name == _root(grids, name)),
        same_grid={name: _root(grids, name) for name in grids if name != _root(grids, name)},
    )


def _root(grids: dict[str, str], name: str) -> str:
    while grids[name] != name:
        name = grids[name]
    return name


def is_quantizable_layer(node: NodeProto, values: dict[str, np.ndarray]) -> bool:
    """True for Conv, Gemm and MatMul whose weights (and bias) are constant float32."""
    fixed = list(node.input[1:]) if node.op_type in LAYERS else ()
    plain = node.op_type != "Gemm" or (
        attribute(node, "transA") == 0
        and all(item.f == 1.0 for item in node.attribute if item.name in ("alpha", "beta"))
    )
    return (
        plain
        and len(fixed) > 0
        and all(name in values and values[name].dtype == np.float32 for name in fixed if name)
        and values[fixed[0]].ndim >= 2
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


def signed_activation_grid(low: float, high: float) -> tuple[np.float32, np.int8]:
    """Scale and zero point of the signed 8-bit grid, which lies evenly around 0.

    >>> scale, zero_point = signed_activation_grid(-1.27, 0.5)
    >>> round(float(scale), 4), int(zero_point)
    (0.01, 0)
    """
    return np.float32(max(-low, high, 5e-7) / 127), np.int8(0)


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


def clamp_bounds(node: NodeProto, values: dict[str, np.ndarray]) -> tuple[float, float] | None:
    """Between which numbers a Relu or Clip keeps its input; None for another operator.

    A Clip whose bounds are computed in the graph has none that we know: None too.
    """
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type != "Clip" or any(name and name not in values for name in node.input[1:]):
        return None
    given = [*node.input[1:], "", ""]
    low, high = (values[name].item() if name else None for name in given[:2])
    return (-np.inf if low is None else low, np.inf if high is None else high)


def following_clamp(
    node: NodeProto, readers: dict[str, list[NodeProto]], outputs: set[str]
) -> NodeProto | None:
    """The Relu or Clip that alone reads a node's output, if there is one inside the graph.

    Args:
        readers: who reads each tensor.
        outputs: of the graph.
    """
    after = readers.get(node.output[0], [])
    if len(after) != 1 or after[0].op_type not in CLIPPING or after[0].input[0] != node.output[0]:
        return None
    return None if outputs.intersection((node.output[0], after[0].output[0])) else after[0]


def _absorbable_clamps(model: ModelProto) -> dict[str, str]:
    """For a layer's or an addition's output: that of the clamp on it which a grid can stand for."""
    readers, values = consumers(model.graph.node), constants(model)
    outputs = {value.name for value in model.graph.output}
    found = {}
    for node in model.graph.node:
        clamp = (
            following_clamp(node, readers, outputs) if node.op_type in (*LAYERS, "Add") else None
        )
        bounds = None if clamp is None else clamp_bounds(clamp, values)
        if clamp is not None and bounds is not None and bounds[0] <= 0 <= bounds[1]:
            found[node.output[0]] = clamp.output[0]
    return found


def _read_in_int8(model: ModelProto, floats: frozenset[str]) -> set[str]:
    """Tensors that an INT8 layer reads, directly or through operators that are no float layers."""
    values = constants(model)
    wanted: set[str] = set()
    for node in reversed(model.graph.node):
        is_layer = is_quantizable_layer(node, values)
        stays = is_layer and node.output[0] in floats
        if not stays and (is_layer or wanted.intersection(node.output)):
            wanted.update(node.input)
    return wanted - values.keys()


def dequantize_node(parameters: Sequence[str], output: str, axis: int | None) -> NodeProto:
    """DequantizeLinear of stored weights: one scale, or one per index of an axis."""
    node = helper.make_node("DequantizeLinear", parameters, [output])
    if axis is not None:
        node.attribute.append(helper.make_attribute("axis", axis))
    return node
