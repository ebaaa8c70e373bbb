"""Every kind of step: their order, their versions, and what of a step is worth telling."""

from __future__ import annotations

from dataclasses import fields

from optim.recipe.graph_steps import Fuse, MixedPrecision, Quantize
from optim.recipe.training_steps import (
    Distill,
    Prune,
    QuantizeAware,
    Replace,
    ReplaceActivation,
    Sparsify,
)

TrainingStep = Replace | ReplaceActivation | Prune | Distill | Sparsify | QuantizeAware
Step = TrainingStep | Fuse | Quantize | MixedPrecision
"""Steps that change the network in torch, before it becomes a file."""

STEP_TYPES: dict[str, type[Step]] = {
    "replace": Replace,
    "replace_activation": ReplaceActivation,
    "prune": Prune,
    "distill": Distill,
    "sparsify": Sparsify,
    "quantize_aware": QuantizeAware,
    "fuse": Fuse,
    "quantize": Quantize,
    "mixed_precision": MixedPrecision,
}
STEP_ORDER = tuple(STEP_TYPES)
STEP_VERSIONS = {
    "replace": 2,
    "replace_activation": 2,
    "prune": 2,
    "distill": 2,
    "sparsify": 2,
    "quantize_aware": 2,
    "fuse": 1,
    "quantize": 2,
    "mixed_precision": 1,
}
"""Raised when a step's algorithm changes its result: old candidates are not taken for new ones."""


def step_kind(step: Step) -> str:
    """The name of a step's type in files."""
    return next(name for name, kind in STEP_TYPES.items() if type(step) is kind)


def told_fields(step: Step) -> dict[str, object]:
    """The fields that make a step what it is: those that differ from their usual values."""
    match step:
        case Replace():
            usual: Step = Replace(architecture=step.architecture)
            always = {"architecture"}
        case Prune():
            usual = Prune(ratio=step.ratio, blocks=step.blocks, layers=step.layers)
            always = {"ratio", *(name for name in ("blocks", "layers") if getattr(step, name))}
        case Quantize():
            usual, always = Quantize(precision=step.precision), {"precision"}
        case _:
            usual, always = type(step)(), set()
    values = {field.name: getattr(step, field.name) for field in fields(step)}
    return {k: v for k, v in values.items() if k in always or v != getattr(usual, k)}
