"""Measurement: raw samples and the environment; every summary is a property.

Predicted figures are another type (``optim.search.predict.Prediction``): the two cannot mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from optim.artifact import Artifact, GraphFacts
from optim.devices.environment import Environment
from optim.measure.statistics import (
    bootstrap_median_interval,
    mcnemar_p,
    mean_interval,
    mean_p,
    paired_difference_interval,
    wilson_interval,
)
from optim.task.metric import ACCURACY, Metric, metric_named

UNSTABLE = 0.05
"""Rounds that spread by more, or a null further from 1, make a measurement unstable."""
LOADED = 0.1
"""System load from which on the ratio is not trusted: others use the core, or its caches."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Latency:
    """Times of single runs, baseline and candidate interleaved (A B A' A B A' ...).

    Attributes:
        baseline_ms, candidate_ms: milliseconds, float32, shape (rounds, runs); a quicker file gets
            more runs in a round.
        null_ms: the baseline's file in a second session, shaped as baseline_ms: the A/A null.
        baseline_sha256: the file the ratio refers to.
        cold_start_ms: time to load the candidate's file and to give the first answer.
        environment: machine, engine, threads.
        usual_ms: what the baseline's file takes here without system load, as far as earlier
            measurements know; None if there are none.
    """

    baseline_ms: np.ndarray
    candidate_ms: np.ndarray
    null_ms: np.ndarray
    baseline_sha256: str
    cold_start_ms: float
    environment: Environment
    usual_ms: float | None = None

    @cached_property
    def p50_ms(self) -> float:
        """Median of the candidate's runs."""
        return float(np.median(self.candidate_ms))

    @cached_property
    def spread_ms(self) -> tuple[float, float]:
        """10th and 90th percentile of the candidate's runs."""
        low, high = np.percentile(self.candidate_ms, [10, 90])
        return float(low), float(high)

    @cached_property
    def p99_ms(self) -> float:
        """99th percentile of the candidate's runs."""
        return float(np.percentile(self.candidate_ms, 99))

    @property
    def n(self) -> int:
        """Number of timed runs of the candidate."""
        return int(self.candidate_ms.size)

    @cached_property
    def round_ratios(self) -> np.ndarray:
        """Speed-up in each round: lower quartile of the baseline over that of the candidate."""
        ratios: np.ndarray = self._baseline_by_round / _quiet(self.candidate_ms)
        return ratios

    @cached_property
    def _baseline_by_round(self) -> np.ndarray:
        return _quiet(self.baseline_ms)

    @cached_property
    def speedup(self) -> float:
        """Factor by which it is faster than the baseline: the median over the rounds."""
        return float(np.median(self.round_ratios))

    @cached_property
    def speedup_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of ``speedup``."""
        return bootstrap_median_interval(self.round_ratios)

    @cached_property
    def null_ratio(self) -> float:
        """The baseline against itself; its distance from 1 is the noise floor."""
        return float(np.median(self._baseline_by_round / _quiet(self.null_ms)))

    @cached_property
    def spread_of_ratios(self) -> float:
        """Interquartile range of the rounds' ratios over their median."""
        low, high = np.percentile(self.round_ratios, [25, 75])
        return float((high - low) / self.speedup)

    @property
    def instability(self) -> float:
        """The larger of the rounds' spread and the null's distance from 1; 0 is stable."""
        return max(self.spread_of_ratios, abs(self.null_ratio - 1.0))

    @cached_property
    def baseline_quiet_ms(self) -> float:
        """The baseline's own time here: the median of its rounds' lower quartiles."""
        return float(np.median(self._baseline_by_round))

    @property
    def system_load(self) -> float:
        """Time of the baseline above the usual, as a share; 0 is as usual, or unknown."""
        return max(0.0, self.baseline_quiet_ms / self.usual_ms - 1.0) if self.usual_ms else 0.0

    @property
    def noise(self) -> float:
        """Measurement noise against what is accepted; above 1 it is worth measuring again."""
        return max(self.instability / UNSTABLE, self.system_load / LOADED)

    def to_dict(self) -> dict[str, Any]:
        """Return the raw samples and what they belong to as plain data, ready for JSON."""
        arrays = {
            name: getattr(self, name).tolist()
            for name in ("baseline_ms", "candidate_ms", "null_ms")
        }
        return {
            **arrays,
            "baseline_sha256": self.baseline_sha256,
            "cold_start_ms": self.cold_start_ms,
            "environment": self.environment.to_dict(),
            "usual_ms": self.usual_ms,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Latency:
        """Read what ``to_dict`` has written."""
        arrays = {
            name: np.asarray(data[name], np.float32)
            for name in ("baseline_ms", "candidate_ms", "null_ms")
        }
        environment = Environment.from_dict(data["environment"])
        return cls(**{**data, **arrays, "environment": environment})

    def noise_words(self) -> str:
        """Return what disturbed the measurement and what to do; nothing if it is good."""
        if self.system_load > LOADED:
            return (
                "Other programs used the machine while it was timed: the original took "
                f"{1 + self.system_load:.1f} times as long as usual. System load can slow small "
                "networks more than large ones; measure again."
            )
        if self.instability > UNSTABLE:
            return "The measurement is unstable: equal runs took unequal times; measure again."
        return ""


def _quiet(times_ms: np.ndarray) -> np.ndarray:
    """Return the lower quartile of each round, shape (rounds,).

    Other programs only ever add time, and they hit long runs more often than short ones: on a busy
    machine a ratio of medians flatters the quicker file.
    """
    position = 0.25 * (times_ms.shape[1] - 1)
    below = int(position)
    above = min(below + 1, times_ms.shape[1] - 1)
    ordered = np.partition(times_ms, (below, above), axis=1)  # np.percentile takes 5 times as long
    low, high = ordered[:, below], ordered[:, above]
    quartiles: np.ndarray = low + (high - low) * times_ms.dtype.type(position - below)
    return quartiles


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Means and standard deviations over examples, of scores that are no counts.

    Attributes:
        mean, deviation: of the scores.
        mean_difference, deviation_of_differences: of the scores minus the baseline's.
    """

    mean: float
    deviation: float
    mean_difference: float
    deviation_of_differences: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score of the very file on a split, compared example by example with the baseline.

    Attributes:
        n: examples.
        correct: right answers; None for a metric that is not right or wrong.
        worse, better: examples that score worse, or better, than with the baseline.
        changed: examples whose prediction differs from the baseline's.
        split: ``test`` for what is plotted.
        baseline_sha256: the file it is compared with.
        recorded: True if the figure came with the file (hash checked) and was not measured here.
        metric: the name of what scores the examples.
        moments: of the scores; None for a metric that is right or wrong.

    Raises:
        ValueError: if this version does not know the metric, or the figures do not belong to it.
    """

    n: int
    correct: int | None = None
    worse: int
    better: int
    changed: int
    split: str
    baseline_sha256: str
    recorded: bool = False
    metric: str = ACCURACY.name
    moments: Moments | None = None

    def __post_init__(self) -> None:
        if self.scored_by.right_or_wrong != (self.moments is None):
            needed = "counts" if self.moments else "moments"
            raise ValueError(f"the metric {self.metric} needs {needed}, and has none.")
        if self.moments is None and (
            self.correct is None or not 0 <= self.correct <= self.n or self.n == 0
        ):
            raise ValueError(
                f"correct must lie in [0, n] and n above 0; got {self.correct} of {self.n}."
            )

    @property
    def scored_by(self) -> Metric:
        """What scores the examples: unit, direction, and the rest."""
        return metric_named(self.metric)

    @property
    def value(self) -> float:
        """The mean score: for accuracy the share of right answers, 0..1."""
        return (self.correct or 0) / self.n if self.moments is None else self.moments.mean

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % interval of ``value``: Wilson's for a share, else Student's."""
        if self.moments is None:
            return wilson_interval(self.correct or 0, self.n)
        return mean_interval(self.moments.mean, self.moments.deviation, self.n)

    @property
    def difference(self) -> float:
        """The mean score minus the baseline's, on the same examples."""
        if self.moments is None:
            return (self.better - self.worse) / self.n
        return self.moments.mean_difference

    @cached_property
    def difference_interval(self) -> tuple[float, float]:
        """95 % interval of ``difference``, from the pairs."""
        if self.moments is None:
            return paired_difference_interval(self.worse, self.better, self.n)
        found = self.moments
        return mean_interval(found.mean_difference, found.deviation_of_differences, self.n)

    @property
    def drop(self) -> float:
        """Loss against the baseline, whichever way is better; below 0 if it is better."""
        return -self.difference if self.scored_by.higher_is_better else self.difference

    def worse_by(self, drop: float) -> float:
        """Return the value that is so much worse than this one."""
        return self.value - drop if self.scored_by.higher_is_better else self.value + drop

    @property
    def cost(self) -> float:
        """``value`` turned so that lower is better."""
        return -self.value if self.scored_by.higher_is_better else self.value

    @cached_property
    def p_value(self) -> float:
        """Two-sided test that the baseline scores the same: exact McNemar, else paired t."""
        if self.moments is None:
            return mcnemar_p(self.worse, self.better)
        found = self.moments
        return mean_p(found.mean_difference, found.deviation_of_differences, self.n)

    @property
    def tied_with_baseline(self) -> bool:
        """True if the difference may be noise (p >= 0.05)."""
        return self.p_value >= 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredFile:
    """The figures of a foreign file on a task; its artifact's path is the file as given."""

    task: str
    artifact: Artifact
    facts: GraphFacts
    score: Score
    latency: Latency
