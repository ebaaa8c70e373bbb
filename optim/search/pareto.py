"""Pareto front: candidates that nobody equals everywhere and beats somewhere.

Figures are noisy, so point estimates alone do not rank. Two candidates whose intervals overlap in
every chosen objective are *tied*; a candidate that only tied ones dominate is never called beaten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np

from optim.candidate import Candidate, Role
from optim.measure.measurement import Latency
from optim.search.dominance import clearly_dominated, dominated, overlapping, pareto_front
from optim.task.metric import ACCURACY
from optim.task.metric_words import drop_words


class Objective(StrEnum):
    """Objective of a front. Latency and size are minimised, accuracy is maximised."""

    LATENCY = "latency"
    SIZE = "size"
    SCORE = "accuracy"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that a user sets; None means no limit.

    Attributes:
        max_score_drop: how much worse than the baseline the score may be, in the metric's own
            measure: for accuracy the share of right answers that may be lost, 0..1.
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
        """Return the limits that a candidate does not keep, in words; empty if it keeps all.

        Point estimates decide, as a user reads them. A figure that is not measured keeps no limit.
        """
        broken = []
        if self.max_score_drop is not None:
            drop = score_drop(candidate, baseline)
            metric = ACCURACY if candidate.score is None else candidate.score.scored_by
            limit = f"your limit is {metric.scale * self.max_score_drop:g}"
            if drop is None:
                broken.append(f"accuracy is not measured yet; {limit} points lost")
            elif drop > self.max_score_drop + 1e-12:
                broken.append(f"loses {drop_words(metric, drop)}, {limit}")
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

    @property
    def measured(self) -> tuple[Candidate, ...]:
        """Every candidate that can be drawn, the best first."""
        return self.members + self.tied + self.dominated + self.out_of_limits

    def find(self, candidate_id: str | None) -> Candidate | None:
        """Return the measured candidate with this id."""
        return next((c for c in self.measured if c.id == candidate_id), None)

    @property
    def ties(self) -> tuple[tuple[str, str], ...]:
        """Pairs of ids, among members and tied, that overlap in every objective."""
        return self._ties.pairs()

    def tied_with(self, candidate_id: str) -> tuple[str, ...]:
        """Return the ids tied with this one; empty if it is neither a member nor tied."""
        return self._ties.with_(candidate_id)

    @cached_property
    def _ties(self) -> _Ties:
        return _Ties(self.members + self.tied, self.objectives)


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
    )


def tied_pairs(
    candidates: Sequence[Candidate], objectives: Sequence[Objective]
) -> tuple[tuple[str, str], ...]:
    """Return pairs of ids whose 95 % intervals overlap in every objective; all must be measured."""
    return _Ties(candidates, objectives).pairs()


def costs_of(candidate: Candidate, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return one cost per objective, lower is better: ms, bytes, the score turned so; or nan."""
    return tuple(_cost(candidate, objective) for objective in objectives)


def score_drop(candidate: Candidate, baseline: Candidate | None) -> float | None:
    """Return the loss against the baseline; paired where both saw the same examples."""
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


def not_clearly_beaten(
    candidates: Sequence[Candidate], objective: Objective
) -> tuple[Candidate, ...]:
    """Leave out those of which another is better in one objective, and no interval says chance.

    Intervals of latency are taken only where the rounds reach as far as the best one's do.

    Args:
        candidates: at least one, all measured.
    """
    if objective is not Objective.LATENCY:
        ends = _costs_between(candidates, objective)
        least = min(high for _, high in ends)
        return tuple(c for c, (low, _) in zip(candidates, ends, strict=True) if low <= least)
    surely = -math.inf  # so fast is the best at least
    for candidate in sorted(candidates, key=_speedup, reverse=True):
        if _speedup(candidate) < surely:
            break  # and no interval of a slower one begins above
        surely = max(surely, _speedup_interval(candidate)[0])
    near = (c for c in candidates if _fastest_round(c) >= surely)
    return tuple(c for c in near if _speedup_interval(c)[1] >= surely)


def _costs_between(
    candidates: Sequence[Candidate], objective: Objective
) -> list[tuple[float, float]]:
    """Return intervals of size or score, turned so that lower is better."""
    if objective is Objective.SIZE:
        return [(_cost(c, objective),) * 2 for c in candidates]
    higher_is_better = all(
        c.score is None or c.score.scored_by.higher_is_better for c in candidates
    )
    found = _score_intervals(candidates)
    return [(-high, -low) for low, high in found] if higher_is_better else found


