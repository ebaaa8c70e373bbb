"""Which candidates are worth a look: nobody is as good everywhere and better somewhere.

Figures are noisy, so point estimates alone do not rank. Two candidates whose intervals overlap in
every chosen objective are *tied*; a candidate that only tied ones dominate is never called beaten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from optim.candidate import Candidate, Role


class Objective(StrEnum):
    """What a front is computed in. Latency and size are minimised, accuracy is maximised."""

    LATENCY = "latency"
    SIZE = "size"
    SCORE = "accuracy"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a user will not accept; None means no limit.

    Attributes:
        max_score_drop: share of right answers that may be lost against the baseline, 0..1.
        max_latency_ms: median time of one run.
        max_size_bytes: bytes on disk.
    """

    max_score_drop: float | None = None
    max_latency_ms: float | None = None
    max_size_bytes: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_score_drop", "max_latency_ms", "max_size_bytes"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be 0 or more, got {value!r}. Leave it out for none.")

    @property
    def are_set(self) -> bool:
        """True if at least one limit is set."""
        return any(
            limit is not None
            for limit in (self.max_score_drop, self.max_latency_ms, self.max_size_bytes)
        )

    def broken_by(self, candidate: Candidate, baseline: Candidate | None) -> tuple[str, ...]:
        """The limits that a candidate does not keep, in words; empty if it keeps all.

        Point estimates decide, as a user reads them. A figure that is not measured keeps no limit.
        """
        broken = []
        if self.max_score_drop is not None:
            drop = score_drop(candidate, baseline)
            limit = f"your limit is {100 * self.max_score_drop:g}"
            if drop is None:
                broken.append(f"accuracy is not measured yet; {limit} points lost")
            elif drop > self.max_score_drop + 1e-12:
                broken.append(f"loses {100 * drop:.2f} points, {limit}")
        if self.max_latency_ms is not None:
            limit = f"your limit is {self.max_latency_ms:g} ms"
            if candidate.latency is None:
                broken.append(f"latency is not measured yet; {limit}")
            elif candidate.latency.p50_ms > self.max_latency_ms:
                broken.append(f"takes {candidate.latency.p50_ms:.3g} ms, {limit}")
        if self.max_size_bytes is not None:
            limit = f"your limit is {self.max_size_bytes / 1e6:g} MB"
            if candidate.artifact is None:
                broken.append(f"there is no file yet; {limit}")
            elif candidate.artifact.size_bytes > self.max_size_bytes:
                broken.append(f"has {candidate.artifact.size_bytes / 1e6:.3g} MB, {limit}")
        return tuple(broken)


@dataclass(frozen=True, kw_only=True, eq=False)
class Front:
    """Every candidate of a task, sorted into what it is in the plots.

    Attributes:
        objectives: what the front is computed in.
        limits: what was asked.
        baseline: the network as it is, if it is among the candidates; it is sorted like any other.
        members: on the front, by point estimates, fastest (or smallest) first.
        tied: dominated, but only by candidates whose intervals overlap theirs: not distinguishable.
        dominated: clearly worse than some other candidate within limits.
        out_of_limits: measured, but some limit is broken; ``broken`` has the words by id.
        unmeasured: not made, refused, or without finite figures.
        ties: pairs of ids, among members and tied, that overlap in every objective.
    """

    objectives: tuple[Objective, ...]
    limits: Limits
    baseline: Candidate | None
    members: tuple[Candidate, ...]
    tied: tuple[Candidate, ...]
    dominated: tuple[Candidate, ...]
    out_of_limits: tuple[Candidate, ...]
    unmeasured: tuple[Candidate, ...]
    broken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ties: tuple[tuple[str, str], ...] = ()

    @property
    def measured(self) -> tuple[Candidate, ...]:
        """All that can be drawn, the best first."""
        return self.members + self.tied + self.dominated + self.out_of_limits

    def find(self, candidate_id: str | None) -> Candidate | None:
        """The measured candidate with this id."""
        return next((c for c in self.measured if c.id == candidate_id), None)

    def tied_with(self, candidate_id: str) -> tuple[str, ...]:
        """The ids that cannot be told from this one."""
        return tuple(b if a == candidate_id else a for a, b in self.ties if candidate_id in (a, b))


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

    Source: Deb et al. 2002, NSGA-II, section III. O(n^2 d), fine below 10 000 candidates.

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
    rows, inverse = np.unique(costs[finite], axis=0, return_inverse=True)
    best = np.ones(len(rows), dtype=bool)
    for i, row in enumerate(rows):  # sorted: no later row dominates an earlier one
        if best[i]:
            best[i + 1 :] &= (rows[i + 1 :] < row).any(axis=1)
    mask[finite] = best[inverse.reshape(-1)]
    return mask


