"""Noise of a compressed network: its error against the outputs of the original."""

from __future__ import annotations

import math

import numpy as np


def sqnr_db(reference: np.ndarray, other: np.ndarray) -> float:
    """Return the SQNR in dB, 10 log10(sum reference^2 / sum (reference - other)^2).

    Ten decibels less are ten times the power of the noise. Unlike accuracy, which moves in whole
    examples, it tells two good files apart on a hundred examples.

    Args:
        reference, other: logits of the same examples, the same shape.

    Returns:
        Decibels; infinite if nothing differs.

    >>> sqnr_db(np.array([1.0, -1.0]), np.array([1.1, -1.0])).__round__(1)
    23.0
    """
    noise = float(np.square(reference - other, dtype=np.float64).sum())
    signal = float(np.square(reference, dtype=np.float64).sum())
    if noise == 0:
        return math.inf
    return -math.inf if signal == 0 else 10 * math.log10(signal / noise)


def noise_power(decibels: float) -> float:
    """Return the inverse: power of the noise as a share of the signal's, 10^(-dB / 10)."""
    return float(10 ** (-decibels / 10))
