"""Dominance among rows of numbers, in O(n log n); lower is better in every column.

Rows are visited in lexicographic order, so that a row comes after everything that dominates it.
What was visited is kept as a staircase in the columns that are left (Kung, Luccio and Preparata
1975, "On finding the maxima of a set of vectors").
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np


def pareto_front(costs: np.ndarray) -> np.ndarray:
    """Mark the rows that no other row dominates.

    A row dominates another if it is nowhere worse and somewhere better. Lower is better in every
    column; flip the sign of accuracy first. Equal rows are all kept. Rows with an infinite cost are
    never marked and dominate nothing.

    Args:
        costs: shape (n, d), one row per candidate, one column per objective.

    Returns:
        Boolean mask, shape (n,).

    Raises:
        ValueError: if a cost is nan. A nan compares false with everything and would look optimal.

    O(n log n) in up to three columns. In more it is O(n m) for m rows on the front.

    >>> pareto_front(np.array([[1.0, 9.0], [2.0, 5.0], [3.0, 6.0]]))
    array([ True,  True, False])
    """
    costs = np.asarray(costs, dtype=np.float64)
    if costs.ndim != 2:
        raise ValueError(f"costs must have shape (n, d), got {costs.shape}.")
    if np.isnan(costs).any():
        raise ValueError("costs must not hold nan. Leave candidates without a figure out.")
    mask = np.zeros(len(costs), dtype=bool)
    finite = np.flatnonzero(np.isfinite(costs).all(axis=1))
    if not len(finite):
        return mask
    rows = costs[finite]
    if costs.shape[1] <= 3:
        mask[finite] = ~dominated(rows, np.ones(len(rows), dtype=bool))
    else:
        mask[finite] = _filtered(rows)
    return mask


def dominated(costs: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Mark the rows that some row of ``by`` dominates.

    Args:
        costs: finite, shape (n, d) with d up to 3.
        by: boolean, shape (n,): the rows that count.

    Returns:
        Boolean mask, shape (n,).
    """
    mask = np.zeros(len(costs), dtype=bool)
    wide = _widened(costs, 3)
    stairs = _Staircase()
    for group in _equal_rows(wide):
        _, x, y = wide[group[0]].tolist()
        mask[group] = stairs.least(x) <= y
        if by[group].any():
            stairs.add(x, y)
    return mask


def clearly_dominated(
    costs: np.ndarray, exact: np.ndarray, lows: np.ndarray, highs: np.ndarray
) -> np.ndarray:
    """Mark the rows that some row dominates whose interval does not overlap theirs.

    Args:
        costs: finite, shape (n, d) with d up to 2: costs that are measured.
        exact: shape (n,): a cost without an interval; zeros if there is none.
        lows, highs: shape (n, k), k intervals of each row; nan overlaps nothing.

    Returns:
        Boolean mask, shape (n,).
    """
    measured = _widened(costs, 2)
    lows = np.where(np.isnan(lows), np.inf, lows)
    highs = np.where(np.isnan(highs), -np.inf, highs)
    # One row each for "its upper end lies below my lower end" and the other way round.
    ends = np.concatenate([highs, -lows], axis=1)
    limits = np.concatenate([lows, -highs], axis=1)
    mask = np.zeros(len(costs), dtype=bool)
    smaller = _Staircase()
    for alike in _equal_rows(exact[:, None]):
        points = measured[alike].tolist()
        mask[alike] = [smaller.least(x) <= y for x, y in points]
        mask[alike] |= _apart(measured[alike], ends[alike], limits[alike])
        for x, y in points:
            smaller.add(x, y)
    return mask


def overlapping(lows: np.ndarray, highs: np.ndarray, i: int) -> np.ndarray:
    """Mark the rows whose intervals all overlap those of row ``i``; shape (n,).

    Args:
        lows, highs: shape (n, k); nan overlaps nothing.
    """
    mask: np.ndarray = ((lows <= highs[i]) & (lows[i] <= highs)).all(axis=1)
    return mask


class _Staircase:
    """Points in two columns, without those that others of them dominate."""

    def __init__(self) -> None:
        self._xs: list[float] = []  # rising
        self._ys: list[float] = []  # falling

    def least(self, x: float) -> float:
        """Return the smallest y of all points up to ``x``."""
        i = bisect_right(self._xs, x)
        return self._ys[i - 1] if i else math.inf

    def add(self, x: float, y: float) -> None:
        if self.least(x) <= y:
            return
        first = last = bisect_left(self._xs, x)
        while last < len(self._ys) and self._ys[last] >= y:
            last += 1
        self._xs[first:last], self._ys[first:last] = [x], [y]


def _apart(costs: np.ndarray, ends: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return rows that a dominating row clears: its end is below the limit in a column; (n,)."""
    mask = np.zeros(len(costs), dtype=bool)
    if len(costs) < 2:
        return mask
    stairs = [_Staircase() for _ in range(ends.shape[1])]
    for group in _equal_rows(costs):
        y = float(costs[group[0], 1])
        least = np.array([each.least(y) for each in stairs])
        mask[group] = (least < limits[group]).any(axis=1)
        for each, end in zip(stairs, ends[group].min(axis=0).tolist(), strict=True):
            each.add(y, end)
    return mask


def _equal_rows(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield indices of equal rows together, the groups in lexicographic order."""
    if not len(rows):
        return
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    starts = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
    yield from np.split(order, starts)


def _widened(costs: np.ndarray, columns: int) -> np.ndarray:
    """Return the rows with columns of zeros added."""
    return np.pad(costs, ((0, 0), (0, columns - costs.shape[1])))


def _filtered(costs: np.ndarray) -> np.ndarray:
    """Return the front in any number of columns: each row of it strikes out those behind it."""
    rows, inverse = np.unique(costs, axis=0, return_inverse=True)
    best = np.ones(len(rows), dtype=bool)
    for i, row in enumerate(rows):  # sorted: no later row dominates an earlier one
        if best[i]:
            best[i + 1 :] &= (rows[i + 1 :] < row).any(axis=1)
    mask: np.ndarray = best[inverse.reshape(-1)]
    return mask
