from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optim.candidate import Candidate, Role
from optim.recipe import Precision, recipe_of
from optim.search.dominance import pareto_front
from optim.search.pareto import (
    Front,
    Limits,
    Objective,
    distinguishable,
    ranked_front,
    score_drop,
)
from tests.dashboard.factories import candidate, control, many_candidates, sample_candidates

LATENCY_ACCURACY = (Objective.LATENCY, Objective.SCORE)
COSTS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0, 8.0]) | st.floats(-1e6, 1e6),
)


def naive_front(costs: np.ndarray) -> list[bool]:
    def dominates(a: np.ndarray, b: np.ndarray) -> bool:
        nowhere_worse = all(p <= q for p, q in zip(a, b, strict=True))
        return nowhere_worse and any(p < q for p, q in zip(a, b, strict=True))

    return [not any(dominates(other, row) for other in costs) for row in costs]


@given(COSTS)
def test_the_front_equals_the_double_loop(costs: np.ndarray) -> None:
    assert pareto_front(costs).tolist() == naive_front(costs)


@given(COSTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(costs: np.ndarray, random) -> None:
    order = list(range(len(costs)))
    random.shuffle(order)
    assert pareto_front(costs[order]).tolist() == pareto_front(costs)[order].tolist()


def test_equal_rows_are_all_kept() -> None:
    assert pareto_front(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]])).all()


def test_infinite_rows_are_never_marked_and_dominate_nothing() -> None:
    costs = np.array([[1.0, 1.0], [-math.inf, 0.0], [0.0, math.inf]])
    assert pareto_front(costs).tolist() == [True, False, False]


def test_a_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        pareto_front(np.array([[1.0, math.nan]]))


def test_no_rows_give_an_empty_mask() -> None:
    assert pareto_front(np.empty((0, 2))).shape == (0,)


def ids(candidates: tuple[Candidate, ...]) -> set[str]:
    return {c.id for c in candidates}


def everyone(front: Front) -> list[str]:
    return [c.id for c in (*front.measured, *front.unmeasured)]


def test_every_candidate_is_sorted_into_exactly_one_place() -> None:
    candidates = sample_candidates()
    front = ranked_front(candidates, tuple(Objective), Limits(max_score_drop=0.01))
    assert sorted(everyone(front)) == sorted(c.id for c in candidates)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(11)))
def test_the_order_of_candidates_does_not_matter(order: list[int]) -> None:
    candidates = sample_candidates()
    front = ranked_front(candidates, LATENCY_ACCURACY)
    shuffled = ranked_front([candidates[i] for i in order], LATENCY_ACCURACY)
    assert ids(front.members) == ids(shuffled.members)
    assert ids(front.tied) == ids(shuffled.tied)
    assert {frozenset(p) for p in front.ties} == {frozenset(p) for p in shuffled.ties}


def test_members_are_not_dominated_and_the_dominated_are() -> None:
    candidates = many_candidates(60)
    front = ranked_front(candidates, LATENCY_ACCURACY)

    def dominates(a: Candidate, b: Candidate) -> bool:
        first = a.latency.p50_ms, -a.score.value
        second = b.latency.p50_ms, -b.score.value
        return first != second and first[0] <= second[0] and first[1] <= second[1]

    assert front.members
    assert not any(dominates(a, b) for a in candidates for b in front.members)
    assert front.dominated
    assert all(any(dominates(a, b) for a in candidates) for b in front.dominated)


def test_a_candidate_that_only_tied_ones_dominate_is_called_tied_not_dominated() -> None:
    better = candidate(recipe_of(precision="int8"), speedup=3.4, lost=4, better=30)
    worse = candidate(recipe_of(precision="int8", seed=1), speedup=3.398, lost=5, better=30)
    clearly_worse = candidate(recipe_of(precision="int8", seed=2), speedup=1.5, lost=300)
    front = ranked_front([better, worse, clearly_worse], LATENCY_ACCURACY)
    assert ids(front.tied) == {worse.id} or ids(front.members) == {worse.id, better.id}
    assert worse.id in front.tied_with(better.id)
    assert ids(front.dominated) == {clearly_worse.id}


