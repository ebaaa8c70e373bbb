"""Weights as the file holds them: integers, their scale, and how many bits each has.

w = scale * w_q,     w_q in {-127, ..., 127} or {-8, ..., 7}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import ml_dtypes
import numpy as np
from onnx import ModelProto, NodeProto

from optim.errors import Refusal, RefusedError
from optim.graph.examples import Examples
from optim.graph.onnx_file import constants
from optim.graph.quantization.gptq import round_compensated
from optim.graph.quantization.int4 import HIGH, LOW, int4_scale
from optim.graph.quantization.int8 import quantize_weight_int8
from optim.graph.quantization.layer_inputs import grouped, second_moments, ungrouped
from optim.graph.quantization.layers import output_axis
from optim.graph.quantization.unshared_initializers import weight_name
from optim.recipe import Precision, Rounding

LIMITS = {Precision.INT8: (-127, 127), Precision.INT4: (LOW, HIGH)}


@dataclass(frozen=True, kw_only=True)
class StoredWeights:
    """The weights of one layer.

    Attributes:
        levels: int8, the shape of the weights.
        scale: float32, shape (channels,) or ().
        axis: which axis of the weights the scales belong to; None for one scale.
        precision: INT8 or INT4.
    """

    levels: np.ndarray
    scale: np.ndarray
    axis: int | None
    precision: Precision

    def packed(self) -> np.ndarray:
        """Return the integers in the type that they have in the file."""
        return self.levels.astype(ml_dtypes.int4 if self.precision is Precision.INT4 else np.int8)

    def dequantized(self) -> np.ndarray:
        """Return the weights that the file's integers stand for, float32."""
        return np.asarray(self.levels * spread(self.scale, self.levels.ndim, self.axis), np.float32)


@dataclass(frozen=True, kw_only=True)
class WeightStorage:
    """Storage of one layer's weights.

    Attributes:
        precision: INT8 or INT4.
        rounding: to which neighbouring level.
        per_channel: one scale per output channel instead of one per tensor.
        scale: trained with the network, shape (channels,) or (); None to find it.
        least_scale: by channel, below which the layer's bias would leave its 32 bits; None if it
            has no such bias. It is taken from ``least_scales``.
    """

    precision: Precision
    rounding: Rounding
    per_channel: bool
    scale: np.ndarray | None = None
    least_scale: np.ndarray | None = None

    @property
    def is_learned(self) -> bool:
        """True if the rounding is learnt; a trained scale leaves nothing to learn."""
        return self.rounding is Rounding.ADAROUND and self.scale is None


def store_weights(
    model: ModelProto, storages: dict[str, WeightStorage], calibration: Examples
) -> dict[str, StoredWeights]:
    """Round the weights of every layer that has a storage; ``learned`` ones to the nearest level.

    Args:
        model: float32, each layer with weights of its own; left alone.
        storages: by the layer's output name.
        calibration: float32, shape (n, ...), what ``compensated`` rounding cancels its errors on.

    Returns:
        By the name of the constant.
    """
    values = constants(model)
    layers = [node for node in model.graph.node if node.output[0] in storages]
    compensated = [
        node for node in layers
        if storages[node.output[0]].rounding is Rounding.GPTQ
        and storages[node.output[0]].scale is None
    ]  # fmt: skip
    moments = second_moments(model, compensated, calibration) if compensated else {}
    return {
        weight_name(node): _stored(
            values[weight_name(node)],
            node,
            storages[node.output[0]],
            moments.get(node.output[0]),
        )
        for node in layers
    }


def spread(scale: np.ndarray, ndim: int, axis: int | None) -> np.ndarray:
    """Return scales in a shape that multiplies the weights."""
    if axis is None:
        return scale
    return scale.reshape([-1 if i == axis else 1 for i in range(ndim)])


def by_row(scale: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return scales in a shape that multiplies ``grouped`` weights (G, O, d); float64.

    A stack of matrices has a group for each, and scales by output alone.
    """
    groups = 1 if scale.size == rows.shape[1] else rows.shape[0]
    return scale.reshape((groups, -1, 1) if scale.ndim else (1, 1, 1)).astype(np.float64)


def _stored(
    weight: np.ndarray, node: NodeProto, storage: WeightStorage, moments: np.ndarray | None
) -> StoredWeights:
    low, high = LIMITS[storage.precision]
    fine = storage.per_channel if storage.scale is None else storage.scale.ndim == 1
    axis = output_axis(node, weight) if fine else None
    scale = _scale(weight, axis, storage)
    if storage.least_scale is not None:
        least = storage.least_scale if axis is not None else storage.least_scale.max()
        scale = np.maximum(scale, np.asarray(least, np.float32))
    if moments is None:
        levels = np.rint(weight / spread(scale, weight.ndim, axis))
        if storage.scale is not None:
            _check_trained(levels, node, storage.precision)
        levels = np.clip(levels, low, high)
    else:
        rows = grouped(weight, node)
        chosen = round_compensated(rows, moments, by_row(scale, rows), low=low, high=high)
        levels = ungrouped(chosen, node, weight.shape)
    return StoredWeights(
        levels=levels.astype(np.int8), scale=scale, axis=axis, precision=storage.precision
    )


def _scale(weight: np.ndarray, axis: int | None, storage: WeightStorage) -> np.ndarray:
    if storage.scale is not None:
        return np.asarray(storage.scale, np.float32)
    match storage.precision:
        case Precision.INT8:
            return quantize_weight_int8(weight, axis)[1]
        case Precision.INT4:
            return int4_scale(weight, axis)
        case Precision.FP32 | Precision.FP16:
            raise AssertionError(f"{storage.precision} weights have no scale")
        case _:
            assert_never(storage.precision)


def _check_trained(levels: np.ndarray, node: NodeProto, precision: Precision) -> None:
    low, high = LIMITS[precision]
    if levels.min() < low - 1 or levels.max() > high + 1:
        raise RefusedError(
            Refusal(
                reason=f"the layer {node.name!r:.80} was trained on a grid that {precision.upper()}"
                f" cannot hold: it has levels from {levels.min():.0f} to {levels.max():.0f}, "
                f"{precision.upper()} has {low} to {high}.",
                remedy="Quantize to the number of bits that it was trained for.",
            )
        )
