"""The plan of what in a network becomes INT8.

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

from onnx import ModelProto, NodeProto

from optim.graph.onnx_file import LAYERS, constants, consumers
from optim.graph.quantization.layers import clamp_bounds, following_clamp, is_quantizable_layer
from optim.graph.subgraphs import reads

ARITHMETIC = ("Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool")
"""Operators beside the layers that engines compute in INT8."""
DATA_MOVEMENT = ("MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze")
"""Operators that move numbers without computing: their output has the grid of their input."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Tensors and layers that become INT8.

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
        """Tensor whose range each quantized tensor has."""
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
        if is_quantizable_layer(node, values) and node.output[0] not in floats:
            grids.setdefault(node.input[0], node.input[0])
            if node.output[0] in wanted or node.op_type == "Conv":
                grids[output] = output
            layers.add(output if output in grids else node.output[0])
        elif node.output[0] in wanted:
            moving = [name for name in node.input if name and name not in values]
            grids |= _grids_of(node, moving, output, grids)
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


def _grids_of(
    node: NodeProto, moving: Sequence[str], output: str, grids: dict[str, str]
) -> dict[str, str]:
    """Return the grids that an operator between INT8 layers adds; none if it stays float.

    Args:
        moving: its inputs that are no constants.
        output: its own, or that of the clamp it absorbs.
        grids: so far; each tensor with the one whose grid it shares.
    """
    known = [name in grids for name in moving]
    if node.op_type in DATA_MOVEMENT and known and known[0]:
        return {output: grids[moving[0]]}
    if node.op_type not in ARITHMETIC or len(moving) != len(node.input) or not any(known):
        return {}
    found = {name: grids.get(name, name) for name in (*moving, output)}
    if node.op_type == "Concat":  # one grid for all parts: joining them is then a copy
        found |= {name: output for name in moving if found[name] == name}
    return found


def _root(grids: dict[str, str], name: str) -> str:
    while grids[name] != name:
        name = grids[name]
    return name


def before_subgraphs(nodes: Sequence[NodeProto]) -> set[str]:
    """Outputs of operators that lead to a subgraph without a layer between.

    These read floats, not what a DequantizeLinear gives: ONNX Runtime 1.32 moves that behind a
    Transpose, finds a subgraph as its reader, and ends the process.
    """
    wanted: set[str] = set()
    found: set[str] = set()
    for node in reversed(nodes):
        wanted.update(name for name in reads(node) if name not in node.input)
        if wanted.intersection(node.output) and node.op_type not in (*LAYERS, *ARITHMETIC):
            wanted.update(node.input)
            found.update(node.output)
    return found - {""}


def _absorbable_clamps(model: ModelProto) -> dict[str, str]:
    """For a layer's or an addition's output: that of the clamp on it which a grid can stand for."""
    readers, values = consumers(model.graph.node), constants(model)
    outputs = {value.name for value in model.graph.output} | before_subgraphs(model.graph.node)
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
    """Return the tensors that an INT8 layer reads, directly or through other operators."""
    values = constants(model)
    wanted: set[str] = set()
    for node in reversed(model.graph.node):
        is_layer = is_quantizable_layer(node, values)
        stays = is_layer and node.output[0] in floats
        if not stays and (is_layer or wanted.intersection(node.output)):
            wanted.update(reads(node))
    return wanted - values.keys()
