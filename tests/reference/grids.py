"""Training grids written number by number, as the papers read; slow and obvious."""

import math

import numpy as np

from tests.reference.quantizers import nearest


def on_grid(weight, scales, *, low, high):
    """Each weight as scale * integer; ``scales`` has one per row, or one for all."""
    rounded = np.zeros(weight.shape, np.float32)
    for index in np.ndindex(*weight.shape):
        scale = scales[index[0]] if np.ndim(scales) else scales
        rounded[index] = np.float32(nearest(float(weight[index] / scale), low, high)) * scale
    return rounded


def learned_step_gradients(weight, scale, incoming, *, low, high):
    """Esser et al. 2020, equations 3 and 5 and section 2.2, for one scale.

    Returns:
        The gradient for each weight, and the one for the scale.
    """
    for_weight, for_scale = np.zeros(weight.shape), 0.0
    for index in np.ndindex(*weight.shape):
        v = float(weight[index]) / float(scale)
        if v <= low:
            slope = low
        elif v >= high:
            slope = high
        else:
            slope = -v + nearest(v, low, high)
            for_weight[index] = incoming[index]
        for_scale += float(incoming[index]) * slope
    return for_weight, for_scale / math.sqrt(weight.size * high)
