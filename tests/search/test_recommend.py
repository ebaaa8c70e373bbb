from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optim.candidate import Candidate
from optim.recipe import Precision, recipe_of
from optim.search.pareto import Limits, Objective, costs_of, distinguishable
from optim.search.recommend import recommend, wish_of
from tests.dashboard.factories import candidate, control, sample_candidates


def test_the_fastest_within_the_limits_is_recommended_with_its_reason() -> None:
    found = recommend(sample_candidates(), Limits(max_score_drop=0.01))
    assert found is not None
    assert found.candidate.words() == "prune 50 % of channels, INT8"
    assert "fastest candidate within your limits" in found.reason
    assert "loses 2.31 points, your limit is 1" in found.reason
    assert found.runner_up.words() == "prune 50 % of channels"
    assert found.distinguishable


def test_of_those_that_are_equally_fast_the_most_accurate_is_recommended() -> None:
    slower = candidate(
        recipe_of(pruning_ratio=0.5, precision="int8"), speedup=9.50, lost=20, noise=0.05
    )
    faster = candidate(control(0.5, Precision.INT8), speedup=9.65, lost=150, noise=0.05)
    found = recommend([slower, faster], Limits())
    assert found.candidate is slower
    assert (
        found.reason == "It is among the fastest measured so far, and the most accurate of those."
    )
    clearly = candidate(control(0.75, Precision.INT8), speedup=14.0, lost=150)
    assert recommend([slower, faster, clearly], Limits()).candidate is clearly


def test_a_difference_that_no_interval_hides_is_no_tie_however_small() -> None:
    slower = candidate(recipe_of(precision="int8"), speedup=9.50, lost=20, noise=0.001)
    faster = candidate(recipe_of(precision="int8", seed=1), speedup=9.65, lost=150, noise=0.001)
    assert recommend([slower, faster], Limits()).candidate is faster


def test_inside_a_limit_of_time_or_size_the_most_accurate_is_recommended() -> None:
    original = candidate(recipe_of())
    tied = candidate(recipe_of(precision="int8"), speedup=3.0, size_bytes=2_000_000, lost=8)
    quick = candidate(recipe_of(pruning_ratio=0.75), speedup=20.0, size_bytes=150_000, lost=95)
    everyone = [original, tied, quick]
    for limits in (Limits(max_latency_ms=2.0), Limits(max_size_bytes=3e6, max_score_drop=0.01)):
        found = recommend(everyone, limits)
        assert found.candidate is tied
        assert found.runner_up is quick
    assert recommend(everyone, Limits(max_score_drop=0.01)).candidate is quick
    assert recommend(everyone, Limits(), goal=Objective.SCORE).candidate is tied  # and faster


def test_the_runner_up_has_its_price() -> None:
    choice = candidate(recipe_of(precision="int8"), speedup=5.24, size_bytes=2_000_000, lost=4)
    other = candidate(recipe_of(pruning_ratio=0.75), speedup=2.62, size_bytes=150_000, lost=95)
    found = recommend([choice, other], Limits(max_latency_ms=5.0))
    assert found.price.startswith("The runner-up is prune 75 % of channels: 0.5")
    assert found.price.endswith(" slower, 0.91 points worse, 1.85 MB smaller.")
    assert recommend([choice], Limits()).price == "Nothing else that is measured fits."


def test_a_loss_whose_interval_reaches_over_the_limit_is_at_its_edge() -> None:
    original = candidate(recipe_of())
    near = candidate(recipe_of(pruning_ratio=0.75), speedup=9.0, lost=100, better=130)
    found = recommend([original, near], Limits(max_score_drop=0.01))
    assert found.candidate is near
    assert "at the edge of your limit: it loses 1.00 points, 95 % interval 0.6" in found.doubt
    assert "edge" not in recommend([original, near], Limits(max_score_drop=0.02)).doubt


POOL = [candidate(recipe_of())] + [
    candidate(
        recipe_of(pruning_ratio=0.5, seed=i),
        speedup=float(rng.choice([1.5, 1.51, 3.0, 6.0]) * rng.uniform(0.99, 1.01)),
        size_bytes=int(rng.choice([200_000, 400_000, 2_000_000])),
        lost=int(rng.integers(-20, 200)),
        better=int(rng.integers(20, 90)),
        noise=float(rng.choice([0.001, 0.02, 0.1])),
    )
    for i, rng in enumerate(map(np.random.default_rng, range(80)))
]


