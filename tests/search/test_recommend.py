from __future__ import annotations

from dataclasses import replace

import pytest

from optim.recipe import Precision, recipe_of
from optim.search.pareto import Limits, Objective
from optim.search.recommend import Verdict, compressed_beats_control, recommend
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
    slower = candidate(recipe_of(pruning_ratio=0.5, precision="int8"), speedup=9.50, lost=20)
    faster = candidate(control(0.5, Precision.INT8), speedup=9.65, lost=150)
    found = recommend([slower, faster], Limits())
    assert found.candidate == slower
    assert (
        found.reason == "It is among the fastest measured so far, and the most accurate of those."
    )
    clearly = candidate(control(0.75, Precision.INT8), speedup=12.0, lost=150)
    assert recommend([slower, faster, clearly], Limits()).candidate == clearly


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


@pytest.mark.parametrize(
    ("lost_by_pruning", "lost_by_control", "verdict"),
    [
        (50, 300, Verdict.COMPRESSED),
        (300, 50, Verdict.CONTROL),
        (240, 245, Verdict.TIED),
    ],
)
def test_the_control_is_compared_honestly(
    lost_by_pruning: int, lost_by_control: int, verdict: Verdict
) -> None:
    pruned = candidate(recipe_of(pruning_ratio=0.75), speedup=14.0, lost=lost_by_pruning, better=60)
    small = candidate(control(0.75), speedup=14.3, lost=lost_by_control, better=60)
    (found,) = compressed_beats_control([candidate(recipe_of()), pruned, small])
    assert found.verdict is verdict
    assert found.difference == pytest.approx((lost_by_control - lost_by_pruning) / 10_000)
    assert "1 epoch of fine-tuning against 6 epochs of training" in found.words


def test_a_control_of_other_speed_or_precision_is_not_compared() -> None:
    pruned = candidate(recipe_of(pruning_ratio=0.75), speedup=14.0)
    slow = candidate(control(0.5), speedup=4.0)
    whole = candidate(control(0.75, Precision.INT8), speedup=14.0)
    assert compressed_beats_control([pruned, slow, whole]) == ()


def test_a_control_stands_beside_its_own_shape_whatever_the_clock_says() -> None:
    wide, thin = (
        candidate(recipe_of(pruning_ratio=ratio), speedup=speedup)
        for ratio, speedup in ((0.7, 14.0), (0.75, 18.0))
    )
    small = candidate(control(0.75), speedup=14.0, lost=300)
    (found,) = compressed_beats_control([wide, thin, small])
    assert found.compressed is thin
