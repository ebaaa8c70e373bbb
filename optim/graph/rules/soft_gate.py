"""SiLU between conversions in one piece: ``x * Sigmoid(x)`` in float is faster than in INT8.

    DQ -> Sigmoid -> Q -> DQ -> Mul -> Q    becomes    DQ -> Clip -> (Sigmoid, Mul) -> Q

ONNX Runtime computes the left one with a look-up table and an integer product: 0.42 ns per number.
It computes ``Sigmoid, Mul`` in float as one kernel (QuickGelu) if both read the same tensor; right
behind a DequantizeLinear they do not, because each reader gets a DequantizeLinear of its own. The
Clip to the grid's own lowest number changes no value and keeps the two together: 0.36 ns, and one
rounding less.
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from optim.graph.rules.draft import DEQUANTIZE, QUANTIZE, Draft
from optim.graph.rules.rule import Rule


def _product(draft: Draft, node: NodeProto) -> tuple[NodeProto, NodeProto, NodeProto] | None:
    """Return the Quantize, Dequantize and Mul behind a Sigmoid."""
    quantize = draft.only_reader(node.output[0], QUANTIZE)
    dequantize = draft.only_reader(quantize.output[0], DEQUANTIZE) if quantize else None
    product = draft.only_reader(dequantize.output[0], "Mul") if dequantize else None
    if quantize is None or dequantize is None or product is None:
        return None
    return quantize, dequantize, product


def _matches(draft: Draft, node: NodeProto) -> bool:
    found = _product(draft, node) if node.op_type == "Sigmoid" else None
    return found is not None and node.input[0] in found[2].input


def _refuses(draft: Draft, node: NodeProto) -> str | None:
    source = draft.writer(node.input[0])
    if source is None or draft.grid(source) is None:
        return "its input is not on an unsigned 8-bit grid"
    if len(draft.readers(source.output[0])) != 2:
        return "its input has other readers"
    found = _product(draft, node)
    assert found is not None
    if draft.only_reader(found[2].output[0], QUANTIZE) is None:
        return "its result is read in float"
    return None


def _rewrite(draft: Draft, node: NodeProto) -> None:
    source, found = draft.writer(node.input[0]), _product(draft, node)
    assert source is not None
    assert found is not None
    quantize, dequantize, product = found
    grid = draft.grid(source)
    assert grid is not None
    scale, zero = grid
    together = draft.unused(f"{source.output[0]}.clipped")
    lowest = draft.constant(f"{together}.low", np.float32(-zero) * np.float32(scale))
    clip = helper.make_node("Clip", [source.output[0], lowest], [together])
    renamed = {source.output[0]: together, dequantize.output[0]: node.output[0]}
    product.input[:] = [renamed.get(name, name) for name in product.input]
    node.input[0] = together
    draft.edit(remove=[quantize, dequantize], add=[clip])


SOFT_GATE = Rule(
    name="SiLU between conversions as one float kernel",
    matches=_matches,
    refuses=_refuses,
    rewrite=_rewrite,
)
