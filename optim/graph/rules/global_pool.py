"""A mean over all of space becomes the operator made for it, which is exact:

    ReduceMean(axes = space)  ->  GlobalAveragePool (-> Flatten, if the mean drops the axes)

ONNX Runtime computes GlobalAveragePool in INT8 and ReduceMean in float between two conversions.
torch writes its 1-D average pooling as Unsqueeze(-2), ReduceMean(-1, -2), Squeeze(-2).

With three dimensions the last is space only behind a convolution or a pool; else it may be the
features of a transformer, whose means the engine fuses into one kernel with what is around them.
"""

from __future__ import annotations

from onnx import NodeProto, helper

from optim.graph.rules.draft import Draft, integer
from optim.graph.rules.rule import Rule

SPATIAL = (
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "Resize", "Upsample",
)  # fmt: skip
"""Operators that keep channels on the second axis and space behind it."""
ELEMENTWISE = (
    "Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish",
    "Tanh", "Erf", "Gelu", "Softplus", "Mish", "Add", "Sub", "Mul", "Div", "BatchNormalization",
    "InstanceNormalization", "GroupNormalization", "Dropout", "Identity", "Concat", "Unsqueeze",
    "QuantizeLinear", "DequantizeLinear", "Pad",
)  # fmt: skip
"""Operators that leave the meaning of the axes."""


def _matches(draft: Draft, node: NodeProto) -> bool:
    return node.op_type == "ReduceMean"


def _refuses(draft: Draft, node: NodeProto) -> str | None:
    rank = draft.rank(node.input[0])
    axes = _axes(draft, node, rank)
    if rank is None:
        return "nothing says how many dimensions it reads"
    if axes is None:
        return "its axes are not constant, or it names none"
    if rank < 3 or axes != list(range(2, rank)):
        return f"it is a mean over dimensions {axes} of {rank}, not over all of space"
    if rank == 3 and not _is_spatial(draft, node.input[0]):
        return "no convolution or pool before it says that the last of 3 dimensions is space"
    return None


def _is_spatial(draft: Draft, name: str) -> bool:
    """True if a convolution or pool wrote the tensor, with element-wise operators between."""
    waiting, seen = [name], set()
    while waiting:
        writer = draft.writer(waiting.pop())
        if writer is None or id(writer) in seen:
            continue
        seen.add(id(writer))
        if writer.op_type in SPATIAL:
            return True
        if writer.op_type in ELEMENTWISE:
            waiting += [item for item in writer.input if item]
    return False


def _rewrite(draft: Draft, node: NodeProto) -> None:
    line = _line(draft, node)
    if line is not None:
        unsqueeze, squeeze = line
        pool = helper.make_node("GlobalAveragePool", unsqueeze.input[:1], squeeze.output)
        draft.edit(remove=[node, unsqueeze, squeeze], add=[pool])
    elif integer(node, "keepdims", 1):
        pool = helper.make_node("GlobalAveragePool", node.input[:1], node.output)
        draft.edit(remove=[node], add=[pool])
    else:
        pooled = draft.unused(f"{node.output[0]}.pooled")
        pool = helper.make_node("GlobalAveragePool", node.input[:1], [pooled])
        flatten = helper.make_node("Flatten", [pooled], node.output, axis=1)
        draft.edit(remove=[node], add=[pool, flatten])


def _line(draft: Draft, node: NodeProto) -> tuple[NodeProto, NodeProto] | None:
    """Unsqueeze before and Squeeze after, if the mean is of one dimension lent a second one."""
    unsqueeze = draft.writer(node.input[0])
    if unsqueeze is None or unsqueeze.op_type != "Unsqueeze":
        return None
    squeeze = draft.only_reader(node.output[0], "Squeeze")
    alone = draft.only_reader(unsqueeze.output[0], "ReduceMean") is not None
    if squeeze is None or not alone or draft.rank(unsqueeze.input[0]) != 3:
        return None
    lent = _axes(draft, unsqueeze, 4) == _axes(draft, squeeze, 4) == [2]
    return (unsqueeze, squeeze) if lent and integer(node, "keepdims", 1) else None


def _axes(draft: Draft, node: NodeProto, rank: int | None) -> list[int] | None:
    """Return the constant axes of a node, sorted and counted from the front, or None."""
    listed = next((list(item.ints) for item in node.attribute if item.name == "axes"), None)
    axes = draft.array(node.input[1]) if len(node.input) > 1 else listed
    if axes is None or rank is None or len(axes) == 0:
        return None
    return sorted(int(axis) % rank for axis in axes)


GLOBAL_POOL = Rule(
    name="mean over all of space to GlobalAveragePool",
    matches=_matches,
    refuses=_refuses,
    rewrite=_rewrite,
)
