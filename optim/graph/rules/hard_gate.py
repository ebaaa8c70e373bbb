"""HardSigmoid without a kernel: the integers of its input, read with another scale.

    HardSigmoid(x) = clip(alpha * x + beta, 0, 1)

is a straight line between two clips. Which way is exact depends on who else reads x:

- nobody (squeeze-excite): beta / alpha goes into the bias of the convolution before, and the grid
  of the result starts at 0, where the line does. Nothing is left to compute.
- a HardSwish, x * HardSigmoid(x), whose x comes below -beta / alpha: the grid of x starts there,
  since the product is 0 below. Then ``DequantizeLinear(q, alpha * scale, 0)`` is the line, and a
  ``Clip`` of the integers its upper end.
- a HardSwish of smaller numbers: that grid would be coarser. ``alpha * x`` is another scale again,
  and beta an ``Add``, which has an INT8 kernel; the grid of the sum clips.

ONNX Runtime has no INT8 kernel for HardSigmoid: it runs in float between two conversions, 0.25 ns
per number together on an AVX-512 processor. The Clip takes 0.03 ns, the Add 0.07.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from optim.graph.rules.draft import DEQUANTIZE, QUANTIZE, Draft, number
from optim.graph.rules.rule import Rule

LEVELS = 255
LARGEST_BIAS = 2.0**30
"""In units of the integer sum; half of what 32 bits hold, for the bias that is there already."""
COARSER = 1.1
"""How much coarser the grid of x may become."""


def _matches(draft: Draft, node: NodeProto) -> bool:
    return node.op_type == "HardSigmoid"


def _refuses(draft: Draft, node: NodeProto) -> str | None:
    given = draft.gridded_input(node)
    if isinstance(given, str):
        return given
    quantize, source = given
    result = draft.only_reader(node.output[0], QUANTIZE)
    if result is None or draft.only_reader(result.output[0], DEQUANTIZE) is None:
        return "its result is read in float"
    grid = draft.grid(result)
    if grid is None or grid[1] != 0 or grid[0] * LEVELS > 1.001:
        return "the grid of its result does not end where it clips"
    if number(node, "alpha", 0.2) <= 0:
        return "it does not rise with its input"
    if len(draft.readers(quantize.output[0])) != 1:
        return "its input's integers have other readers"
    others = [reader for reader in draft.readers(source.output[0]) if reader is not node]
    if not others:
        return _refuses_alone(draft, node, quantize)
    if number(node, "beta", 0.5) <= 0:
        return "it starts above zero, where no product with its input is 0"
    gated = draft.only_reader(result.output[0], DEQUANTIZE)
    assert gated is not None
    product = draft.only_reader(gated.output[0], "Mul")
    if product is None or len(others) != 1 or others[0] is not product:
        return "its input is read by more than the product that makes a HardSwish"
    return None


def _refuses_alone(draft: Draft, node: NodeProto, quantize: NodeProto) -> str | None:
    layer = draft.writer(quantize.input[0])
    if layer is None or layer.op_type != "Conv" or len(draft.readers(layer.output[0])) != 1:
        return "no convolution before it can take up its offset"
    if draft.stored_in(layer.input[1]) is None:
        return "the convolution before it has no constant weights"
    if len(layer.input) > 2 and draft.array(layer.input[2]) is None:
        return "the convolution before it has no bias in float"
    offset = abs(number(node, "beta", 0.5) / number(node, "alpha", 0.2))
    if offset > LARGEST_BIAS * _least_unit(draft, layer):
        return "the bias of the convolution before it cannot hold its offset in 32 bits"
    return None


def _least_unit(draft: Draft, layer: NodeProto) -> float:
    """Return the smallest unit of a convolution's integer sums; infinite if computed in float."""
    steps = []
    for name in layer.input[:2]:
        writer = draft.writer(name)
        scale = (
            draft.array(writer.input[1]) if writer is not None and len(writer.input) > 1 else None
        )
        if scale is None:
            return np.inf
        steps.append(float(scale.min()))
    return steps[0] * steps[1]