def test_advice_keeps_limits_is_never_beaten_in_its_wish_and_does_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(0)
    advised = 0
    for _ in range(2000):
        rows = [POOL[i] for i in rng.permutation(len(POOL))[: rng.integers(1, 12)]]
        limits = Limits(
            max_score_drop=rng.choice([None, 0.0, 0.005, 0.01]),
            max_latency_ms=rng.choice([None, 0.5, 0.9, 2.0]),
            max_size_bytes=rng.choice([None, 300_000, 1e6]),
        )
        goal = rng.choice([None, *Objective])
        found = recommend(rows, limits, goal=goal)
        again = recommend([rows[i] for i in rng.permutation(len(rows))], limits, goal=goal)
        assert (found.candidate, found.runner_up) == (again.candidate, again.runner_up)
        assert (found.reason, found.price, found.doubt) == (again.reason, again.price, again.doubt)
        baseline = next((c for c in rows if not c.recipe.steps), None)
        inside = [c for c in rows if not limits.broken_by(c, baseline)]
        assert (found.candidate is None) == (not inside)
        if not inside:
            continue
        advised += 1
        assert found.candidate in inside
        assert (found.runner_up in inside) == (len(inside) > 1)
        wish = goal or wish_of(limits)
        for other in inside:
            better = speed_or_cost(other, wish) < speed_or_cost(found.candidate, wish)
            assert not (better and distinguishable(other, found.candidate, wish))
    assert advised > 1000


def speed_or_cost(c: Candidate, objective: Objective) -> float:
    """What a wish compares: of latency the speed-up, which is measured interleaved."""
    if objective is Objective.LATENCY:
        return -c.latency.speedup
    return costs_of(c, [objective])[0]


def test_no_recommendation_breaks_a_limit() -> None:
    candidates = sample_candidates()
    for drop in (0.0, 0.001, 0.005, 0.01, 0.02, 0.05):
        limits = Limits(max_score_drop=drop, max_size_bytes=6e6)
        found = recommend(candidates, limits)
        assert found.candidate is None or not limits.broken_by(found.candidate, candidates[0])


def test_a_tie_with_the_runner_up_is_said() -> None:
    first = candidate(recipe_of(precision="int8"), speedup=3.40, lost=4)
    second = candidate(recipe_of(precision="int8", seed=1), speedup=3.398, lost=4)
    found = recommend([first, second], Limits())
    assert not found.distinguishable
    assert "not distinguishable" in found.doubt


@pytest.mark.parametrize(
    ("limits", "relax"),
    [
        (Limits(max_latency_ms=0.01), "Allow 0.101 ms."),
        (Limits(max_size_bytes=1000), "Allow 0.164 MB."),
        (Limits(max_score_drop=0.01, max_latency_ms=0.15), "Allow 0.244 ms."),
    ],
)
def test_when_nothing_fits_the_cheapest_relaxation_is_named(limits: Limits, relax: str) -> None:
    found = recommend(sample_candidates(), limits)
    assert found.candidate is None
    assert found.relax == relax


def test_the_named_relaxation_is_enough() -> None:
    candidates = sample_candidates()
    tight = Limits(max_score_drop=0.001, max_size_bytes=1_500_000)
    found = recommend(candidates, tight)
    assert found.candidate is None
    amount = float(found.relax.split()[1])
    relaxed = (
        replace(tight, max_score_drop=amount / 100)
        if "points" in found.relax
        else replace(tight, max_size_bytes=amount * 1e6)
    )
    assert recommend(candidates, relaxed).candidate is not None


def test_when_no_single_limit_is_enough_the_nearest_candidate_is_named() -> None:
    limits = Limits(max_score_drop=0.0, max_latency_ms=0.01, max_size_bytes=1000)
    found = recommend(sample_candidates(), limits)
    assert found.relax.startswith("No single limit is enough.")


def test_nothing_measured_gives_no_recommendation() -> None:
    assert recommend([], Limits()) is None
    assert recommend([replace(sample_candidates()[0], latency=None)], Limits()) is None


def test_the_smallest_can_be_asked_for_as_well() -> None:
    found = recommend(sample_candidates(), Limits(), goal=Objective.SIZE)
    assert found.candidate.words() == "prune 75 % of channels, INT8"
    assert "smallest" in found.reason


def test_a_recorded_accuracy_is_a_doubt() -> None:
    made = candidate(recipe_of(precision="int8"), speedup=3.0, recorded=True)
    assert "recorded" in recommend([made], Limits()).doubt