def ranked_front(
    candidates: Iterable[Candidate], objectives: Sequence[Objective], limits: Limits | None = None
) -> Front:
    """Sort candidates into front, tied, dominated, out of limits and unmeasured.

    Controls take part: a small network trained from scratch that beats a pruned one should show it.

    Args:
        candidates: of one task, measured on one machine.
        objectives: at least one; order decides by what the members are sorted.
        limits: only candidates that keep them can be on the front or dominate.

    Raises:
        ValueError: without an objective.
    """
    limits = limits or Limits()
    objectives = tuple(dict.fromkeys(map(Objective, objectives)))
    if not objectives:
        raise ValueError("a front needs at least one objective; try latency and accuracy.")
    everyone = list(candidates)
    baseline = next((c for c in everyone if c.role is Role.BASELINE), None)
    measured, unmeasured, outside = [], [], []
    broken: dict[str, tuple[str, ...]] = {}
    for candidate in everyone:
        if not (candidate.measured and all(map(math.isfinite, costs_of(candidate, objectives)))):
            unmeasured.append(candidate)
        elif words := limits.broken_by(candidate, baseline):
            outside.append(candidate)
            broken[candidate.id] = words
        else:
            measured.append(candidate)
    measured.sort(key=lambda c: (*costs_of(c, objectives), c.id))
    costs = np.array([costs_of(c, objectives) for c in measured]).reshape(-1, len(objectives))
    best = pareto_front(costs)
    beaten = _clearly_dominated(measured, costs, best, objectives)
    alive = [c for c, b in zip(measured, beaten, strict=True) if not b]
    return Front(
        objectives=objectives,
        limits=limits,
        baseline=baseline,
        members=tuple(c for c, b in zip(measured, best, strict=True) if b),
        tied=tuple(c for c, b, d in zip(measured, best, beaten, strict=True) if not b and not d),
        dominated=tuple(c for c, b, d in zip(measured, best, beaten, strict=True) if not b and d),
        out_of_limits=tuple(outside),
        unmeasured=tuple(unmeasured),
        broken=broken,
        ties=tied_pairs(alive, objectives),
    )


def tied_pairs(
    candidates: Sequence[Candidate], objectives: Sequence[Objective]
) -> tuple[tuple[str, str], ...]:
    """Pairs of ids whose 95 % intervals overlap in every objective; all must be measured."""
    quick = _quick_overlap(candidates, objectives)
    return tuple(
        (a.id, b.id)
        for i, a in enumerate(candidates)
        for j, b in enumerate(candidates[:i])
        if quick[i, j] and _latencies_overlap(a, b, objectives)
    )


def costs_of(candidate: Candidate, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """One cost per objective, lower is better: ms, bytes, the score turned so; or nan."""
    return tuple(_cost(candidate, objective) for objective in objectives)


def score_drop(candidate: Candidate, baseline: Candidate | None) -> float | None:
    """How much worse than the baseline; paired where both saw the same examples."""
    score = candidate.score
    if score is None:
        return None
    known = baseline is not None and baseline.artifact is not None
    same = known and baseline.artifact.sha256 == score.baseline_sha256  # type: ignore[union-attr]
    if same or baseline is None or baseline.score is None:
        return score.drop
    return score.cost - baseline.score.cost


def distinguishable(a: Candidate, b: Candidate, objective: Objective) -> bool:
    """False if the two 95 % intervals overlap: then nothing may be said about who is better.

    Latency is compared by the speed-up, measured interleaved with the baseline and widened by what
    the baseline shows against itself. Accuracy is compared by the paired difference if both saw the
    same examples beside the same baseline, else by Wilson's interval. Size is exact.
    """
    return not tied_pairs([a, b], [objective])


def _cost(candidate: Candidate, objective: Objective) -> float:
    match objective:
        case Objective.LATENCY:
            return candidate.latency.p50_ms if candidate.latency else math.nan
        case Objective.SIZE:
            return float(candidate.artifact.size_bytes) if candidate.artifact else math.nan
        case Objective.SCORE:
            return candidate.score.cost if candidate.score else math.nan


def _clearly_dominated(
    candidates: Sequence[Candidate],
    costs: np.ndarray,
    best: np.ndarray,
    objectives: Sequence[Objective],
) -> np.ndarray:
    """Rows that some row dominates without being tied with it; shape (n,)."""
    quick = _quick_overlap(candidates, objectives)
    beaten = np.zeros(len(costs), dtype=bool)
    for i in np.flatnonzero(~best).tolist():
        dominators = (costs <= costs[i]).all(axis=1) & (costs < costs[i]).any(axis=1)
        beaten[i] = bool((dominators & ~quick[i]).any()) or any(
            not _latencies_overlap(candidates[i], candidates[j], objectives)
            for j in np.flatnonzero(dominators).tolist()
        )
    return beaten


def _quick_overlap(candidates: Sequence[Candidate], objectives: Sequence[Objective]) -> np.ndarray:
    """Boolean (n, n): overlap in everything but latency, whose bootstrap takes time."""
    overlap = np.ones((len(candidates), len(candidates)), dtype=bool)
    for objective in objectives:
        match objective:
            case Objective.LATENCY:
                continue
            case Objective.SIZE:
                pairs = [(_cost(c, objective),) * 2 for c in candidates]
            case Objective.SCORE:
                pairs = _score_intervals(candidates)
        low, high = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        overlap &= (low[:, None] <= high[None, :]) & (low[None, :] <= high[:, None])
    return overlap


def _score_intervals(candidates: Sequence[Candidate]) -> list[tuple[float, float]]:
    known = [c.score for c in candidates if c.score]
    paired = len({(a.n, a.split, a.baseline_sha256) for a in known}) == 1
    return [
        (math.nan, math.nan)
        if c.score is None
        else c.score.difference_interval
        if paired
        else c.score.interval
        for c in candidates
    ]


def _latencies_overlap(a: Candidate, b: Candidate, objectives: Sequence[Objective]) -> bool:
    """True without latency among the objectives, too."""
    if Objective.LATENCY not in objectives:
        return True
    (low, high), (other_low, other_high) = _speedup_interval(a), _speedup_interval(b)
    return low <= other_high and other_low <= high


def _speedup_interval(candidate: Candidate) -> tuple[float, float]:
    if candidate.latency is None:
        return math.nan, math.nan
    low, high = candidate.latency.speedup_interval
    noise = max(candidate.latency.null_ratio, 1 / candidate.latency.null_ratio)
    return low / noise, high * noise
