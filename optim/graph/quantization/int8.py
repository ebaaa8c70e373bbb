"""The 8-bit grids of activations and weights.

x_q = clamp(round(x / scale) + zero_point, 0, 255)          activations, unsigned
x_q = clamp(round(x / scale), -128, 127)                    activations, signed
w_q = clamp(round(w / scale), -127, 127)                    weights
"""

from __future__ import annotations

import numpy as np

LEAST = 1e-30
"""Numbers below cannot be told from 0: their steps, and products of these, would leave float32."""
STAND_IN = 1e-6
"""A range for what is always 0: small, so that the biases of the layers behind it are exact."""


def activation_grid(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Return scale and zero point of the unsigned 8-bit grid over a range that contains 0.

    A range that holds nothing else becomes one of ``STAND_IN``.

    >>> scale, zero_point = activation_grid(0.0, 2.55)
    >>> round(float(scale), 4), int(zero_point)
    (0.01, 0)
    """
    scale = np.float32((high - low if high - low > LEAST else STAND_IN) / 255)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def signed_activation_grid(low: float, high: float) -> tuple[np.float32, np.int8]:
    """Return scale and zero point of the signed 8-bit grid, which lies evenly around 0.

    A range that holds nothing else becomes one of ``STAND_IN``.

    >>> scale, zero_point = signed_activation_grid(-1.27, 0.5)
    >>> round(float(scale), 4), int(zero_point)
    (0.01, 0)
    """
    return np.float32((max(-low, high) if high - low > LEAST else STAND_IN / 2) / 127), np.int8(0)


def quantize_weight_int8(weight: np.ndarray, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Round to the symmetric signed 8-bit grid.

    Args:
        weight: float32.
        axis: the axis with a scale for each index, None for one scale.

    Returns:
        int8 of the same shape, and the scale: shape (weight.shape[axis],) or ().
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = (np.where(largest > LEAST, largest, 1) / 127).astype(np.float32)
    rounded = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
    return rounded, scale.reshape(() if axis is None else (-1,))
