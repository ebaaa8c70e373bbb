"""Placement one attempt at a time: each leaves some layers in FP32 and is an ordinary candidate.

Profiles name the layers, the clock settles each attempt, and the first that is faster ends the
search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optim.analysis.layer_rows import layer_rows
from optim.analysis.placement import Trial, compared, tries
from optim.candidate import Candidate
from optim.engines.profile import Profile
from optim.recipe import Precision, Recipe
from optim.recipe.edit import precisions_of, with_precisions


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Some layers of a candidate in FP32.

    Attributes:
        layers: the greatest loss first.
        recipe: that leaves them in FP32.
        candidate: of that recipe, if the workspace knows it.
        trial: how fast it is against the candidate with none in FP32; None before it is measured.
    """

    layers: tuple[str, ...]
    recipe: Recipe
    candidate: Candidate | None
    trial: Trial | None

    @property
    def is_settled(self) -> bool:
        """True if it was measured, or refused."""
        refused = self.candidate is not None and self.candidate.refusal is not None
        return self.trial is not None or refused

    @property
    def is_faster(self) -> bool:
        """True if it was measured and is faster beyond what measuring varies."""
        return self.trial is not None and self.trial.faster


def attempts(
    source: Candidate,
    own: Profile,
    fp32: Profile,
    known: Callable[[Recipe], Candidate | None],
) -> tuple[Attempt, ...]:
    """Return what is worth trying with a candidate, in the order of trying.

    Args:
        source: measured, with integers throughout.
        own: its profile.
        fp32: the profile of its float parent.
        known: the candidate of a recipe, if the workspace has it.
    """
    layers = [row.layer for row in layer_rows(source.recipe, own, fp32, None)]
    precisions = precisions_of(source.recipe, layers)
    made = []
    for left in tries(fp32, own):
        mix = {**precisions, **dict.fromkeys(left, Precision.FP32)}
        recipe = with_precisions(source.recipe, mix)
        found = known(recipe)
        made.append(
            Attempt(layers=left, recipe=recipe, candidate=found, trial=_trial(left, found, source))
        )
    return tuple(made)


def following(made: Sequence[Attempt]) -> Attempt | None:
    """Return the first attempt that is not settled, as long as none was faster."""
    if any(attempt.is_faster for attempt in made):
        return None
    return next((attempt for attempt in made if not attempt.is_settled), None)


def _trial(layers: tuple[str, ...], known: Candidate | None, source: Candidate) -> Trial | None:
    if known is None or known.latency is None or source.latency is None:
        return None
    return compared(layers, known.latency, source.latency)
