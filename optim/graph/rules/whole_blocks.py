"""Depthwise convolutions in INT8 get channels that do nothing, up to a multiple of 16.

ONNX Runtime's INT8 kernel for depthwise convolutions computes 16 channels at a time and the rest
one by one: with 104 channels it took 2.6 times as long as with 112, with 120 2.8 times as long as
with 128 (AVX-512). So the layers before get output channels of zeros, and the layers after get
zeros for them:

    Conv(C) -> depthwise(C) -> gate(C) -> Conv      becomes    the same with 16 * ceil(C / 16)

which is exact whatever the operators between do to a zero, because nobody reads the result.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto

from optim.graph.rules.draft import DEQUANTIZE, QUANTIZE, UNPACKERS, Draft, integer
from optim.graph.rules.rule import Rule

BLOCK = 16
LEAST = 32
"""With fewer channels the zeros cost more than the whole block saves."""
CHANNELWISE = (
    QUANTIZE, DEQUANTIZE, "Relu", "Clip", "HardSigmoid", "HardSwish", "Sigmoid", "LeakyRelu", "Mul",
    "GlobalAveragePool", "AveragePool", "MaxPool",
)  # fmt: skip
"""Operators that keep the channels apart."""


@dataclass(eq=False)
class _Region:
    """Nodes that have the channels of a depthwise convolution."""

    tensors: set[str] = field(default_factory=set)
    openers: dict[str, NodeProto] = field(default_factory=dict)
    depthwise: dict[str, NodeProto] = field(default_factory=dict)
    closers: dict[str, NodeProto] = field(default_factory=dict)


def _is_depthwise(draft: Draft, node: NodeProto) -> bool:
    if node.op_type != "Conv" or integer(node, "group", 1) == 1:
        return False
    stored = draft.stored_in(node.input[1])
    return stored is not None and draft.tensors[stored].dims[:2] == [integer(node, "group", 1), 1]


def _matches(draft: Draft, node: NodeProto) -> bool:
    if not _is_depthwise(draft, node) or integer(node, "group", 1) % BLOCK == 0:
        return False
    source = draft.writer(node.input[0])
    return source is not None and source.op_type == DEQUANTIZE


def _refuses(draft: Draft, node: NodeProto) -> str | None:
    if integer(node, "group", 1) < LEAST:
        return f"it has fewer than {LEAST} channels"
    found = _region(draft, node)
    if isinstance(found, str):
        return found
    layers = [*found.openers.values(), *found.depthwise.values(), *found.closers.values()]
    for layer in layers:
        for name in layer.input[1:]:
            writer = draft.writer(name)
            if draft.stored_in(name) is None or (writer is not None and _is_blocked(writer)):
                return "the weights of a layer around it are not stored plainly"
    return None


def _is_blocked(node: NodeProto) -> bool:
    return integer(node, "block_size", 0) != 0


def _region(draft: Draft, start: NodeProto) -> _Region | str:
    """Return everything that shares its channels, or why it cannot be widened."""
    found = _Region()
    channels, shape = integer(start, "group", 1), draft.shape(start.input[0])
    waiting = [start.input[0], start.output[0]]
    while waiting:
        name = waiting.pop()
        if name in found.tensors:
            continue
        found.tensors.add(name)
        if name in draft.outputs:
            return "its channels leave the network"
        own = draft.shape(name)
        if own is None or shape is None:
            return "nothing says how many channels a tensor beside it has"
        if len(own) != len(shape) or own[1] != channels:
            return "a tensor of another shape meets its channels"
        writer = draft.writer(name)
        if writer is None:
            return "its channels are the network's input"
        for node in (writer, *draft.readers(name)):
            if _is_depthwise(draft, node):
                found.depthwise[node.output[0]] = node
                waiting += [node.input[0], node.output[0]]
            elif node.op_type == "Conv" and integer(node, "group", 1) == 1:
                side = found.openers if node is writer else found.closers
                side[node.output[0]] = node
            elif node.op_type in CHANNELWISE and _is_channelwise(draft, node):
                waiting += [*draft.moving(node), *node.output]
                if len(draft.moving(node)) < 2 and node.op_type == "Mul":
                    return "a product with a constant has its channels"
            else:
                return f"{node.op_type} has its channels, too"
    return found


def _is_channelwise(draft: Draft, node: NodeProto) -> bool:
    """False for a conversion with a scale per channel and a pool that gives indices as well."""
    if node.op_type in (QUANTIZE, DEQUANTIZE):
        scale = draft.array(node.input[1])
        return scale is not None and scale.size == 1
    return len(node.output) == 1


def _rewrite(draft: Draft, node: NodeProto) -> None:
    region = _region(draft, node)
    assert isinstance(region, _Region)
    channels = integer(node, "group", 1)
    extra = -channels % BLOCK
    for layer in (*region.openers.values(), *region.depthwise.values()):
        for place in range(1, len(layer.input)):
            layer.input[place] = _padded(draft, layer.input[place], axis=0, extra=extra)
    for layer in region.depthwise.values():
        group = next(item for item in layer.attribute if item.name == "group")
        group.i = channels + extra
    for layer in region.closers.values():
        layer.input[1] = _padded(draft, layer.input[1], axis=1, extra=extra)


def _padded(draft: Draft, name: str, *, axis: int, extra: int) -> str:
    """Return the name of the same constant with zeros at the end of an axis, packed as it was."""
    value = draft.array(name)
    if value is not None:
        wider = [(0, extra if i == axis else 0) for i in range(value.ndim)]
        return draft.constant(f"{name}.wide", np.pad(value, wider))
    unpack = draft.writer(name)
    assert unpack is not None
    assert unpack.op_type in UNPACKERS
    copy = NodeProto()
    copy.CopyFrom(unpack)
    copy.input[0] = _padded(draft, unpack.input[0], axis=axis, extra=extra)
    copy.output[0] = draft.unused(f"{name}.wide")
    for place in range(1, len(unpack.input)):
        parameter = draft.array(unpack.input[place])
        assert parameter is not None
        if parameter.ndim == 1 and parameter.size > 1 and integer(unpack, "axis", 1) == axis:
            # Scales must not be zero; those of no weights may be any.
            wide = np.pad(parameter, (0, extra), mode="edge")
            copy.input[place] = draft.constant(f"{unpack.input[place]}.wide", wide)
    draft.edit(remove=[unpack] if len(draft.readers(name)) == 1 else [], add=[copy])
    return str(copy.output[0])


WHOLE_BLOCKS = Rule(
    name="depthwise convolutions in INT8 with channels in whole blocks of 16",
    matches=_matches,
    refuses=_refuses,
    rewrite=_rewrite,
)
