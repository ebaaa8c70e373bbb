"""Recipes made out of recipes: a step put in its place, layers in another precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from optim.recipe import MixedPrecision, Precision, Quantize, Recipe, Step
from optim.recipe.steps import STEP_ORDER, step_kind

WHOLE = (Precision.INT8, Precision.INT4)


def precisions_of(recipe: Recipe, layers: Iterable[str]) -> dict[str, Precision]:
    """The precision that a recipe gives to each layer.

    What is stored in FP16 is computed in FP32. With INT4 the first layer has eight bits unless it
    is named.

    Args:
        layers: in the order of the network.
    """
    general = recipe.precision if recipe.precision in WHOLE else Precision.FP32
    found = dict.fromkeys(layers, general)
    if general is Precision.INT4 and found:
        found[next(iter(found))] = Precision.INT8
    mixed = recipe.step(MixedPrecision)
    single = {} if mixed is None else dict(mixed.layers)
    return {layer: single.get(layer, precision) for layer, precision in found.items()}


def mixed_recipe(recipe: Recipe, layers: Mapping[str, Precision]) -> Recipe:
    """The same recipe with other precisions of single layers.

    Args:
        layers: the precision of every layer, in the order of the network.

    Returns:
        Without quantization if all layers stay in FP32; without mixed precision if all have the
        one that the quantization gives. A recipe without whole numbers quantizes to INT8.
    """
    kept = [s for s in recipe.steps if not isinstance(s, Quantize | MixedPrecision)]
    if all(precision is Precision.FP32 for precision in layers.values()):
        return Recipe(steps=tuple(kept), seed=recipe.seed)
    own = recipe.step(Quantize)
    general = own if own is not None and own.precision in WHOLE else Quantize()
    usual = precisions_of(Recipe(steps=(general,)), layers)
    single = {name: p for name, p in layers.items() if p is not usual[name]}
    mixed = (MixedPrecision(layers=tuple(single.items())),) if single else ()
    return Recipe(steps=(*kept, general, *mixed), seed=recipe.seed)


def keep_in_float(recipe: Recipe, layer: str) -> Recipe:
    """The same recipe with one more layer in FP32.

    Raises:
        ValueError: if the recipe has no ``Quantize`` step.
    """
    mixed = recipe.step(MixedPrecision)
    layers = {**dict(mixed.layers if mixed else ()), layer: Precision.FP32}
    steps = tuple(step for step in recipe.steps if not isinstance(step, MixedPrecision))
    return replace(recipe, steps=(*steps, MixedPrecision(layers=tuple(layers.items()))))


def _in_float(recipe: Recipe, layers: Iterable[str]) -> Recipe:
    mixed = recipe.step(MixedPrecision)
    kept = {**dict(mixed.layers if mixed else ()), **dict.fromkeys(layers, Precision.FP32)}
    return _with(recipe, MixedPrecision(layers=tuple(kept.items())))


def _with(recipe: Recipe, step: Step) -> Recipe:
    """The recipe with a step put in its place, instead of the one of its kind if there is one."""
    others = [own for own in recipe.steps if type(own) is not type(step)]
    steps = sorted((*others, step), key=lambda own: STEP_ORDER.index(step_kind(own)))
    return replace(recipe, steps=tuple(steps))
