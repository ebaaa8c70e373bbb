"""A metric's figures in words: means and differences with unit, direction and honest digits."""

from __future__ import annotations

import math

from optim.task.metric import ACCURACY, MEAN_ABSOLUTE_ERROR, SQNR, Metric  # noqa: F401
from optim.words import decimals, digits

NOTHING = "–"
"""Where a figure is not known."""


def value_words(metric: Metric, value: float | None, n: int) -> str:
    """Return a mean over n examples with its unit, in as many digits as n examples can carry.

    >>> value_words(ACCURACY, 0.9296, 10_000), value_words(SQNR, 38.217, 500)
    ('92.96 %', '38.2 dB')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{_digits(metric, value, n)} {metric.unit}".rstrip()


def half_width_words(metric: Metric, interval: tuple[float, float], n: int) -> str:
    """Return half of an interval, to stand after its middle.

    >>> half_width_words(ACCURACY, (0.928, 0.9378), 10_000)
    '± 0.49'
    """
    half = metric.scale * (interval[1] - interval[0]) / 2
    text = f"{half:.{max(1, decimals(n))}f}" if metric.right_or_wrong else digits(half, figures=2)
    return f"± {text}"


def change_words(metric: Metric, difference: float | None, n: int) -> str:
    """Return a difference of two means with its sign.

    >>> change_words(ACCURACY, -0.0069, 10_000), change_words(MEAN_ABSOLUTE_ERROR, 0.0312, 500)
    ('-0.69 points', '+0.0312')
    """
    if difference is None or not math.isfinite(difference):
        return NOTHING
    text = _digits(metric, difference, n, sign="+")
    if _number(text) == 0:
        return f"0 {metric.step}".rstrip()
    step = metric.step.removesuffix("s") if abs(_number(text)) == 1 else metric.step
    return f"{text} {step}".rstrip()


def lost_words(metric: Metric, difference: float | None, n: int) -> str:
    """Return a difference of two means as a loss or a gain.

    >>> lost_words(ACCURACY, -0.0069, 10_000), lost_words(MEAN_ABSOLUTE_ERROR, 0.0312, 500)
    ('0.69 points lost', 'worse by 0.0312')
    >>> lost_words(SQNR, 0.0, 500)
    'nothing lost'
    """
    text = change_words(metric, difference, n)
    if difference is None or text == NOTHING:
        return text
    better = (difference > 0) is metric.higher_is_better
    if _number(text.split()[0]) == 0:
        return "no points lost" if metric.right_or_wrong else "nothing lost"
    if metric.right_or_wrong:
        return f"{text[1:]} {'gained' if better else 'lost'}"
    return f"{'better' if better else 'worse'} by {text[1:]}"


def drop_words(metric: Metric, drop: float) -> str:
    """Return how much worse something is, two decimals of a percentage at most.

    >>> drop_words(ACCURACY, 0.0123), drop_words(SQNR, 12.345)
    ('1.23 points', '12.3 dB')
    """
    shown = metric.scale * drop
    text = f"{shown:.2f}" if metric.right_or_wrong else digits(shown)
    return f"{text} {metric.step}".rstrip()


def axis_title(metric: Metric, n: int | None = None) -> str:
    """Return the title of an upright axis: name, unit, and which way is better.

    Args:
        n: examples that each score is the mean of, where they are as many.

    >>> axis_title(ACCURACY, 10_000), axis_title(MEAN_ABSOLUTE_ERROR)
    ('Accuracy, % of 10,000 (higher is better ↑)', 'Mean absolute error (lower is better ↑)')
    """
    name = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
    among = "" if n is None else f" of {n:,}" if metric.unit == "%" else f", {n:,} examples"
    better = "higher" if metric.higher_is_better else "lower"
    return f"{name}{among} ({better} is better ↑)"


def _digits(metric: Metric, value: float, n: int, sign: str = "") -> str:
    shown = metric.scale * value
    if metric.right_or_wrong:
        return f"{shown:{sign}.{decimals(n)}f}"
    text = digits(shown)
    return f"+{text}" if sign and shown > 0 else text


def _number(text: str) -> float:
    return float(text.replace(",", ""))
