"""Intervals and tests: small, exact, and each with its source."""

from __future__ import annotations

import functools
import math
from functools import lru_cache

import numpy as np

Z95 = 1.959963984540054


def wilson_interval(successes: int, n: int, *, z: float = Z95) -> tuple[float, float]:
    """Return the interval of a share, 95 % unless told otherwise.

    Source: Wilson 1927.

    >>> low, high = wilson_interval(90, 100)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"need 0 <= successes <= n and n > 0; got {successes} of {n}.")
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def mcnemar_p(worse: int, better: int) -> float:
    """Return the p-value of the two-sided exact McNemar test on discordant pairs.

    Source: McNemar 1947; the exact binomial form.

    >>> round(mcnemar_p(9, 5), 2)
    0.42
    """
    n, k = worse + better, min(worse, better)
    if n == 0:
        return 1.0
    if n > 1000:  # normal approximation with continuity correction; the sum would be slow
        return math.erfc(max(0.0, abs(worse - better) - 1) / math.sqrt(2 * n))
    tail: float = 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    return min(1.0, tail)


def paired_difference_interval(
    worse: int, better: int, n: int, *, z: float = Z95
) -> tuple[float, float]:
    """Return the interval of (better - worse) / n for paired answers.

    Source: Agresti and Min 2005: add half a count to each cell, then Wald.
    """
    if n <= 0:
        raise ValueError(f"n must be above 0, got {n}.")
    b, c, total = worse + 0.5, better + 0.5, n + 2
    difference = (c - b) / total
    half = z * math.sqrt((b + c) - (c - b) ** 2 / total) / total
    return difference - half, difference + half


def mean_interval(mean: float, deviation: float, n: int) -> tuple[float, float]:
    """Return the 95 % t interval of a mean.

    Args:
        deviation: standard deviation of the n values, with n - 1 in the denominator.

    >>> low, high = mean_interval(10.0, 2.0, 5)
    >>> round(low, 2), round(high, 2)
    (7.52, 12.48)
    """
    if n < 2:
        return mean, mean
    half = t_quantile(n - 1) * deviation / math.sqrt(n)
    return mean - half, mean + half


def mean_p(mean: float, deviation: float, n: int) -> float:
    """Return the p-value of the two-sided t test that the mean is 0; paired for differences.

    >>> round(mean_p(1.0, 2.0, 16), 3)
    0.064
    """
    if n < 2 or deviation == 0:
        return 1.0 if n < 2 or mean == 0 else 0.0
    return t_tails(abs(mean) * math.sqrt(n) / deviation, n - 1)


def t_tails(t: float, freedom: int) -> float:
    """Return the probability that Student's t lies further from 0 than ``t`` >= 0.

    The sum of the density by Simpson's rule over the angle atan(t / sqrt(freedom)), in which it is
    a power of the cosine: smooth, and exact to 1e-9 for up to a million degrees of freedom.
    """
    if freedom > 1_000_000:
        return math.erfc(t / math.sqrt(2))
    end = math.atan(t / math.sqrt(freedom))
    angles = np.linspace(0.0, end, 20_001)
    weights = np.where(np.arange(20_001) % 2, 4.0, 2.0)
    weights[[0, -1]] = 1.0
    area = float(np.cos(angles) ** (freedom - 1) @ weights) * end / 60_000
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2
    return max(0.0, 1.0 - 2.0 * math.exp(log_scale) * area)


@functools.lru_cache(maxsize=256)
def t_quantile(freedom: int, *, tails: float = 0.05) -> float:
    """Return the t that lies so far out that only ``tails`` of the probability lies beyond it.

    >>> round(t_quantile(9), 3), round(t_quantile(999), 3)
    (2.262, 1.962)
    """
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tails(middle, freedom) > tails else (low, middle)
    return (low + high) / 2


def bootstrap_median_interval(
    values: np.ndarray, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile-bootstrap interval of the median of ``values``, shape (n,).

    Source: Efron 1979. With one value the interval is that value.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) % 2 and np.isfinite(values).all():
        # The median of a draw is one of the values: the first, in their order, with which half of
        # the draw is counted. The counts are the same for all that have so many values.
        order = np.argsort(values)
        counted = _draws(len(values), draws, seed)[1][:, order].cumsum(axis=1)
        medians = values[order][(counted > len(values) // 2).argmax(axis=1)]
    else:
        medians = np.median(values[_draws(len(values), draws, seed)[0]], axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


@lru_cache(maxsize=16)
def _draws(n: int, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw with replacement: indices (draws, n), and how often each is drawn (draws, n)."""
    indices = np.random.default_rng(seed).integers(0, n, (draws, n))
    counts = np.zeros((draws, n), np.int16)
    np.add.at(counts, (np.arange(draws)[:, None], indices), 1)
    return indices, counts
