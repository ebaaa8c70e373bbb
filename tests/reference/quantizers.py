"""Quantizers written number by number, as the definitions read; slow and obvious."""

import itertools
import math

import numpy as np


def nearest(value: float, low: int, high: int) -> int:
    """The nearest whole number, the even one of two; clipped."""
    below = math.floor(value)
    if value - below > 0.5 or (value - below == 0.5 and below % 2 == 1):
        below += 1
    return min(high, max(low, below))


def symmetric(weight, axis, *, low, high, largest_level):
    """Whole numbers and scales: max|w| of a channel falls on ``largest_level``."""
    channels = range(weight.shape[axis]) if axis is not None else [None]
    levels = np.zeros(weight.shape, np.int8)
    scales = []
    for channel in channels:
        places = [
            index
            for index in itertools.product(*map(range, weight.shape))
            if channel is None or index[axis] == channel
        ]
        largest = max(abs(float(weight[index])) for index in places)
        scale = np.float32(np.float32(largest if largest > 0 else 1) / np.float32(largest_level))
        scales.append(scale)
        for index in places:
            levels[index] = nearest(float(weight[index] / scale), low, high)
    return levels, np.array(scales, np.float32)


def asymmetric(values, low, high):
    """What an unsigned 8-bit grid over [low, high] makes of each value."""
    scale = np.float32(max(high - low, 1e-6) / 255)
    zero = nearest(-low / scale, 0, 255)
    return [(nearest(float(v / scale) + zero, 0, 255) - zero) * float(scale) for v in values]
