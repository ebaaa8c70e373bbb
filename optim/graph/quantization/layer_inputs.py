"""Inputs of a network's layers: their second moments on real examples.

A convolution is a matrix product over patches of its input; its inputs are the rows of that
product.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from onnx import ModelProto, NodeProto, helper

from optim.graph.examples import Examples, batches
from optim.graph.onnx_file import attribute, constants
from optim.graph.quantization.calibrate import expose
from optim.graph.quantization.layers import output_axis

EXAMPLES = 256
MIN_PATCHES, PATCHES_PER_INPUT = 4096, 3


def second_moments(
    model: ModelProto, layers: Sequence[NodeProto], calibration: Examples
) -> dict[str, np.ndarray]:
    """Return E[x x^T] of the inputs x that meet in one output of a layer.

    Patches are drawn at random (with a fixed seed), three for each input at least, so that the time
    does not grow with the picture.

    Args:
        model: float32.
        layers: Conv, Gemm or MatMul nodes of it with constant weights.
        calibration: float32, shape (n, ...); at most 256 examples are used.

    Returns:
        By the layer's output name: float64, shape (G, d, d) for G groups of d inputs.
    """
    values = constants(model)
    rng = np.random.default_rng(0)
    names = list(dict.fromkeys(node.input[0] for node in layers))
    run = expose(model, names)
    examples = calibration[:EXAMPLES]
    sums: dict[str, np.ndarray] = {}
    counts = dict.fromkeys((node.output[0] for node in layers), 0)
    for batch in batches(model, examples):
        seen = dict(zip(names, run(batch), strict=True))
        for node in layers:
            weight, key = values[node.input[1]], node.output[0]
            size = grouped(weight, node).shape[2]
            wanted = max(MIN_PATCHES, PATCHES_PER_INPUT * size) * len(batch) // len(examples)
            rows = _rows(seen[node.input[0]], node, weight, max(1, wanted), rng)
            sums[key] = sums.get(key, 0.0) + products(rows)
            counts[key] += len(rows)
    return {key: total / counts[key] for key, total in sums.items()}


def products(rows: np.ndarray) -> np.ndarray:
    """Return the sum of x x^T over the rows, (S, G, d) -> (G, d, d) float64."""
    if rows.shape[1] == 1:  # NumPy sees that both factors are one, and does half of the work
        product: np.ndarray = rows[:, 0].T @ rows[:, 0]
        return product[None].astype(np.float64)
    by_group = rows.transpose(1, 0, 2)  # (S, G, d) -> (G, S, d)
    return np.asarray((by_group.transpose(0, 2, 1) @ by_group).astype(np.float64))


def grouped(weight: np.ndarray, node: NodeProto) -> np.ndarray:
    """Return a layer's weights as (G, O, d): groups, outputs per group, inputs per output.

    A product with a stack of matrices has a group for each of them.
    """
    if node.op_type == "Conv":
        groups = attribute(node, "group", 1)
        return weight.reshape(groups, weight.shape[0] // groups, -1)
    if output_axis(node, weight) == 0:
        return weight[None]
    return weight.reshape(-1, *weight.shape[-2:]).transpose(0, 2, 1)


def ungrouped(matrix: np.ndarray, node: NodeProto, shape: tuple[int, ...]) -> np.ndarray:
    """Return the inverse of ``grouped``."""
    if node.op_type == "Conv":
        return np.reshape(matrix, shape)
    if attribute(node, "transB"):
        return np.asarray(matrix[0])
    return np.asarray(matrix.transpose(0, 2, 1).reshape(shape))


def rows_and_outputs(
    x: np.ndarray,
    y: np.ndarray,
    node: NodeProto,
    weight: np.ndarray,
    wanted: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return some rows of the matrix product that a layer is, with the outputs at the same places.

    Args:
        x: what the layer reads, (N, C, space...) or (N, ..., d).
        y: what the layer gives (in this network or in another), (N, O, space...) or (N, ..., O).
        wanted: how many rows, fewer if there are fewer.

    Returns:
        (S, G, d) and (S, G, O).
    """
    groups, outputs, inputs = grouped(weight, node).shape
    if node.op_type != "Conv":
        rows, results = _product_rows(x, weight), _by_matrix(y, weight)
        chosen = rng.choice(len(rows), min(wanted, len(rows)), replace=False)
        return rows[chosen], results[chosen]
    windows = _windows(x, node, weight)
    places = _draw_places(windows, weight, wanted, rng)
    results = np.moveaxis(y, 1, -1)[places]
    return windows[places].reshape(-1, groups, inputs), results.reshape(-1, groups, outputs)


