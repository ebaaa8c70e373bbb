"""Every kind of step: their order, their versions, and what of a step is worth telling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from dataclasses import Field as AnyField
from typing import Any, TypeVar

from optim.recipe.field import Field
from optim.recipe.fields import FIELDS
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
"""Steps that change the network in torch, before it becomes a file."""
GraphStep = Fuse | Quantize | MixedPrecision
"""Steps that change the file."""
Step = TrainingStep | GraphStep

S = TypeVar(
    "S",
    Replace,
    ReplaceActivation,
    Prune,
    Distill,
    Sparsify,
    QuantizeAware,
    Fuse,
    Quantize,
    MixedPrecision,
)

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
    """Return the name of a step's type in files."""
    return next(name for name, kind in STEP_TYPES.items() if type(step) is kind)


def fields_of(step: Step) -> tuple[Field, ...]:
    """Return the descriptions of a step's fields."""
    return FIELDS[step_kind(step)]


def usual_step(step: Step) -> Step:
    """Return the step with nothing chosen but what defines it."""
    return type(step)(**{f.name: getattr(step, f.name) for f in fields_of(step) if f.defines})


def told_fields(step: Step) -> dict[str, object]:
    """Return the fields that make a step what it is: those that differ from their usual values.

    What defines a step is told always, but where it is left empty.
    """
    usual = usual_step(step)
    required = {each.name for each in fields(step) if is_required(each)}
    told = {}
    for each in fields_of(step):
        value = getattr(step, each.name)
        if each.name in required or (value if each.defines else value != getattr(usual, each.name)):
            told[each.name] = value
    return told


def unusual_values(step: Step) -> list[tuple[Field, object]]:
    """Return the fields with an effect whose value is unusual beside what defines the step."""
    usual = usual_step(step)
    values = [(each, getattr(step, each.name)) for each in fields_of(step) if not each.defines]
    return [
        (each, value)
        for each, value in values
        if value != getattr(usual, each.name) and each.has_effect(step)
    ]


def with_effect(step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that would change what a step does."""
    known = {each.name: each for each in fields_of(step)}
    return {name: value for name, value in values.items() if known[name].has_effect(step)}


def usual_where_idle(step: S) -> S:
    """Return the step with the usual value in each field that has no effect beside the others."""
    idle = [each.name for each in fields_of(step) if not each.has_effect(step)]
    kind = step_kind(step)
    return replace(step, **{name: default_of(kind, name) for name in idle})


def default_of(kind: str, name: str) -> Any:
    """Return the usual value of a field, as its attribute has it.

    Raises:
        KeyError: if there is no such field, or it has none.
    """
    known = {each.name: each for each in fields(STEP_TYPES[kind]) if not is_required(each)}
    own = known[name]
    if own.default_factory is not MISSING:
        return own.default_factory()
    return own.default


def is_required(field: AnyField[Any]) -> bool:
    """True if a field has no usual value."""
    return field.default is MISSING and field.default_factory is MISSING
