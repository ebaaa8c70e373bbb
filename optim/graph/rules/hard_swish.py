"""HardSwish spelled out as a gate and a product, so that its gate can be integers (``hard_gate``):

    HardSwish(x) = x * HardSigmoid(x),   alpha = 1 / 6, beta = 0.5

Other tools leave the one operator in a quantized file; ONNX Runtime then computes it in float.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from optim.graph.rules.draft import DEQUANTIZE, QUANTIZE, Draft
from optim.graph.rules.rule import Rule


def _matches(draft: Draft, node: NodeProto) -> bool:
    return node.op_type == "HardSwish"


def _refuses(draft: Draft, node: NodeProto) -> str | None:
    given = draft.gridded_input(node)
    if isinstance(given, str):
        return given
    quantize, source = given
    if any(len(draft.readers(item.output[0])) != 1 for item in (quantize, source)):
        return "its input has other readers"
    if draft.only_reader(node.output[0], QUANTIZE) is None:
        return "its result is read in float"
    return None


def _rewrite(draft: Draft, node: NodeProto) -> None:
    x, name = node.input[0], draft.unused(f"{node.output[0]}.gate")
    quantized, gate = draft.unused(f"{name}.q"), draft.unused(f"{name}.dq")
    grid = [
        draft.constant(f"{name}.scale", np.float32(1 / 255)),
        draft.constant(f"{name}.zero", np.uint8(0)),
    ]
    draft.edit(
        remove=[node],
        add=[
            helper.make_node("HardSigmoid", [x], [name], alpha=1 / 6, beta=0.5),
            helper.make_node(QUANTIZE, [name, *grid], [quantized]),
            helper.make_node(DEQUANTIZE, [quantized, *grid], [gate]),
            helper.make_node("Mul", [x, gate], node.output),
        ],
    )


HARD_SWISH = Rule(
    name="HardSwish in INT8 as a gate and a product",
    matches=_matches,
    refuses=_refuses,
    rewrite=_rewrite,
)
