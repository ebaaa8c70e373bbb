"""The quick ways against the obvious double loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optim.search.dominance import clearly_dominated, dominated, overlapping, pareto_front


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@st.composite
def rows_of_numbers(draw: st.DrawFn, columns: st.SearchStrategy[int]) -> np.ndarray:
    """Few distinct numbers, so that rows tie and repeat."""
    n, d = draw(st.integers(0, 30)), draw(columns)
    cells = st.lists(st.integers(-3, 3), min_size=n * d, max_size=n * d)
    return np.array(draw(cells), dtype=np.float64).reshape(n, d)


@given(costs=rows_of_numbers(st.integers(1, 5)))
def test_the_front_is_that_of_the_double_loop_in_any_number_of_columns(costs: np.ndarray) -> None:
    naive = [not any(dominates(other, row) for other in costs) for row in costs]
    assert pareto_front(costs).tolist() == naive


@given(costs=rows_of_numbers(st.integers(1, 3)), seed=st.integers(0, 99))
def test_only_rows_that_count_dominate(costs: np.ndarray, seed: int) -> None:
    by = np.random.default_rng(seed).random(len(costs)) < 0.5
    naive = [any(dominates(other, row) for other in costs[by]) for row in costs]
    assert dominated(costs, by).tolist() == naive


@given(
    costs=rows_of_numbers(st.integers(0, 2)), seed=st.integers(0, 99), intervals=st.integers(0, 2)
)
def test_clearly_dominated_is_dominated_by_a_row_that_lies_apart(
    costs: np.ndarray, seed: int, intervals: int
) -> None:
    rng = np.random.default_rng(seed)
    exact = rng.integers(0, 3, len(costs)).astype(float)
    lows = rng.integers(0, 6, (len(costs), intervals)).astype(float)
    highs = lows + rng.integers(0, 3, lows.shape)
    lows[rng.random(lows.shape) < 0.05] = np.nan
    whole = np.column_stack([costs, exact])

    def overlap(i: int, j: int) -> bool:
        return bool(((lows[i] <= highs[j]) & (lows[j] <= highs[i])).all() and exact[i] == exact[j])

    naive = [
        any(dominates(whole[j], whole[i]) and not overlap(i, j) for j in range(len(costs)))
        for i in range(len(costs))
    ]
    assert clearly_dominated(costs, exact, lows, highs).tolist() == naive


def test_rows_overlap_where_all_their_intervals_do() -> None:
    lows, highs = np.array([[0.0, 0], [1, 5], [3, 0]]), np.array([[2.0, 1], [4, 6], [5, 9]])
    assert overlapping(lows, highs, 1).tolist() == [False, True, True]
    assert overlapping(lows, highs, 0).tolist() == [True, False, False]


@pytest.mark.parametrize("columns", [2, 3])
def test_a_front_of_nothing_but_members_takes_no_square_of_time(columns: int) -> None:
    n = 60_000
    x = np.arange(n, dtype=float)
    costs = np.column_stack([x, -x, np.zeros(n)][:columns])
    assert pareto_front(costs).all()