def test_different_sizes_are_never_tied_when_size_is_an_objective() -> None:
    small = candidate(recipe_of(precision="int8"), size_bytes=2_000_000)
    large = candidate(recipe_of(precision="int8", seed=1), size_bytes=2_000_001)
    assert distinguishable(small, large, Objective.SIZE)
    assert ranked_front([small, large], tuple(Objective)).ties == ()


def test_accuracy_is_compared_by_pairs_where_both_saw_the_same_examples() -> None:
    original = candidate(recipe_of())
    slightly_worse = candidate(recipe_of(precision="int8"), lost=40, better=5)
    low, high = slightly_worse.score.interval
    assert low < original.score.value < high  # unpaired, nobody could tell
    assert distinguishable(original, slightly_worse, Objective.SCORE)


def test_a_control_takes_part() -> None:
    pruned = candidate(recipe_of(pruning_ratio=0.75), speedup=10.0, lost=300)
    small = candidate(control(0.75), speedup=14.0, lost=100)
    front = ranked_front([pruned, small], LATENCY_ACCURACY)
    assert ids(front.members) == {small.id}
    assert front.members[0].role is Role.CONTROL
    assert ids(front.dominated) == {pruned.id}


def test_a_candidate_without_finite_figures_is_not_on_the_front() -> None:
    good = candidate(recipe_of())
    latency = replace(good.latency, candidate_ms=np.full((15, 30), np.nan, np.float32))
    broken = replace(good, id="broken", latency=latency)
    missing = replace(good, id="missing", latency=None)
    front = ranked_front([good, broken, missing], tuple(Objective))
    assert ids(front.members) == {good.id}
    assert ids(front.unmeasured) == {"broken", "missing"}


def test_limits_take_candidates_off_the_front_and_say_which() -> None:
    front = ranked_front(sample_candidates(), tuple(Objective), Limits(max_score_drop=0.01))
    deep = next(c for c in front.out_of_limits if c.words() == "prune 75 % of channels, INT8")
    assert front.broken[deep.id] == ("loses 2.41 points, your limit is 1",)
    assert deep.id not in ids(front.members)


def test_a_loss_of_exactly_the_limit_keeps_it() -> None:
    exact = candidate(recipe_of(precision="int8"), lost=100)
    limits = Limits(max_score_drop=0.01)
    assert limits.broken_by(exact, candidate(recipe_of())) == ()
    assert limits.broken_by(candidate(recipe_of(precision="int8"), lost=101), None)


def test_each_limit_has_its_own_words() -> None:
    made = candidate(recipe_of(precision="int8"), speedup=3.4, size_bytes=2_020_000, lost=4)
    limits = Limits(max_score_drop=0.0001, max_latency_ms=0.5, max_size_bytes=1e6)
    words = limits.broken_by(made, None)
    assert [w.split(", ")[-1] for w in words] == [
        "your limit is 0.01",
        "your limit is 0.5 ms",
        "your limit is 1 MB",
    ]


def test_what_is_not_measured_keeps_no_limit() -> None:
    bare = replace(candidate(recipe_of()), latency=None, score=None, artifact=None)
    limits = Limits(max_score_drop=0.01, max_latency_ms=1.0, max_size_bytes=1e6)
    assert len(limits.broken_by(bare, None)) == 3
    assert Limits().broken_by(bare, None) == ()


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_limit_must_be_a_number_from_zero(value: float) -> None:
    with pytest.raises(ValueError, match="max_latency_ms"):
        Limits(max_latency_ms=value)


def test_a_front_needs_an_objective() -> None:
    with pytest.raises(ValueError, match="objective"):
        ranked_front(sample_candidates(), ())


def test_the_drop_against_another_baseline_is_the_difference_of_the_values() -> None:
    made = candidate(recipe_of(precision="int8"), lost=100)
    other = candidate(recipe_of(), lost=50)
    other = replace(other, artifact=replace(other.artifact, sha256="other"))
    assert score_drop(made, candidate(recipe_of())) == pytest.approx(0.01)
    assert score_drop(made, other) == pytest.approx(0.005)


def test_precisions_of_the_samples_are_all_on_a_front_of_three_objectives() -> None:
    front = ranked_front(sample_candidates(), tuple(Objective))
    assert {c.recipe.precision for c in front.members} >= {Precision.INT8, Precision.FP32}
