"""Recipes: what is done to a network, as values."""

from optim.recipe.choices import (
    Activation,
    Activations,
    Calibration,
    Precision,
    Rounding,
    parse_choice,
    parse_precision,
)
from optim.recipe.reading import MAX_RECIPE_BYTES
from optim.recipe.recipe import Recipe, recipe_of
from optim.recipe.steps import (
    MAX_RATIO,
    STEP_VERSIONS,
    Fuse,
    MixedPrecision,
    Prune,
    Quantize,
    QuantizeAware,
    ReplaceActivation,
    Step,
    TrainingStep,
    step_kind,
    step_words,
    told_fields,
)

__all__ = [
    "MAX_RATIO",
    "MAX_RECIPE_BYTES",
    "STEP_VERSIONS",
    "Activation",
    "Activations",
    "Calibration",
    "Fuse",
    "MixedPrecision",
    "Precision",
    "Prune",
    "Quantize",
    "QuantizeAware",
    "Recipe",
    "ReplaceActivation",
    "Rounding",
    "Step",
    "TrainingStep",
    "parse_choice",
    "parse_precision",
    "recipe_of",
    "step_kind",
    "step_words",
    "told_fields",
]
