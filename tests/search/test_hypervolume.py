from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optim.recipe import recipe_of
from optim.search.hypervolume import (
    hypervolume,
    hypervolume_history,
    reference_of,
    scaled_hypervolume,
)
from optim.search.pareto import Objective
from tests.dashboard.factories import candidate, sample_candidates

LATENCY_ACCURACY = (Objective.LATENCY, Objective.SCORE)


def cells(d: int):
    return hnp.arrays(
        np.int64, st.tuples(st.integers(0, 7), st.just(d)), elements=st.integers(0, 6)
    )


def counted(points: np.ndarray, reference: int) -> int:
    """Count the unit cells below the reference that some point dominates."""
    d = points.shape[1]
    grid = np.stack(np.meshgrid(*[np.arange(reference)] * d, indexing="ij"), -1).reshape(-1, d)
    return sum(bool((points <= cell).all(axis=1).any()) for cell in grid)


@given(cells(2) | cells(3))
@settings(deadline=None)
def test_the_volume_equals_the_count_of_dominated_cells(points: np.ndarray) -> None:
    reference = np.full(points.shape[1], 5.0)
    assert hypervolume(points, reference) == pytest.approx(counted(points, 5))


@given(cells(2) | cells(3), st.randoms(use_true_random=False))
def test_one_more_point_never_makes_it_smaller(points: np.ndarray, random) -> None:
    reference = np.full(points.shape[1], 5.0)
    more = np.vstack([points, [[random.randint(0, 6) for _ in reference]]])
    assert hypervolume(more, reference) >= hypervolume(points, reference)


@given(cells(3), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(points: np.ndarray, random) -> None:
    reference = np.full(3, 5.0)
    order = [*range(len(points)), *range(len(points))]
    random.shuffle(order)
    assert hypervolume(points[order], reference) == hypervolume(points, reference)


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume(np.array([[6.0, 0.0], [5.0, 1.0]]), np.array([5.0, 5.0])) == 0.0


def test_one_or_four_objectives_are_refused() -> None:
    for d in (1, 4):
        with pytest.raises(ValueError, match="d 2 or 3"):
            hypervolume(np.zeros((1, d)), np.ones(d))


@pytest.mark.parametrize("objectives", [LATENCY_ACCURACY, tuple(Objective)])
def test_the_baseline_alone_is_one(objectives: tuple[Objective, ...]) -> None:
    baseline = candidate(recipe_of())
    assert scaled_hypervolume([baseline], baseline, objectives) == pytest.approx(1.0)


def test_four_times_faster_at_the_same_accuracy_is_three() -> None:
    baseline = candidate(recipe_of())
    quick = candidate(recipe_of(precision="int8"), speedup=4.0)
    latency = replace(quick.latency, candidate_ms=baseline.latency.candidate_ms / 4)
    quick = replace(quick, latency=latency)
    volume = scaled_hypervolume([baseline, quick], baseline, LATENCY_ACCURACY)
    assert volume == pytest.approx(3.0, rel=1e-5)


def test_the_history_begins_with_the_baseline_and_never_falls() -> None:
    history = hypervolume_history(reversed(sample_candidates()), tuple(Objective))
    values = [step.value for step in history]
    assert history[0].words == "original, FP32"
    assert values[0] == pytest.approx(1.0)
    assert values == sorted(values)
    assert len(values) == len(sample_candidates())


def test_the_last_step_of_the_history_is_the_volume_of_all() -> None:
    candidates = sample_candidates()
    for objectives in (LATENCY_ACCURACY, tuple(Objective)):
        volume = scaled_hypervolume(candidates, candidates[0], objectives)
        assert hypervolume_history(candidates, objectives)[-1].value == pytest.approx(volume)


def test_without_a_measured_baseline_there_is_no_history() -> None:
    baseline, *others = sample_candidates()
    assert hypervolume_history(others) == ()
    with pytest.raises(ValueError, match="baseline"):
        reference_of(replace(baseline, latency=None))
