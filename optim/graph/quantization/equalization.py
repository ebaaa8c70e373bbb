"""Moving a channel's scale from one layer to the next: the answers stay, the ranges change.

    f(W1 x + b1) W2  =  f((W1 x + b1) / s) (s W2)     where f(z / s) = f(z) / s for every s > 0

That holds for ReLU and for pooling, channel by channel. It does not hold for ReLU6 or any other
Clip with a bound that is not 0: the bound would have to move too, differently in each channel, and
no engine has an integer kernel for that. Such pairs are left alone.

Cross-layer equalization chooses s so that a channel has the same range in both layers,

    s = sqrt(r1 / r2),      r1 = max|row of W1|,  r2 = max|column of W2|

(Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction",
section 4.1). SmoothQuant chooses s so that the range of an activation moves into the weights:

    s = max|x|^a / max|column of W2|^(1 - a)

(Xiao et al. 2023, "SmoothQuant", equation 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from optim.graph.examples import Examples, batches
from optim.graph.onnx_file import (
    LAYERS,
    attribute,
    constants,
    consumers,
    float_tensor_shapes,
    producers,
)
from optim.graph.quantization.calibrate import expose
from optim.graph.quantization.layer_inputs import grouped, ungrouped
from optim.graph.quantization.layers import clamp_bounds, is_quantizable_layer
from optim.graph.quantization.unshared_initializers import bias_name, replaced, weight_name

HOMOGENEOUS = ("MaxPool", "AveragePool", "GlobalAveragePool")
FLATTENERS = ("Flatten", "Reshape", "Squeeze")
SWEEPS = 20
LARGEST = 1e4
"""Scales lie between this and its inverse: a channel without weights has no range."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two operators between which scales can move.

    Attributes:
        before: writes the channels: a layer, or a LayerNormalization.
        after: the layers that read them, and nobody else does.
    """

    before: NodeProto
    after: tuple[NodeProto, ...]


def equalize(model: ModelProto) -> ModelProto | None:
    """Equalize the ranges of the channels between layers; None if no pair of layers allows it.

    Args:
        model: float32, each layer with constants of its own; left alone.
    """
    values = constants(model)
    pairs = [
        pair
        for layers in _by_input(model, LAYERS).values()
        if (pair := _pair_before(tuple(layers), model)) is not None
        and pair.before.op_type in LAYERS
    ]
    if not pairs:
        return None
    changed = dict(values)
    for _ in range(SWEEPS):
        moved = 1.0
        for pair in pairs:
            first = _largest_by_row(changed[weight_name(pair.before)], pair.before)
            second = largest_by_input(changed, pair.after)
            scale = _bounded(np.sqrt(first / np.maximum(second, 1e-30)), first * second > 0)
            _move(changed, pair, scale)
            moved = max(moved, float(scale.max()), float(1 / scale.min()))
        if moved < 1.001:
            break
    return replaced(model, {n: v for n, v in changed.items() if v is not values[n]})


def smooth(model: ModelProto, examples: Examples, strength: float) -> ModelProto | None:
    """Move the activations' range into matrix products; None if there are none with fixed weights.

    Where the operator before can take the inverse scale it does (a layer, or LayerNormalization);
    else a Mul stands before the product.

    Args:
        model: float32, each layer with constants of its own; left alone.
        examples: float32, shape (n, ...), at which the activations' ranges are read.
        strength: share a of the range that moves, 0 to 1.
    """
    values = constants(model)
    readers = _by_input(model, ("Gemm", "MatMul"))
    if not readers:
        return None
    names = list(readers)
    largest = _largest_activations(model, names, examples)
    changed = dict(values)
    multiplied: dict[str, np.ndarray] = {}
    for name, layers in readers.items():
        weights = largest_by_input(changed, layers)
        scale = largest[name] ** strength / np.maximum(weights, 1e-30) ** (1 - strength)
        scale = _bounded(scale, (largest[name] > 0) & (weights > 0))
        pair = _pair_before(tuple(layers), model)
        if pair is None:
            for layer in layers:
                _scale_inputs(changed, layer, scale)
            multiplied[name] = np.asarray(1 / scale, np.float32)
        else:
            _move(changed, pair, scale)
    smoothed = replaced(model, {n: v for n, v in changed.items() if v is not values[n]})
    return _with_products(smoothed, multiplied, readers)


def _by_input(model: ModelProto, kinds: Sequence[str]) -> dict[str, list[NodeProto]]:
    """Return layers of these kinds by the tensor that they read, in the order of the graph.

    A tensor that meets a stack of matrices does not come: its channels have no single scale.
    """
    values = constants(model)
    found: dict[str, list[NodeProto]] = {}
    stacked: set[str] = set()
    for node in model.graph.node:
        if node.op_type in kinds and is_quantizable_layer(node, values):
            found.setdefault(node.input[0], []).append(node)
            if node.op_type == "MatMul" and values[node.input[1]].ndim > 2:
                stacked.add(node.input[0])
    return {name: layers for name, layers in found.items() if name not in stacked}


def largest_by_input(values: dict[str, np.ndarray], layers: Sequence[NodeProto]) -> np.ndarray:
    """Return the largest weight on each input channel in any of the layers, shape (C,)."""
    found = []
    for layer in layers:
        weight = values[weight_name(layer)]
        rows = grouped(weight, layer)  # (G, O, d)
        channels = weight.shape[1] if layer.op_type == "Conv" else rows.shape[2]
        by_channel = np.abs(rows).reshape(len(rows), rows.shape[1], channels, -1)
        found.append(by_channel.max(axis=(1, 3)).reshape(-1))
    return np.asarray(np.max(found, axis=0), np.float64)


def _largest_by_row(weight: np.ndarray, layer: NodeProto) -> np.ndarray:
    return np.asarray(np.abs(grouped(weight, layer)).max(axis=2).reshape(-1), np.float64)


def _largest_activations(
    model: ModelProto, names: list[str], examples: Examples
) -> dict[str, np.ndarray]:
    """Return max|x| of each channel, the last axis, over all examples."""
    run = expose(model, names)
    largest: dict[str, np.ndarray] = {}
    for batch in batches(model, examples):
        for name, x in zip(names, run(batch), strict=True):
            seen = np.abs(x).reshape(-1, x.shape[-1]).max(axis=0).astype(np.float64)
            largest[name] = np.maximum(largest.get(name, 0.0), seen)
    return largest


def _bounded(scale: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(known, np.clip(scale, 1 / LARGEST, LARGEST), 1.0))


def _move(values: dict[str, np.ndarray], pair: Pair, scale: np.ndarray) -> None:
    """Divide what ``before`` writes by the scale and multiply what ``after`` reads, in place."""
    before = pair.before
    if before.op_type in LAYERS:
        weight = values[weight_name(before)]
        rows = grouped(weight, before)
        divided = rows / scale.reshape(*rows.shape[:2], 1)
        values[weight_name(before)] = _like(ungrouped(divided, before, weight.shape), weight)
        if bias_name(before) in values:
            bias = values[bias_name(before)]
            values[bias_name(before)] = _like(bias / scale, bias)
    else:
        for name in before.input[1:]:
            values[name] = _like(values[name] / scale, values[name])
    for layer in pair.after:
        _scale_inputs(values, layer, scale)


def _scale_inputs(values: dict[str, np.ndarray], layer: NodeProto, scale: np.ndarray) -> None:
    weight = values[weight_name(layer)]
    rows = grouped(weight, layer)  # (G, O, d)
    channels = weight.shape[1] if layer.op_type == "Conv" else rows.shape[2]
    by_channel = rows.reshape(len(rows), rows.shape[1], channels, -1)
    moved = (by_channel * scale.reshape(len(rows), 1, channels, 1)).reshape(rows.shape)
    values[weight_name(layer)] = _like(ungrouped(moved, layer, weight.shape), weight)


def _like(value: np.ndarray, old: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value, old.dtype).reshape(old.shape)


def _pair_before(after: tuple[NodeProto, ...], model: ModelProto) -> Pair | None:
    """Return the operator whose channels these layers read, if scales can move between them."""
    nodes, values = model.graph.node, constants(model)
    readers, writers = consumers(nodes), producers(nodes)
    outputs = {value.name for value in model.graph.output}
    shapes = float_tensor_shapes(model)
    name, allowed = after[0].input[0], len(after)
    passed: set[str] = set()
    while name in writers:
        node = writers[name]
        if len(readers[name]) != allowed or name in outputs:
            return None
        if is_quantizable_layer(node, values):
            return Pair(before=node, after=after) if _fits(node, after, passed) else None
        if node.op_type == "LayerNormalization":
            single = all(len(readers[item]) == 1 for item in node.input[1:])
            fixed = all(item in values and values[item].ndim == 1 for item in node.input[1:])
            return Pair(before=node, after=after) if single and fixed and not passed else None
        if not _passes_scales(node, values, shapes):
            return None
        passed.update({node.op_type} - {"Relu", "Clip"})
        name, allowed = node.input[0], 1
    return None


def _fits(before: NodeProto, after: Sequence[NodeProto], passed: set[str]) -> bool:
    """True if the channels that one layer writes are those that the others read.

    Convolutions count them on the second axis, products on the last: between the two must lie
    something that flattens. What pools or flattens counts like a convolution.
    """
    convolutions = [layer.op_type == "Conv" for layer in after]
    if before.op_type == "Conv":
        flat = bool(passed.intersection(FLATTENERS))
        return not any(convolutions) if flat else all(convolutions)
    # The bias of a MatMul stands in another operator, which would have to change as well.
    return before.op_type == "Gemm" and not any(convolutions) and not passed


def _passes_scales(
    node: NodeProto, values: dict[str, np.ndarray], shapes: dict[str, tuple[int | None, ...]]
) -> bool:
    """True if scaling a channel of the operator's input scales the same channel of its output."""
    if node.op_type in ("Relu", "Clip"):
        bounds = clamp_bounds(node, values)
        return bounds is not None and set(bounds) <= {0.0, np.inf, -np.inf}
    if node.op_type in FLATTENERS:
        before, after = (shapes.get(item, ()) for item in (node.input[0], node.output[0]))
        return (
            len(before) >= 2
            and all(size == 1 for size in before[2:])
            and len(after) == 2
            and before[1] == after[1]
        )
    return node.op_type in HOMOGENEOUS and not attribute(node, "ceil_mode")


def _with_products(
    model: ModelProto, factors: dict[str, np.ndarray], readers: dict[str, list[NodeProto]]
) -> ModelProto:
    """Return a copy with a Mul between these tensors and the matrix products that read them."""
    scaled = {
        (name, layer.output[0]): f"{name}.smoothed" for name in factors for layer in readers[name]
    }
    nodes, written = [], set()
    for node in model.graph.node:
        copy = NodeProto()
        copy.CopyFrom(node)
        name = node.input[0] if node.input else ""
        if (name, node.output[0]) in scaled:
            if name not in written:
                written.add(name)
                nodes.append(helper.make_node("Mul", [name, f"{name}.s"], [f"{name}.smoothed"]))
            copy.input[0] = f"{name}.smoothed"
        nodes.append(copy)
    made = ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    for name, factor in factors.items():
        made.graph.initializer.append(numpy_helper.from_array(factor, f"{name}.s"))
    return made