def _rows(
    x: np.ndarray, node: NodeProto, weight: np.ndarray, wanted: int, rng: np.random.Generator
) -> np.ndarray:
    """Return some rows of the matrix product, (S, G, d)."""
    if node.op_type != "Conv":
        return _product_rows(x, weight)
    windows = _windows(x, node, weight)
    patches: np.ndarray = windows[_draw_places(windows, weight, wanted, rng)]  # (S, C, kernel...)
    return patches.reshape(len(patches), attribute(node, "group", 1), -1)


def _product_rows(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the rows of a matrix product's left factor, by the matrix they meet: (S, G, d)."""
    lead = np.broadcast_shapes(x.shape[:-2], weight.shape[:-2])
    return _by_matrix(np.broadcast_to(x, (*lead, *x.shape[-2:])), weight)


def _by_matrix(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Reshape (..., stack of matrices..., M, d) -> (S, G, d)."""
    if not weight.shape[:-2]:
        return y.reshape(-1, 1, y.shape[-1])
    rows = y.reshape(-1, prod(weight.shape[:-2]), *y.shape[-2:])
    return rows.swapaxes(1, 2).reshape(-1, rows.shape[1], y.shape[-1])


def _windows(x: np.ndarray, node: NodeProto, weight: np.ndarray) -> np.ndarray:
    """Return a view of all patches of a convolution's input, (N, positions..., C, kernel...)."""
    kernel = weight.shape[2:]
    space = len(kernel)
    strides = _attribute_list(node, "strides", [1] * space)
    dilations = _attribute_list(node, "dilations", [1] * space)
    pads = _pads(node, x.shape[2:], kernel, strides, dilations)
    around = [(0, 0), (0, 0), *zip(pads[:space], pads[space:], strict=True)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    windows = sliding_window_view(np.pad(x, around), reach, axis=tuple(range(2, 2 + space)))
    steps = tuple(slice(None, None, step) for step in (1, 1, *strides, *dilations))
    return np.moveaxis(windows[steps], 1, 1 + space)


def _pads(
    node: NodeProto,
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """Return a convolution's zero padding: before each axis of space, then behind each."""
    automatic = next((item.s for item in node.attribute if item.name == "auto_pad"), b"NOTSET")
    if automatic not in (b"SAME_UPPER", b"SAME_LOWER"):
        return _attribute_list(node, "pads", [0] * 2 * len(kernel))
    missing = [
        max(0, (-(-n // step) - 1) * step + (k - 1) * d + 1 - n)
        for n, k, step, d in zip(size, kernel, strides, dilations, strict=True)
    ]
    less, more = [n // 2 for n in missing], [n - n // 2 for n in missing]
    return [*less, *more] if automatic == b"SAME_UPPER" else [*more, *less]


def _draw_places(
    windows: np.ndarray, weight: np.ndarray, wanted: int, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Return indices of some patches in the example and the positions."""
    places = windows.shape[: weight.ndim - 1]
    total = int(np.prod(places))
    return np.unravel_index(rng.choice(total, min(wanted, total), replace=False), places)


def _attribute_list(node: NodeProto, name: str, default: list[int]) -> list[int]:
    found = (list(helper.get_attribute_value(a)) for a in node.attribute if a.name == name)
    return next(found, default)
