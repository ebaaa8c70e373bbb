"""How long a candidate will take to make and measure, judged by those that were made before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optim.candidate import Candidate
from optim.recipe import Prune, Quantize, Recipe, Rounding

MEASURING_S = 8.0
"""Latency in turn with the original, and the test split once."""
GRAPH_STEPS_S = 5.0
"""Export, fuse and quantize."""
LEARNED_ROUNDING_S = 60.0
"""Learning for each weight whether it is rounded up or down."""


def seconds_to_measure(recipe: Recipe, candidates: Sequence[Candidate]) -> float | None:
    """Guess how long a recipe takes from the click to its point.

    A finished training prefix is not trained again. Training time per epoch is interpolated over
    the pruning ratios that were trained, here or where the starters were made; training on the grid
    and with other activations is taken to be as slow, so the guess is rather too low for it.

    Args:
        recipe: what is asked.
        candidates: of the same task.

    Returns:
        None if it must be trained and nothing like it has been.
    """
    quantize = recipe.step(Quantize)
    learned = quantize is not None and quantize.rounding is Rounding.LEARNED
    rest = MEASURING_S + GRAPH_STEPS_S + (LEARNED_ROUNDING_S if learned else 0.0)
    epochs = sum(step.epochs for step in recipe.training_steps())
    if epochs == 0:
        return rest
    prefix = recipe.training_prefix()
    if any(c.recipe == prefix and c.artifact for c in candidates):
        return rest
    ratios, per_epoch = _trained(candidates)
    if not len(ratios):
        return None
    return float(np.interp(recipe.pruning_ratio, ratios, per_epoch)) * epochs + rest


def _trained(candidates: Sequence[Candidate]) -> tuple[np.ndarray, np.ndarray]:
    """Pruning ratios in rising order, and the longest seconds per epoch seen at each."""
    longest: dict[float, float] = {}
    for candidate in candidates:
        step = candidate.recipe.step(Prune)
        alone = candidate.recipe == candidate.recipe.training_prefix()
        if step is not None and step.epochs > 0 and candidate.seconds and alone:
            seconds = candidate.seconds / step.epochs
            longest[step.ratio] = max(longest.get(step.ratio, 0.0), seconds)
    ratios = np.array(sorted(longest))
    return ratios, np.array([longest[ratio] for ratio in ratios])