def _speedup(candidate: Candidate) -> float:
    return candidate.latency.speedup if candidate.latency else math.nan


def _fastest_round(candidate: Candidate) -> float:
    """Return a value that no end of an interval of the speed-up exceeds."""
    if candidate.latency is None:
        return math.nan
    return float(candidate.latency.round_ratios.max()) * _noise(candidate.latency)


def _noise(latency: Latency) -> float:
    """Return how far the baseline is from itself, as a factor from 1."""
    return max(latency.null_ratio, 1 / latency.null_ratio)


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
    """Return rows that some row dominates without being tied with it; shape (n,).

    Intervals of latency take a bootstrap each, so they are taken only where the others leave it
    open: of rows that nothing beats by size and accuracy, and of those that dominate these.
    """
    measured = [i for i, objective in enumerate(objectives) if objective is not Objective.SIZE]
    exact = np.zeros(len(costs))
    if Objective.SIZE in objectives:
        exact = costs[:, list(objectives).index(Objective.SIZE)]
    beaten = np.zeros(len(costs), dtype=bool)
    if Objective.SCORE in objectives or Objective.SIZE in objectives:
        known = _score_intervals(candidates) if Objective.SCORE in objectives else None
        lows, highs = _ends(known, len(costs))
        beaten = clearly_dominated(costs[:, measured], exact, lows, highs)
    if Objective.LATENCY in objectives:
        is_open = ~beaten & ~best
        rows = np.flatnonzero(is_open | dominated(-costs, by=is_open))
        lows, highs = _ends([_speedup_interval(candidates[i]) for i in rows.tolist()], len(rows))
        apart = clearly_dominated(costs[rows][:, measured], exact[rows], lows, highs)
        beaten[rows] |= apart
    return beaten


class _Ties:
    """Ties: candidates whose intervals all overlap. Each question costs O(n)."""

    def __init__(self, candidates: Sequence[Candidate], objectives: Sequence[Objective]) -> None:
        self._candidates = candidates
        self._with_latency = Objective.LATENCY in objectives
        intervals = []
        if Objective.SIZE in objectives:
            intervals.append([(_cost(c, Objective.SIZE),) * 2 for c in candidates])
        if Objective.SCORE in objectives:
            intervals.append(_score_intervals(candidates))
        ends = [_ends(each, len(candidates)) for each in (*intervals, None)]
        self._lows, self._highs = (
            np.concatenate(columns, axis=1) for columns in zip(*ends, strict=True)
        )

    @cached_property
    def _place(self) -> dict[str, int]:
        return {candidate.id: i for i, candidate in enumerate(self._candidates)}

    def of(self, i: int, *, before: bool = False) -> list[int]:
        """Return the places tied with the candidate at place ``i``, only the earlier ones if asked.

        Latency comes last, and only for those that the rest cannot tell: its bootstrap takes time.
        """
        stop = i if before else len(self._candidates)
        lows, highs = self._lows[: max(stop, i + 1)], self._highs[: max(stop, i + 1)]
        near = np.flatnonzero(overlapping(lows, highs, i)[:stop]).tolist()
        return [j for j in near if j != i and (not self._with_latency or self._overlap(i, j))]

    def with_(self, candidate_id: str) -> tuple[str, ...]:
        """Return the ids tied with this one."""
        i = self._place.get(candidate_id)
        return () if i is None else tuple(self._candidates[j].id for j in self.of(i))

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return every tied pair of ids, the later one first."""
        return tuple(
            (a.id, self._candidates[j].id)
            for i, a in enumerate(self._candidates)
            for j in self.of(i, before=True)
        )

    def _overlap(self, i: int, j: int) -> bool:
        low, high = self._speedups(i)
        other_low, other_high = self._speedups(j)
        return low <= other_high and other_low <= high

    def _speedups(self, i: int) -> tuple[float, float]:
        return _speedup_interval(self._candidates[i])


def _ends(intervals: Sequence[tuple[float, float]] | None, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper ends, each of shape (n, 1); (n, 0) without intervals."""
    if intervals is None:
        return np.empty((n, 0)), np.empty((n, 0))
    low, high = np.array(intervals, dtype=np.float64).reshape(-1, 2).T
    return low[:, None], high[:, None]


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


def _speedup_interval(candidate: Candidate) -> tuple[float, float]:
    if candidate.latency is None:
        return math.nan, math.nan
    low, high = candidate.latency.speedup_interval
    noise = _noise(candidate.latency)
    return low / noise, high * noise
