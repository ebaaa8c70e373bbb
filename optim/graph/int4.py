"""INT4 weights, float activations: a size, not a speed.

    w_q = clamp(round(w / scale), -8, 7),     scale = max|w| / 7.5 at first

The four-bit numbers stand in the file behind DequantizeLinear, two in a byte.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from optim.graph.int8 import dequantize_node, is_quantizable_layer, output_axis
from optim.graph.onnx_file import constants, tidy

LOW, HIGH = -8, 7
SHARES = np.linspace(0.4, 1.1, 71)
"""Scales that are tried, as shares of max|w| / 7.5."""


def quantize_int4(model: ModelProto, *, per_channel: bool) -> bytes:
    """Store the weights of Conv, Gemm and MatMul in four bits; the model is left alone.

    Args:
        model: fused, float32, opset 21 or later.
        per_channel: one scale per output channel instead of one per tensor.
    """
    quantized = ModelProto()
    quantized.CopyFrom(model)
    values = constants(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        copy = NodeProto()
        copy.CopyFrom(node)
        if is_quantizable_layer(node, values):
            name = f"{node.output[0]}.weight"
            axis = output_axis(node, values[node.input[1]]) if per_channel else None
            rounded, scale = quantize_weight_int4(values[node.input[1]], axis)
            quantized.graph.initializer.extend(
                (
                    numpy_helper.from_array(rounded.astype(ml_dtypes.int4), f"{name}.q"),
                    numpy_helper.from_array(scale, f"{name}.scale"),
                )
            )
            nodes.append(dequantize_node([f"{name}.q", f"{name}.scale"], f"{name}.dq", axis))
            copy.input[1] = f"{name}.dq"
        nodes.append(copy)
    del quantized.graph.node[:]
    quantized.graph.node.extend(nodes)
    return tidy(quantized)


def quantize_weight_int4(weight: np.ndarray, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Round to the symmetric signed 4-bit grid with the scale of least squared error.

    Args:
        weight: float32.
        axis: the axis with a scale for each index, None for one scale.

    Returns:
        int8 values in -8..7, same shape, and the scale: shape (weight.shape[axis],) or ().
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    start = (np.where(largest > 0, largest, 1) / 7.5).astype(np.float32)
    best = np.full(start.shape, np.inf, np.float32)
    scale = start
    for share in SHARES.astype(np.float32):
        tried = start * share
        error = (weight - np.clip(np.rint(weight / tried), LOW, HIGH) * tried) ** 2
        loss = error.sum(axis=others, keepdims=True)
        scale = np.where(loss < best, tried, scale)
        best = np.minimum(loss, best)
    rounded = np.clip(np.rint(weight / scale), LOW, HIGH).astype(np.int8)
    return rounded, scale.reshape(() if axis is None else (-1,))
