"""Estimated time to make and measure a candidate, from those that were made before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optim.candidate import Candidate
from optim.recipe import Prune, Quantize, Recipe, Rounding
from optim.search.predict import channel_ratio, student_of

MEASURING_S = 8.0
"""Latency interleaved with the original, and the test split once."""
GRAPH_STEPS_S = 5.0
"""Export, fuse and quantize."""
LEARNED_ROUNDING_S = 60.0
"""Learning for each weight whether it is rounded up or down."""


def seconds_to_measure(recipe: Recipe, candidates: Sequence[Candidate]) -> float | None:
    """Estimate the seconds that a recipe takes from the click to its point.

    A finished training prefix is not trained again. Training time per epoch is interpolated over
    the pruning ratios that were trained, here or for the prebuilt candidates; learning from a
    teacher, quantization-aware training and other activations count as much, so the estimate is
    rather too low for them. A student takes as long per epoch as one like it has taken. Each round
    of pruning is measured too.

    Args:
        recipe: what is asked.
        candidates: of the same task.

    Returns:
        None if it must be trained and nothing like it has been.
    """
    quantize = recipe.step(Quantize)
    learned = quantize is not None and quantize.rounding is Rounding.ADAROUND
    rest = MEASURING_S + GRAPH_STEPS_S + (LEARNED_ROUNDING_S if learned else 0.0)
    each_round = rest * max(0, recipe.pruning_rounds - 1)
    epochs = sum(step.epochs for step in recipe.training_steps())
    if epochs == 0:
        return rest
    prefix = recipe.training_prefix()
    if any(c.recipe == prefix and c.artifact for c in candidates):
        return rest
    ratios, per_epoch = _trained([c for c in candidates if _alike(c.recipe, recipe)])
    if not len(ratios):
        return None
    ratio = channel_ratio(recipe.step(Prune))
    return float(np.interp(ratio, ratios, per_epoch)) * epochs + rest + each_round


def _alike(own: Recipe, asked: Recipe) -> bool:
    """True if the same network is trained, pruned or not: the original, or the same student."""
    return student_of(own) == student_of(asked)


def _cut_or_student(recipe: Recipe) -> bool:
    """True if its training says how long an epoch takes: others are slower by what they add."""
    return recipe.step(Prune) is not None or student_of(recipe) is not None


def _trained(candidates: Sequence[Candidate]) -> tuple[np.ndarray, np.ndarray]:
    """Return ratios of channels in rising order, and the longest seconds per epoch seen at each."""
    longest: dict[float, float] = {}
    for candidate in candidates:
        step, trained = candidate.recipe.step(Prune), candidate.recipe.training_steps()
        epochs = sum(each.epochs for each in trained)
        own = candidate.recipe
        alone = own == own.training_prefix() and len(trained) == 1 and _cut_or_student(own)
        first_round = step is None or step.rounds == 1  # a later one did not train all its epochs
        if alone and first_round and epochs and candidate.seconds:
            ratio = channel_ratio(step)
            longest[ratio] = max(longest.get(ratio, 0.0), candidate.seconds / epochs)
    ratios = np.array(sorted(longest))
    return ratios, np.array([longest[ratio] for ratio in ratios])
