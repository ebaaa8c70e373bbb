"""Recipes made out of recipes: layers in another precision, without a teacher, from scratch.

A step is put in its place by ``Recipe.with_step`` and taken out by ``Recipe.without``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, assert_never

from optim.recipe.choices import INTEGER_PRECISIONS, Precision
from optim.recipe.graph_steps import MixedPrecision, Quantize
from optim.recipe.recipe import Recipe
from optim.recipe.steps import GraphStep, Step, fields_of, told_fields
from optim.recipe.training_steps import (
    Distill,
    Prune,
    QuantizeAware,
    Replace,
    ReplaceActivation,
    Sparsify,
)


def usual_precisions(precision: Precision, layers: Iterable[str]) -> dict[str, Precision]:
    """Return the precision of each layer of a file in which no layer has its own.

    INT4 leaves the first layer at 8 bits: it sees the input itself and has about a
    hundredth of the weights.

    Args:
        precision: of the file.
        layers: in the order of the network.
    """
    found = dict.fromkeys(layers, precision)
    if precision is Precision.INT4 and found:
        found[next(iter(found))] = Precision.INT8
    return found


def precisions_of(recipe: Recipe, layers: Iterable[str]) -> dict[str, Precision]:
    """Return the precision that a recipe computes each layer in; FP16 is computed in FP32.

    Args:
        layers: in the order of the network; names that the recipe knows and the network does not
            are left out.
    """
    general = recipe.precision if recipe.precision in INTEGER_PRECISIONS else Precision.FP32
    found = usual_precisions(general, layers)
    mixed = recipe.step(MixedPrecision)
    named = {} if mixed is None else dict(mixed.layers)
    return {layer: named.get(layer, precision) for layer, precision in found.items()}


def with_precisions(recipe: Recipe, layers: Mapping[str, Precision]) -> Recipe:
    """Return the same recipe with these precisions of single layers.

    Args:
        layers: the precision of every layer, in the order of the network.

    Returns:
        Without quantization if all layers stay in FP32; without mixed precision if all have the
        one that the quantization gives. A recipe without integers quantizes to INT8.
    """
    kept = recipe.without(Quantize, MixedPrecision)
    if all(precision is Precision.FP32 for precision in layers.values()):
        return kept
    own = recipe.step(Quantize)
    general = own if own is not None and own.precision in INTEGER_PRECISIONS else Quantize()
    usual = usual_precisions(general.precision, layers)
    named = {name: p for name, p in layers.items() if p is not usual[name]}
    quantized = kept.with_step(general)
    return quantized.with_step(MixedPrecision(layers=tuple(named.items()))) if named else quantized


def keep_in_float(recipe: Recipe, layers: Iterable[str]) -> Recipe:
    """Return the same recipe with these layers in FP32, beside those that it names already.

    Raises:
        ValueError: if the recipe has no ``Quantize`` step.
    """
    mixed = recipe.step(MixedPrecision)
    named = {**dict(mixed.layers if mixed else ()), **dict.fromkeys(layers, Precision.FP32)}
    return recipe.with_step(MixedPrecision(layers=tuple(named.items())))


def suiting(step: Step, best: Step) -> dict[str, Any]:
    """Return the task's best values of the fields that have an effect beside the step's own.

    Args:
        best: a step of the same kind, as it suits the task.
    """
    known = (each for each in fields_of(step) if each.suits and each.has_effect(step))
    return {each.name: getattr(best, each.name) for each in known}


def without_teacher(recipe: Recipe) -> Recipe:
    """Return the twin that learns from the labels alone, everything else being equal.

    >>> without_teacher(Recipe(steps=(Distill(temperature=2, epochs=3),))).words()
    'train without a teacher (3 epochs)'
    """
    return replace(recipe, steps=tuple(map(_from_labels, recipe.steps)))


def graph_steps_alone(recipe: Recipe) -> Recipe:
    """Return the same recipe without its training steps: what can be done to any file."""
    kept = tuple(step for step in recipe.steps if isinstance(step, GraphStep))
    return Recipe(steps=kept, seed=recipe.seed if kept else 0)


def trained_from_scratch(recipe: Recipe, *, epochs: float) -> Recipe | None:
    """Return the control of a recipe: the same small network, trained from scratch.

    After pruning it has the same teacher, and the epochs of the original's training and of the
    fine-tuning together: whoever starts anew has that much time. A student starts from scratch
    itself; its control learns for as long from the labels alone.

    Args:
        epochs: of the original's own training.

    Returns:
        None if the recipe leaves the network as wide as it is, or is a control itself.
    """
    pruned, student, taught = recipe.step(Prune), recipe.step(Replace), recipe.step(Distill)
    if recipe.is_control:
        return None
    if student is not None:
        trained = student.epochs + (0.0 if taught is None else taught.epochs)
        return recipe.without(Distill).with_step(replace(student, epochs=trained, distill=False))
    if pruned is None:
        return None
    return recipe.with_step(
        replace(pruned, keep_weights=False, epochs=pruned.epochs + epochs, rounds=1)
    )


def _from_labels(step: Step) -> Step:
    """Return the step without its teacher."""
    if isinstance(step, GraphStep):
        return step
    match step:
        case Distill():
            unused = {each.name for each in fields_of(step) if each.matters == "distill"}
            kept = {name: v for name, v in told_fields(step).items() if name not in unused}
            alone: dict[str, Any] = {**kept, "alpha": 0.0}
            return Distill(**alone)
        case Replace() | ReplaceActivation() | Prune() | Sparsify() | QuantizeAware():
            return replace(step, distill=False) if step.epochs > 0 else step
        case _:
            assert_never(step)