def _rewrite(draft: Draft, node: NodeProto) -> None:
    source = draft.writer(node.input[0])
    result = draft.only_reader(node.output[0], QUANTIZE)
    assert source is not None
    assert result is not None
    quantize = draft.writer(source.input[0])
    gated = draft.only_reader(result.output[0], DEQUANTIZE)
    assert quantize is not None
    assert gated is not None
    gate = _Gate(node, source, quantize, result, gated)
    grid = draft.grid(quantize)
    assert grid is not None
    if len(draft.readers(source.output[0])) == 1:
        _into_bias(draft, gate)
        return
    scale, zero = _grid_from_the_kink(grid, kink=gate.offset / gate.slope)
    if scale <= COARSER * grid[0]:
        _as_scale(draft, gate, scale, zero)
    else:
        _as_sum(draft, gate, grid)


@dataclass(frozen=True)
class _Gate:
    """quantize -> source -> hard -> result -> gated."""

    hard: NodeProto
    source: NodeProto
    quantize: NodeProto
    result: NodeProto
    gated: NodeProto

    @property
    def slope(self) -> float:
        return number(self.hard, "alpha", 0.2)

    @property
    def offset(self) -> float:
        return number(self.hard, "beta", 0.5)


def _into_bias(draft: Draft, gate: _Gate) -> None:
    layer = draft.writer(gate.quantize.input[0])
    result = draft.grid(gate.result)
    assert layer is not None
    assert result is not None
    stored = draft.stored_in(layer.input[1])
    assert stored is not None
    bias = draft.array(layer.input[2]) if len(layer.input) > 2 else None
    shift = np.full(draft.tensors[stored].dims[0], gate.offset / gate.slope)
    shifted = (shift if bias is None else shift + bias).astype(np.float32)
    layer.input[2:] = [draft.constant(f"{layer.output[0]}.bias", shifted)]
    _set_grid(draft, gate.quantize, result[0] / gate.slope, 0)
    gate.gated.input[0] = gate.quantize.output[0]  # its grid is the result's already
    draft.edit(remove=[gate.hard, gate.result, gate.source])


def _as_scale(draft: Draft, gate: _Gate, scale: float, zero: int) -> None:
    integers = gate.quantize.output[0]
    top = round(1 / gate.slope / scale)
    clips = []
    if top < LEVELS:
        limit = draft.constant(f"{integers}.top", np.uint8(top))
        clipped = draft.unused(f"{integers}.clipped")
        clips = [helper.make_node("Clip", [integers, "", limit], [clipped])]
    _set_grid(draft, gate.quantize, scale, zero)
    _set_grid(draft, gate.source, scale, zero)
    _set_grid(draft, gate.gated, scale * gate.slope, 0)
    gate.gated.input[0] = clips[0].output[0] if clips else integers
    draft.edit(remove=[gate.hard, gate.result], add=clips)


def _as_sum(draft: Draft, gate: _Gate, grid: tuple[float, int]) -> None:
    integers = gate.quantize.output[0]
    line, offset = draft.unused(f"{integers}.line"), draft.unused(f"{integers}.offset")
    scaled = helper.make_node("DequantizeLinear", [integers], [line])
    _set_grid(draft, scaled, grid[0] * gate.slope, grid[1])
    stored = draft.constant(f"{offset}.q", np.uint8(LEVELS))
    constant = helper.make_node("DequantizeLinear", [stored], [offset])
    _set_grid(draft, constant, gate.offset / LEVELS, 0)
    total = helper.make_node("Add", [line, offset], [gate.result.input[0]])
    draft.edit(remove=[gate.hard], add=[scaled, constant, total])


def _grid_from_the_kink(old: tuple[float, int], *, kink: float) -> tuple[float, int]:
    """Return the quantizer whose integer 0 is exactly ``-kink`` and that reaches as high."""
    scale, zero = old
    high = max(scale * (LEVELS - zero), kink / (LEVELS - 1))
    new_zero = max(1, int(LEVELS * kink / (kink + high)))
    return kink / new_zero, new_zero


def _set_grid(draft: Draft, node: NodeProto, scale: float, zero: int) -> None:
    stem = node.output[0]
    node.input[1:] = [
        draft.constant(f"{stem}.scale", np.float32(scale)),
        draft.constant(f"{stem}.zero", np.uint8(zero)),
    ]


HARD_GATE = Rule(
    name="HardSigmoid in INT8 as another scale of its input",
    matches=_matches,
    refuses=_refuses,
    rewrite=_rewrite,
)
