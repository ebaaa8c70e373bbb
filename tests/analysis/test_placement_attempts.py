from __future__ import annotations

from dataclasses import replace

from optim.analysis.placement import Trial
from optim.analysis.placement_attempts import Attempt, following
from optim.candidate import Candidate, role_of
from optim.errors import Refusal
from optim.recipe import Recipe, recipe_of

RECIPE = recipe_of(precision="int8")
OPEN = Attempt(layers=("a", "b"), recipe=RECIPE, candidate=None, trial=None)


def timed(low: float, high: float) -> Attempt:
    middle = (low + high) / 2
    return replace(OPEN, trial=Trial(layers=OPEN.layers, speedup=middle, interval=(low, high)))


def refused() -> Attempt:
    candidate = Candidate(
        id="c0ffee000001",
        task="fashion-resnet",
        recipe=RECIPE,
        role=role_of(Recipe()),
        refusal=Refusal(reason="no layer is left.", remedy="Leave fewer."),
    )
    return replace(OPEN, candidate=candidate)


def test_the_first_that_is_not_settled_follows() -> None:
    assert following([]) is None
    assert following([OPEN, OPEN]) is OPEN
    assert following([timed(0.9, 1.1), refused(), OPEN]) is OPEN
    assert following([timed(0.9, 1.1), refused()]) is None


def test_nothing_follows_one_that_is_faster() -> None:
    assert following([timed(1.02, 1.1), OPEN]) is None
    assert timed(1.02, 1.1).is_faster
    assert not timed(0.99, 1.1).is_faster
