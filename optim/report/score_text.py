"""A score as lines of text have it: two decimals of a percentage, three digits of anything else."""

from __future__ import annotations

from optim.measure.measurement import Score
from optim.task.metric_words import NOTHING, change_words, value_words
from optim.words import between, points, share


def value_text(score: Score, value: float | None = None) -> str:
    """Return the mean score, or another value of the same metric, with its unit."""
    shown = score.value if value is None else value
    if score.scored_by.unit == "%":
        return share(shown)
    return value_words(score.scored_by, shown, score.n)


def interval_text(score: Score) -> str:
    """Return the 95 % interval of the mean score; the unit is written once."""
    return between(score.interval, lambda end: value_text(score, end))


def change_text(score: Score, change: float | None = None) -> str:
    """Return the difference from the baseline, or another one, with its sign."""
    shown = score.difference if change is None else change
    if score.scored_by.unit == "%":
        return points(shown)
    return change_words(score.scored_by, shown, score.n).replace(NOTHING, "-")
