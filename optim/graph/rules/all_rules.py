"""The rules in the order in which they are applied."""

from __future__ import annotations

from onnx import ModelProto

from optim.graph.onnx_file import read_model, tidy
from optim.graph.rules.global_pool import GLOBAL_POOL
from optim.graph.rules.hard_gate import HARD_GATE
from optim.graph.rules.hard_swish import HARD_SWISH
from optim.graph.rules.rule import apply_rules
from optim.graph.rules.soft_gate import SOFT_GATE
from optim.graph.rules.whole_blocks import WHOLE_BLOCKS

FLOAT_RULES = (GLOBAL_POOL,)
"""Exact in every precision."""
INTEGER_RULES = (WHOLE_BLOCKS, HARD_SWISH, HARD_GATE, SOFT_GATE)
"""For files with INT8 activations; exact up to the grid. The gates stop what the blocks need."""


def is_quantized(model: ModelProto) -> bool:
    """True if activations are quantized in the file."""
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def rewrite_integers(model: bytes) -> bytes:
    """Apply the rules for INT8 activations to a file that has them."""
    return tidy(apply_rules(read_model(model), INTEGER_RULES)[0])
