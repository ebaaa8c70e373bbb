"""Recipes and measurements told in sentences. Pure functions; nothing is drawn here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dashboard.words import step_words, words
from optim.candidate import Candidate, Role
from optim.measure.measurement import Score
from optim.recipe import (
    INTEGER_PRECISIONS,
    Architecture,
    Distill,
    Recipe,
    Replace,
    recipe_of,
)
from optim.search.control import Verdict, compressed_beats_control
from optim.search.pareto import Front

CLEARLY = 1.05
"""Below this a ratio is told as "as fast"."""
WHY_WHOLE_NUMBERS_MAY_BE_SLOW = (
    "Integers are quicker only where the engine has kernels for them. Each operator that "
    "stays in float needs conversions around it, and in a small network these can cost more than "
    "the rest saves."
)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One step of the order in which people should think.

    Attributes:
        title: two or three words.
        text: what this model's measured candidates say, or what to try.
        candidate_id: whose card proves it, if one is measured.
        recipe: what to try, if nothing is measured yet.
    """

    title: str
    text: str
    candidate_id: str | None = None
    recipe: Recipe | None = None


def what_changed(recipe: Recipe) -> tuple[str, ...]:
    """Return each step of a recipe in a sentence for a non-expert."""
    if not recipe.steps:
        return ("Nothing: this is the network as it was trained, the measure for all others.",)
    return tuple(map(step_words.sentence, recipe.steps))


def standing(candidate: Candidate, front: Front) -> str:
    """Return a candidate's place in the plots, in a few words for a badge."""
    if candidate in front.members:
        return "on the front"
    if candidate in front.tied:
        return "tied with the front"
    if candidate in front.dominated:
        return "dominated"
    if candidate.id in front.broken:
        return "out of limits"
    return "not measured"


def slower_than_float(candidate: Candidate, parent: Candidate | None) -> float | None:
    """Return how many times slower a quantized candidate is than the same network in FP32.

    Returns:
        None if it is not quantized to integers, not clearly slower, or not known.
    """
    if candidate.recipe.precision not in INTEGER_PRECISIONS:
        return None
    if parent is None or candidate.latency is None or parent.latency is None:
        return None
    ratio = parent.latency.speedup / candidate.latency.speedup
    return ratio if ratio >= CLEARLY else None


def lessons(
    candidates: tuple[Candidate, ...], epochs: float, family: Architecture | str | None
) -> tuple[Lesson, ...]:
    """Quantize, prune, combine, distil, control: what this model's own figures say of each.

    Args:
        candidates: of one task.
        epochs: fine-tuning that suits the task, for what is still to be tried.
        family: the task's own architecture, which takes its inputs; None where nothing can train.
    """
    baseline = next((c for c in candidates if c.role is Role.BASELINE and c.measured), None)
    if baseline is None:
        return ()
    return (
        _quantize_lesson(candidates, baseline),
        _prune_lesson(candidates, baseline, epochs),
        _combine_lesson(candidates, baseline, epochs),
        *(() if family is None else (_distil_lesson(candidates, baseline, family),)),
        _control_lesson(candidates),
    )


def _quantize_lesson(candidates: tuple[Candidate, ...], baseline: Candidate) -> Lesson:
    recipe = recipe_of(precision="int8")
    return _told(
        "Quantize first",
        _best(candidates, lambda c: c.recipe == recipe),
        baseline,
        recipe,
        "It needs no training, so it is the first thing to try.",
    )


def _prune_lesson(candidates: tuple[Candidate, ...], baseline: Candidate, epochs: float) -> Lesson:
    def is_pruned(c: Candidate) -> bool:
        return words.method(c.recipe) == "pruned"

    return _told(
        "Then prune",
        _best(candidates, is_pruned),
        baseline,
        recipe_of(pruning_ratio=0.5, epochs=epochs),
        "Removing channels makes every engine faster, but needs some training afterwards.",
    )


def _combine_lesson(
    candidates: tuple[Candidate, ...], baseline: Candidate, epochs: float
) -> Lesson:
    def is_both(c: Candidate) -> bool:
        return words.method(c.recipe) == "pruned + quantized"

    return _told(
        "Combine both",
        _best(candidates, is_both),
        baseline,
        recipe_of(precision="int8", pruning_ratio=0.5, epochs=epochs),
        "The two savings multiply.",
    )


def _distil_lesson(
    candidates: tuple[Candidate, ...], baseline: Candidate, family: Architecture | str
) -> Lesson:
    def has_teacher(c: Candidate) -> bool:
        return any(isinstance(step, Replace | Distill) for step in c.recipe.steps)

    return _told(
        "Then distil",
        _best(candidates, has_teacher),
        baseline,
        Recipe(steps=(Replace(architecture=Architecture(family), width=0.5),)),
        "A small student that learns the original's answers may beat a large network cut down.",
    )


def _control_lesson(candidates: tuple[Candidate, ...]) -> Lesson:
    title = "Ask the control"
    pairs = compressed_beats_control(candidates)
    if not pairs:
        return Lesson(
            title=title,
            text="Would a small network, trained from scratch, be as good? No such pair is "
            "measured for this model yet.",
        )
    worst = min(pairs, key=lambda pair: pair.difference)
    return Lesson(
        title=title,
        text=worst.words,
        candidate_id=(worst.control if worst.verdict is Verdict.CONTROL else worst.compressed).id,
    )


def _told(
    title: str, found: Candidate | None, baseline: Candidate, recipe: Recipe, why: str
) -> Lesson:
    if found is None:
        return Lesson(title=title, text=f"{why} Not measured for this model yet.", recipe=recipe)
    figures = words.versus_baseline(found, baseline)
    return Lesson(
        title=title, text=f"{why} Here, {found.words()}: {figures}.", candidate_id=found.id
    )


def _best(
    candidates: tuple[Candidate, ...], wanted: Callable[[Candidate], bool]
) -> Candidate | None:
    """Return the fastest of the wanted ones that loses little, else the best scored."""
    found = [c for c in candidates if c.measured and c.role is not Role.CONTROL and wanted(c)]
    kind = [c for c in found if c.score and c.score.drop <= _small_drop(c.score)]
    if kind:
        return max(kind, key=lambda c: c.latency.speedup if c.latency else 0.0)
    return max(found, key=lambda c: -c.score.cost if c.score else -math.inf, default=None)


def _small_drop(score: Score) -> float:
    """Return two points; of a score that is no share, a tenth of the original's."""
    return 0.02 if score.moments is None else 0.1 * abs(score.value - score.difference)


def another_architecture(recipe: Recipe) -> str:
    """Return what a student has of the original: its outputs, unless another network taught it."""
    taught = recipe.step(Distill)
    if taught is None or not taught.teacher:
        return "It is another architecture: it keeps nothing of the original but its answers."
    return (
        "It is another architecture: it keeps nothing of the original, "
        f"{words.networks(taught.teacher)} taught it."
    )
