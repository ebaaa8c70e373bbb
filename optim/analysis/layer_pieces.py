"""Small ONNX files that hold nothing but single layers side by side, to be timed.

Each layer has the form that it has in the file of a network: in INT8 between QuantizeLinear and
DequantizeLinear, with unsigned activations and one scale per output channel of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from optim.compress.pruning.layer_shapes import LayerShape
from optim.recipe import Precision


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One layer at one pair of widths in one precision: what is timed."""

    shape: LayerShape
    inputs: int
    outputs: int
    precision: Precision

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for pieces that cost the same, whichever layers they come from."""
        s = self.shape
        window = (s.kernel, s.stride, s.padding, s.dilation, s.size)
        return (window, s.inputs // s.groups if s.groups > 1 else 0, self.inputs, self.outputs,
                s.bias, self.precision)  # fmt: skip

    @property
    def groups(self) -> int:
        """Groups of the convolution: those that are left are as wide as before."""
        s = self.shape
        return 1 if s.groups == 1 else self.outputs * s.groups // s.outputs

    @property
    def weight(self) -> tuple[int, ...]:
        """Shape of the weights, outputs first."""
        return (self.outputs, self.inputs // self.groups, *self.shape.kernel)

    @property
    def moved_bytes(self) -> int:
        """Bytes of weights, inputs and outputs."""
        s = self.shape
        read = self.inputs * (prod(s.size) if s.kernel else s.positions)
        numbers = prod(self.weight) + read + self.outputs * s.positions
        return numbers * (1 if self.precision is Precision.INT8 else 4)


def layers_file(pieces: Sequence[Piece]) -> bytes:
    """Return an ONNX file with some layers side by side, each with a part of the one input ``x``.

    Args:
        pieces: of one size of input. Nodes and tensors of the first are called ``0@...``.
    """
    nodes: list[NodeProto] = []
    stored: list[TensorProto] = []
    for number, piece in enumerate(pieces):
        nodes += _nodes(f"{number}@", piece, stored)
    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x", float32, input_shape(pieces))],
        [helper.make_tensor_value_info(f"{n}@y", float32, None) for n in range(len(pieces))],
        stored,
    )
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return bytes(model.SerializeToString())


def _nodes(name: str, piece: Piece, stored: list[TensorProto]) -> Iterator[NodeProto]:
    """Yield the nodes of a layer as a network's file has them; constants go into ``stored``."""

    def constant(what: str, value: np.ndarray) -> str:
        stored.append(numpy_helper.from_array(value, name + what))
        return name + what

    s, int8 = piece.shape, piece.precision is Precision.INT8
    ends = constant("ends", np.array([piece.inputs], np.int64))
    first, axis = constant("first", np.zeros(1, np.int64)), np.array([1], np.int64)
    yield helper.make_node("Slice", ["x", first, ends, constant("axis", axis)], [name + "x"])
    reads, result = [name + "x"], name + "y"
    scale = constant("scale", np.array(0.05, np.float32)) if int8 else ""
    zero = constant("zero", np.array(128, np.uint8)) if int8 else ""
    if int8:
        yield from _quantized(name + "x", scale, zero)
        reads, result = [name + "x.dq"], name + "float"
        weight = constant("w", _numbers(piece.weight).round().astype(np.int8))
        scales = np.full(piece.outputs, 0.01, np.float32)
        grid = [weight, constant("ws", scales), constant("wz", np.zeros(piece.outputs, np.int8))]
        yield helper.make_node("DequantizeLinear", grid, [name + "w.dq"], axis=0)
        reads.append(name + "w.dq")
    else:
        reads.append(constant("w", _numbers(piece.weight) / 100))
    if s.bias and int8 and not s.kernel:
        grid = [constant("b", np.zeros(piece.outputs, np.int32)),
                constant("bs", np.full(piece.outputs, 0.0005, np.float32))]  # fmt: skip
        yield helper.make_node("DequantizeLinear", grid, [name + "b.dq"], axis=0)
        reads.append(name + "b.dq")
    elif s.bias:
        reads.append(constant("b", np.zeros(piece.outputs, np.float32)))
    yield _layer(name, piece, reads, result)
    if int8:
        yield from _quantized(result, scale, zero, end=name + "y")


def _layer(name: str, piece: Piece, reads: list[str], result: str) -> NodeProto:
    s = piece.shape
    if not s.kernel:
        return helper.make_node("Gemm", reads, [result], name=name, transB=1)
    return helper.make_node(
        "Conv",
        reads,
        [result],
        name=name,
        group=piece.groups,
        strides=s.stride,
        pads=(*s.padding, *s.padding),
        dilations=s.dilation,
        kernel_shape=s.kernel,
    )


def _quantized(name: str, scale: str, zero: str, *, end: str = "") -> Iterator[NodeProto]:
    grid = [scale, zero]
    yield helper.make_node("QuantizeLinear", [name, *grid], [name + ".q"])
    yield helper.make_node("DequantizeLinear", [name + ".q", *grid], [end or name + ".dq"])


def _numbers(shape: tuple[int, ...]) -> np.ndarray:
    """Return weights of ordinary size, float32; what they are does not matter to the clock."""
    return np.random.default_rng(0).normal(scale=30, size=shape).clip(-127, 127).astype(np.float32)


def input_shape(pieces: Sequence[Piece]) -> tuple[int, ...]:
    """Of the one input: wide enough for all; a linear layer has its positions as rows."""
    channels = max(piece.inputs for piece in pieces)
    shape = pieces[0].shape
    return (1, channels, *shape.size) if shape.kernel else (shape.positions, channels)
