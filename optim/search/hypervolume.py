"""Hypervolume: the quality of a whole front in one number.

Latency and size are counted in doublings (log2) and accuracy in steps of five points, from a
reference point that is twice as slow, twice as large and five points worse than the baseline:

    latency, size:  u = log2(2 * baseline / value)     accuracy:  u = (a - (a_base - 0.05)) / 0.05

So the baseline alone has volume 1, whatever the task. A candidate that is 4x faster at the same
accuracy makes it 3.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from optim.candidate import Candidate, Role
from optim.measure.measurement import Score
from optim.search.dominance import pareto_front
from optim.search.pareto import Objective, costs_of

REFERENCE_FACTOR = 2.0
REFERENCE_DROP = 0.05


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The corner from which the volume is measured, in the units of the plots."""

    latency_ms: float
    size_bytes: float
    score: float


@dataclass(frozen=True, kw_only=True)
class HypervolumeStep:
    """The volume once this candidate had been measured."""

    candidate_id: str
    words: str
    created: float
    value: float


def reference_of(baseline: Candidate) -> Reference:
    """Return the reference point that belongs to a baseline.

    Raises:
        ValueError: if the baseline is not measured.
    """
    if baseline.latency is None or baseline.artifact is None or baseline.score is None:
        raise ValueError("the baseline must be measured before a hypervolume can be scaled to it.")
    return Reference(
        latency_ms=REFERENCE_FACTOR * baseline.latency.p50_ms,
        size_bytes=REFERENCE_FACTOR * baseline.artifact.size_bytes,
        score=baseline.score.worse_by(_reference_drop(baseline.score)),
    )


def _reference_drop(score: Score) -> float:
    """Return five points; of a score that is no share, as much as the baseline's own."""
    return REFERENCE_DROP if score.moments is None else abs(score.value) or 1.0


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Return the volume that the points dominate, up to the reference; lower is better in each.

    Args:
        points: shape (n, d) with d 2 or 3. Points beyond the reference add nothing.
        reference: shape (d,), the worst corner.

    Raises:
        ValueError: for another number of objectives, or a nan.

    Source: Zitzler and Thiele 1999, Multiobjective evolutionary algorithms. Exact: a sweep in two
    dimensions, a sweep that carries a staircase in three; O(n log n) searches.

    >>> hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([3.0, 3.0]))
    3.0
    """
    points = np.asarray(points, dtype=np.float64)
    reference = np.asarray(reference, dtype=np.float64)
    if (
        reference.shape not in ((2,), (3,))
        or points.ndim != 2
        or points.shape[1:] != reference.shape
    ):
        raise ValueError(
            f"need points (n, d) and reference (d,) with d 2 or 3; got {points.shape} "
            f"and {reference.shape}."
        )
    if np.isnan(points).any() or not np.isfinite(reference).all():
        raise ValueError("points must not hold nan and the reference must be finite.")
    points = points[np.isfinite(points).all(axis=1) & (points < reference).all(axis=1)]
    points = points[pareto_front(points)] if len(points) else points
    return _area(points, reference) if len(reference) == 2 else _volume(points, reference)


def scaled_hypervolume(
    candidates: Iterable[Candidate], baseline: Candidate, objectives: Sequence[Objective]
) -> float:
    """Return the hypervolume of the measured candidates; 1 is the baseline alone."""
    points = [_scaled(c, baseline, objectives) for c in candidates if c.measured]
    array = np.array(points).reshape(-1, len(objectives))
    array = array[np.isfinite(array).all(axis=1)]
    return hypervolume(array, np.zeros(len(objectives)))


def hypervolume_history(
    candidates: Iterable[Candidate],
    objectives: Sequence[Objective] = (Objective.LATENCY, Objective.SCORE),
) -> tuple[HypervolumeStep, ...]:
    """Return the volume after each measured candidate, in the order in which they were created.

    The baseline comes first, whenever it was made, for everything is scaled to it. Without a
    measured baseline the history is empty. It never falls.
    """
    measured = [c for c in candidates if c.measured]
    baseline = next((c for c in measured if c.role is Role.BASELINE), None)
    if baseline is None:
        return ()
    measured.sort(key=lambda c: (c.role is not Role.BASELINE, c.created, c.id))
    origin = np.zeros(len(objectives))
    front = np.empty((0, len(objectives)))
    value, steps = 0.0, []
    for candidate in measured:
        point = np.array(_scaled(candidate, baseline, objectives))
        if np.isfinite(point).all() and not (front <= point).all(axis=1).any():
            front = np.vstack([front, point])
            front = front[pareto_front(front)]
            value = max(value, hypervolume(front, origin))
        steps.append(
            HypervolumeStep(
                candidate_id=candidate.id,
                words=candidate.words(),
                created=candidate.created,
                value=value,
            )
        )
    return tuple(steps)


def _scaled(
    candidate: Candidate, baseline: Candidate, objectives: Sequence[Objective]
) -> tuple[float, ...]:
    """Return minus the module's u per objective: lower is better and the reference is 0."""
    scaled = []
    costs = zip(
        objectives, costs_of(candidate, objectives), costs_of(baseline, objectives), strict=True
    )
    for objective, cost, base in costs:
        if objective is Objective.SCORE:
            assert baseline.score is not None  # it is measured
            scaled.append((cost - base) / _reference_drop(baseline.score) - 1.0)
        elif cost > 0 and base > 0:
            scaled.append(math.log2(cost / base) - math.log2(REFERENCE_FACTOR))
        else:
            scaled.append(math.nan)
    return tuple(scaled)


def _area(front: np.ndarray, reference: np.ndarray) -> float:
    """Return the area of mutually non-dominated points, all better than the reference."""
    front = np.unique(front, axis=0)  # sorted by the first column, so the second falls
    widths = np.append(front[1:, 0], reference[0]) - front[:, 0]
    return float(np.sum(widths * (reference[1] - front[:, 1])))


def _volume(front: np.ndarray, reference: np.ndarray) -> float:
    """Sweep along the third column and keep the area of what lies below as a staircase."""
    xs: list[float] = []  # rising
    ys: list[float] = []  # falling
    area, volume, height = 0.0, 0.0, -math.inf
    for x, y, z in front[np.argsort(front[:, 2], kind="stable")].tolist():
        volume += area * (z - height) if area else 0.0
        height = z
        first = bisect_left(xs, x)
        if (first > 0 and ys[first - 1] <= y) or (
            first < len(xs) and xs[first] == x and ys[first] <= y
        ):
            continue
        left, level = x, ys[first - 1] if first else float(reference[1])
        last = first
        while last < len(xs) and ys[last] >= y:
            area += (xs[last] - left) * (level - y)
            left, level = xs[last], ys[last]
            last += 1
        right = xs[last] if last < len(xs) else float(reference[0])
        area += (right - left) * (level - y)
        xs[first:last], ys[first:last] = [x], [y]
    return volume + (area * (float(reference[2]) - height) if area else 0.0)
