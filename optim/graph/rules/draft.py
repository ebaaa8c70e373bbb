"""A graph while it is being rewritten: a copy with who writes and who reads each tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from optim.graph.onnx_file import float_tensor_shapes, tensor_shapes
from optim.graph.subgraphs import defined_inside, reads

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
UNPACKERS = (DEQUANTIZE, "Cast")
OUTPUT = "Output"
"""Kind of the reader that stands for the world outside: each output of the network has one."""


class Draft:
    """A copy of a model that rules edit in place; the model itself is left alone."""

    def __init__(self, model: ModelProto) -> None:
        self.model = ModelProto()
        self.model.CopyFrom(model)
        self.nodes: list[NodeProto] = list(self.model.graph.node)
        self.tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self.outputs = {value.name for value in model.graph.output}
        self._shapes: dict[str, tuple[int | None, ...]] | None = None
        self._float_shapes: dict[str, tuple[int | None, ...]] | None = None
        self._fixed = self.outputs | {value.name for value in model.graph.input}
        self._index()

    def writer(self, name: str) -> NodeProto | None:
        """Return the writer of a tensor; None for inputs and constants."""
        return self._writers.get(name)

    def readers(self, name: str) -> Sequence[NodeProto]:
        """Return the readers of a tensor: nodes, also of subgraphs; ``OUTPUT`` for an output."""
        return self._readers.get(name, ())

    def only_reader(self, name: str, kind: str) -> NodeProto | None:
        """Return the only reader of a tensor if it is of this kind; None if others see it too."""
        readers = self.readers(name)
        fits = len(readers) == 1 and readers[0].op_type == kind
        return readers[0] if fits else None

    def array(self, name: str) -> np.ndarray | None:
        """Return a constant; None if the tensor is none."""
        return numpy_helper.to_array(self.tensors[name]) if name in self.tensors else None

    def moving(self, node: NodeProto) -> tuple[str, ...]:
        """Return the inputs of a node that depend on the network's input."""
        return tuple(name for name in node.input if name and self.stored_in(name) is None)

    def stored_in(self, name: str) -> str | None:
        """Return the constant that a tensor is, or is unpacked from; None if it is computed."""
        writer = self.writer(name)
        while writer is not None and writer.op_type in UNPACKERS:
            name = writer.input[0]
            writer = self.writer(name)
        return name if name in self.tensors else None

    def rank(self, name: str) -> int | None:
        """Return the rank of a float tensor; None if nothing tells it."""
        if self._float_shapes is None:
            self._float_shapes = float_tensor_shapes(self.finished())
        shape = self._float_shapes.get(name)
        return None if shape is None else len(shape)

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Return the shape of a tensor, None for a free dimension; None if nothing tells it."""
        if self._shapes is None:
            self._shapes = tensor_shapes(self.finished())
        return self._shapes.get(name)

    def unused(self, stem: str) -> str:
        """Return a name like ``stem`` that nothing in the model has."""
        name = stem
        while (
            name in self.tensors
            or name in self._fixed
            or name in self._inside
            or self.writer(name) is not None
        ):
            name += "_"
        return name

    def constant(self, stem: str, value: np.ndarray | np.generic) -> str:
        """Store a new constant; returns its name."""
        name = self.unused(stem)
        self.tensors[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def grid(self, node: NodeProto) -> tuple[float, int] | None:
        """Return scale and zero point of a conversion with one uint8 grid; None for any other."""
        if node.op_type not in (QUANTIZE, DEQUANTIZE) or len(node.input) < 3:
            return None
        scale, zero = self.array(node.input[1]), self.array(node.input[2])
        if scale is None or zero is None or scale.size != 1 or zero.dtype != np.uint8:
            return None
        return float(scale.reshape(())), int(zero.reshape(()))

    def gridded_input(self, node: NodeProto) -> tuple[NodeProto, NodeProto] | str:
        """Return the pair that quantizes its input to unsigned 8 bits alone, or why none does."""
        source = self.writer(node.input[0])
        if source is None or source.op_type != DEQUANTIZE or self.grid(source) is None:
            return "its input is not on an unsigned 8-bit grid"
        quantize = self.writer(source.input[0])
        if quantize is None or quantize.op_type != QUANTIZE:
            return "its input's grid is shared with other tensors"
        return quantize, source

    def edit(self, *, remove: Iterable[NodeProto] = (), add: Iterable[NodeProto] = ()) -> None:
        """Take nodes out and put nodes in; the order is found at the end."""
        gone = {id(node) for node in remove}
        self.nodes = [*(node for node in self.nodes if id(node) not in gone), *add]
        self._index()

    def finished(self) -> ModelProto:
        """Return the rewritten model, nodes in an order in which they can run."""
        ordered = _in_running_order(self.nodes, {value.name for value in self.model.graph.input})
        finished = ModelProto()
        finished.CopyFrom(self.model)
        del finished.graph.node[:]
        finished.graph.node.extend(ordered)
        read = {name for node in ordered for name in reads(node)} | self.outputs
        del finished.graph.initializer[:]
        kept = [tensor for name, tensor in self.tensors.items() if name in read]
        finished.graph.initializer.extend(kept)
        finished.graph.ClearField("value_info")
        return finished

    def _index(self) -> None:
        self._shapes = self._float_shapes = None
        self._inside = {name for node in self.nodes for name in defined_inside(node)}
        self._writers = {name: node for node in self.nodes for name in node.output if name}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in (*self.nodes, *(helper.make_node(OUTPUT, [name], []) for name in self.outputs)):
            for name in reads(node):
                self._readers.setdefault(name, []).append(node)


def _in_running_order(nodes: Sequence[NodeProto], inputs: set[str]) -> list[NodeProto]:
    """Sort nodes so that each comes once all it reads is written; otherwise the order stays."""
    written = {name for node in nodes for name in node.output}
    ready, ordered, waiting = set(inputs), [], list(nodes)
    while waiting:
        later = []
        for node in waiting:
            if all(name in ready for name in reads(node) if name in written):
                ordered.append(node)
                ready.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise AssertionError("a rule has made a graph that runs in a circle")
        waiting = later
    return ordered


def integer(node: NodeProto, name: str, default: int) -> int:
    """Return an integer attribute."""
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def number(node: NodeProto, name: str, default: float) -> float:
    """Return a float attribute."""
    return next((float(item.f) for item in node.attribute if item.name == name), default)
