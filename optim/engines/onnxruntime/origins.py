"""Origin of a kernel: the layer of the shipped file that it works for.

The engine rewrites the graph when it loads a file, and names what it makes after what was there.
So a copy of the file is loaded in which every node and every tensor carries the number of its node,

    node 12: ``12@``, its outputs ``12@0``, ...,

and whatever the engine makes of node 12 (``12@_token_3``, ``12@0_nchwc``) tells its origin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import onnx
from onnx import ModelProto, NodeProto

LAYERS = ("Conv", "Gemm", "MatMul", "ConvTranspose")
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
CONVERSIONS = (QUANTIZE, DEQUANTIZE, "Cast")
NUMBER = re.compile(r"(\d+)@")


@dataclass(frozen=True, eq=False)
class FileGraph:
    """The nodes of a shipped file and who feeds whom."""

    model: ModelProto

    @cached_property
    def nodes(self) -> Sequence[NodeProto]:
        """Nodes in the order of the file."""
        return tuple(self.model.graph.node)

    @cached_property
    def writers(self) -> Mapping[str, NodeProto]:
        """Node that writes each tensor."""
        return {name: node for node in self.nodes for name in node.output}

    @cached_property
    def readers(self) -> Mapping[str, Sequence[NodeProto]]:
        """Nodes that read each tensor."""
        found: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def stored(self) -> frozenset[str]:
        """Tensors that are constants, also those that are only unpacked."""
        found = {tensor.name for tensor in self.model.graph.initializer}
        for node in self.nodes:
            if node.op_type in ("Constant", *CONVERSIONS) and found.issuperset(node.input):
                found.update(node.output)
        return frozenset(found)

    def moving(self, node: NodeProto) -> tuple[str, ...]:
        """Return the inputs of a node that are no constants."""
        return tuple(name for name in node.input if name and name not in self.stored)

    def before(self, name: str) -> NodeProto | None:
        """Return the writer of a tensor, looking through conversions."""
        node = self.writers.get(name)
        while node is not None and node.op_type in CONVERSIONS:
            node = self.writers.get(node.input[0])
        return node

    def after(self, node: NodeProto) -> tuple[NodeProto, ...]:
        """Return the readers of a node's results, looking through conversions."""
        found: list[NodeProto] = []
        for reader in (r for name in node.output for r in self.readers.get(name, ())):
            found += self.after(reader) if reader.op_type in CONVERSIONS else (reader,)
        return tuple(found)

    def leads_to_layer(self, node: NodeProto) -> bool:
        """True if the results of a node go into a layer, directly or later."""
        waiting, seen = [node], set()
        while waiting:
            for reader in self.after(waiting.pop()):
                if reader.op_type in LAYERS:
                    return True
                if reader.output[0] not in seen:
                    seen.add(reader.output[0])
                    waiting.append(reader)
        return False

    def numbered(self) -> bytes:
        """Return a copy in which nodes and tensors carry the number of their node."""
        model = ModelProto()
        model.CopyFrom(self.model)
        model.graph.ClearField("value_info")
        names = {
            name: f"{index}@{place}"
            for index, node in enumerate(self.nodes)
            for place, name in enumerate(node.output)
            if name
        }
        for index, node in enumerate(model.graph.node):
            node.name = f"{index}@"
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        for value in model.graph.output:
            value.name = names.get(value.name, value.name)
        return bytes(model.SerializeToString())

    def origin(self, kernel_name: str) -> NodeProto | None:
        """Return the node of the file that a kernel of the numbered copy comes from, or None."""
        found = NUMBER.search(kernel_name)
        return None if found is None else self.nodes[int(found.group(1))]

    def layer_node(self, node: NodeProto) -> NodeProto:
        """Return the layer whose result ends here, first inputs first, else the node itself."""
        found: NodeProto | None = node
        while found is not None and found.op_type not in LAYERS:
            found = self.before(found.input[0]) if found.input else None
        return node if found is None else found

    def layer_of(self, node: NodeProto) -> str:
        """Return the layer of a node: itself, or the one whose result it only transforms.

        An addition of two branches belongs to no layer, and neither does what follows it; the gate
        of a HardSwish or SiLU belongs to the layer whose result it gates.
        """
        layers = self._layers_before(node, {})
        return next(iter(layers)) if len(layers) == 1 else ""

    def _layers_before(self, node: NodeProto, known: dict[str, frozenset[str]]) -> frozenset[str]:
        if node.op_type in LAYERS:
            return frozenset({node.name})
        key = node.output[0]
        if key not in known:
            known[key] = frozenset()
            writers = [self.writers.get(name) for name in self.moving(node)]
            known[key] = frozenset().union(
                *({""} if writer is None else self._layers_before(writer, known) or {""}
                  for writer in writers)
            )  # fmt: skip
            if len(known[key]) != 1:
                known[key] = frozenset({""})
        return known[key]


def is_kept_together(graph: FileGraph, node: NodeProto) -> bool:
    """True for the Clip that keeps the two readers of a SiLU's input together (``soft_gate``)."""
    if node.op_type != "Clip":
        return False
    gate, product = (
        [r for r in graph.readers.get(node.output[0], ()) if r.op_type == kind]
        for kind in ("Sigmoid", "Mul")
    )
    return len(gate) == len(product) == 1 and gate[0].output[0] in product[0].input


def activation_name(graph: FileGraph, node: NodeProto) -> str:
    """Return the expert's name of the operator that a node is part of.

    ``x * HardSigmoid(x)`` is a HardSwish and ``x * Sigmoid(x)`` a SiLU, however spelled out.
    """
    gates = {"HardSigmoid": "HardSwish", "Sigmoid": "SiLU"}
    if is_kept_together(graph, node):
        return "SiLU"
    gate: NodeProto | None = node
    if node.op_type == "Mul":
        befores = [graph.before(name) for name in graph.moving(node)]
        gate = next((b for b in befores if b is not None and b.op_type in gates), None)
    if gate is None or gate.op_type not in gates:
        return str(node.op_type)
    source = graph.before(gate.input[0])
    for product in graph.after(gate):
        others = [
            graph.before(name)
            for name in graph.moving(product)
            if graph.before(name) is not gate and product.op_type == "Mul"
        ]
        if source is not None and any(other is source for other in others):
            return gates[gate.op_type]
    return str(node.op_type)


def read_graph(content: bytes) -> FileGraph:
    """Return the graph of a file's bytes."""
    return FileGraph(onnx.load_model_from_string(content))
