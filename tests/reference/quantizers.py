"""Quantizers written number by number, as the definitions read; slow and obvious."""

import itertools
import math

import numpy as np


def nearest(value: float, low: int, high: int) -> int:
    """The nearest integer, the even one of two; clipped."""
    below = math.floor(value)
    if value - below > 0.5 or (value - below == 0.5 and below % 2 == 1):
        below += 1
    return min(high, max(low, below))


def symmetric(weight, axis, *, low, high, largest_level):
    """Integers and scales: max|w| of a channel falls on ``largest_level``."""
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
    scale = np.float32((high - low if high - low > 1e-30 else 1e-6) / 255)
    zero = nearest(-low / scale, 0, 255)
    return [(nearest(float(v / scale) + zero, 0, 255) - zero) * float(scale) for v in values]


def signed(values, low, high):
    """What a signed 8-bit grid around zero makes of each value."""
    scale = np.float32((max(-low, high) if high - low > 1e-30 else 5e-7) / 127)
    return [nearest(float(v / scale), -128, 127) * float(scale) for v in values]


def compensated(weight, moments, scales, low, high):
    """GPTQ as its algorithm reads: one row and one column at a time, the inverse found anew.

    After a column is rounded, the error is spread over the columns that are left so that the output
    changes least: delta = -error / H^-1[0, 0] * H^-1[0, :], with H of the columns left.
    """
    inputs = weight.shape[1]
    diagonal = [float(moments[i, i]) for i in range(inputs)]
    order = sorted(range(inputs), key=lambda i: -diagonal[i])
    damped = moments + 0.01 * np.mean(diagonal) * np.eye(inputs)
    levels = np.zeros(weight.shape, np.int8)
    for row, scale in enumerate(scales):
        rest = [float(value) for value in weight[row]]
        for place, column in enumerate(order):
            level = nearest(rest[column] / scale, low, high)
            levels[row, column] = level
            error = rest[column] - level * scale
            left = order[place:]
            inverse = np.linalg.inv(damped[np.ix_(left, left)])
            for other, share in zip(left[1:], inverse[0, 1:] / inverse[0, 0], strict=True):
                rest[other] -= error * float(share)
    return levels
