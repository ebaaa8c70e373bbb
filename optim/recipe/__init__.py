"""Recipes: what is done to a network, as values."""

from optim.recipe.choices import (
    INTEGER_PRECISIONS,
    Activation,
    Activations,
    Architecture,
    Calibration,
    Criterion,
    DistillationLoss,
    Pattern,
    Precision,
    PruningUnit,
    Rounding,
    Scope,
    SparsifyMethod,
    parse_precision,
)
from optim.recipe.fields import MAX_RATIO
from optim.recipe.graph_steps import Fuse, MixedPrecision, Quantize
from optim.recipe.reading import MAX_RECIPE_BYTES
from optim.recipe.recipe import Recipe, recipe_of
from optim.recipe.step_words import step_words
from optim.recipe.steps import STEP_VERSIONS, Step, TrainingStep, step_kind, told_fields
from optim.recipe.training_steps import (
    Distill,
    Prune,
    QuantizeAware,
    Replace,
    ReplaceActivation,
    Sparsify,
)

__all__ = [
    "INTEGER_PRECISIONS",
    "MAX_RATIO",
    "MAX_RECIPE_BYTES",
    "STEP_VERSIONS",
    "Activation",
    "Activations",
    "Architecture",
    "Calibration",
    "Criterion",
    "Distill",
    "DistillationLoss",
    "Fuse",
    "MixedPrecision",
    "Pattern",
    "Precision",
    "Prune",
    "PruningUnit",
    "Quantize",
    "QuantizeAware",
    "Recipe",
    "Replace",
    "ReplaceActivation",
    "Rounding",
    "Scope",
    "Sparsify",
    "SparsifyMethod",
    "Step",
    "TrainingStep",
    "parse_precision",
    "recipe_of",
    "step_kind",
    "step_words",
    "told_fields",
]
