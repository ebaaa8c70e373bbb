"""A score as lines of text have it: two decimals of a percentage, three digits of anything else."""

from __future__ import annotations

from optim.measure.measurement import Score
from optim.task.metric import Metric
from optim.task.metric_words import NOTHING, change_words, value_words
from optim.words import between, points, share


def value_of(metric: Metric, value: float, n: int) -> str:
    """Return a mean score of n examples with its unit."""
    return share(value) if metric.unit == "%" else value_words(metric, value, n)


def change_of(metric: Metric, change: float, n: int) -> str:
    """Return a difference of two mean scores with its sign."""
    if metric.unit == "%":
        return points(change)
    return change_words(metric, change, n).replace(NOTHING, "-")


def value_text(score: Score) -> str:
    """Return the mean score with its unit."""
    return value_of(score.scored_by, score.value, score.n)


def interval_text(score: Score) -> str:
    """Return the 95 % interval of the mean score; the unit is written once."""
    return between(score.interval, lambda end: value_of(score.scored_by, end, score.n))


def change_text(score: Score) -> str:
    """Return the difference from the baseline with its sign."""
    return change_of(score.scored_by, score.difference, score.n)


def change_interval_text(score: Score) -> str:
    """Return the 95 % interval of the difference from the baseline."""
    ends = score.difference_interval
    return between(ends, lambda end: change_of(score.scored_by, end, score.n))
