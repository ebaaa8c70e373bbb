"""A mean over all of space becomes the operator made for it, which is exact:

    ReduceMean(axes = space)  ->  GlobalAveragePool (-> Flatten, if the mean drops the axes)

ONNX Runtime computes GlobalAveragePool in INT8 and ReduceMean in float between two conversions.
torch writes its 1-D average pooling as Unsqueeze(-2), ReduceMean(-1, -2), Squeeze(-2).
"""

from __future__ import annotations

from onnx import NodeProto, helper

from optim.graph.rules.draft import Draft, integer
from optim.graph.rules.rule import Rule


def _matches(draft: Draft, node: NodeProto) -> bool:
    return node.op_type == "ReduceMean"


def _refuses(draft: Draft, node: NodeProto) -> str | None:
    rank = draft.rank(node.input[0])
    axes = _axes(draft, node, rank)
    if rank is None:
        return "nothing says how many dimensions it reads"
    if axes is None:
        return "its axes are not constant"
    if rank < 3 or axes != list(range(2, rank)):
        return f"it is a mean over dimensions {axes} of {rank}, not over all of space"
    return None


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
        pooled = f"{node.output[0]}.pooled"
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
    """The constant axes of a node, sorted and counted from the front; None if there are none."""
    axes = draft.array(node.input[1]) if len(node.input) > 1 else None
    return None if axes is None or rank is None else sorted(int(axis) % rank for axis in axes)


GLOBAL_POOL = Rule(
    name="mean over all of space to GlobalAveragePool",
    matches=_matches,
    refuses=_refuses,
    rewrite=_rewrite,
)
