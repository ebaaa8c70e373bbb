"""Operators without weights, as calls of torch functions with Python numbers for constants."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx

from optim.graph.to_torch.builder import DTYPES, Builder
from optim.graph.to_torch.layers import Pads, spatial_pads
from optim.graph.to_torch.tables import BATCH, OPEN, Call, Sizes

Rule = Callable[[Call, Builder], "fx.Node | tuple[fx.Node, ...]"]


# --- elementwise ----------------------------------------------------------------------------------
def unary(function: Callable[..., Any]) -> Rule:
    """Return a function of one tensor."""
    return lambda call, emit: emit(function, call.flows(0))


def binary(function: Callable[..., Any]) -> Rule:
    """Return a function of two tensors, of which one may be a constant."""

    def rule(call: Call, emit: Builder) -> fx.Node:
        return emit(function, operand(call, 0, emit), operand(call, 1, emit))

    return rule


def folding(function: Callable[..., Any]) -> Rule:
    """Return a function of two applied to any number of tensors in order: Sum, Max, Min."""

    def rule(call: Call, emit: Builder) -> fx.Node:
        moving = [value for value in call.inputs if isinstance(value, fx.Node)]
        still = [i for i, value in enumerate(call.inputs) if not isinstance(value, fx.Node)]
        result = moving[0]
        for other in (*moving[1:], *(operand(call, index, emit) for index in still)):
            result = emit(function, result, other)
        return result

    return rule


def largest(x: torch.Tensor, other: torch.Tensor | float) -> torch.Tensor:
    """Return the larger of two, of which the second may be a number."""
    return torch.maximum(x, other) if isinstance(other, torch.Tensor) else torch.clamp(x, min=other)


def smallest(x: torch.Tensor, other: torch.Tensor | float) -> torch.Tensor:
    """Return the smaller of two, of which the second may be a number."""
    return torch.minimum(x, other) if isinstance(other, torch.Tensor) else torch.clamp(x, max=other)


def operand(call: Call, index: int, emit: Builder) -> Any:
    """Return a tensor that flows, a Python number, or a constant tensor kept in the network."""
    value = call.inputs[index]
    if isinstance(value, fx.Node):
        return value
    if isinstance(value, Sizes):
        call.refuse("it computes with the batch size")
    assert isinstance(value, np.ndarray)
    if value.size == 1 and value.ndim <= max(map(len, call.shapes)):
        return value.reshape(()).item()
    return emit.constant(value)


def divide(call: Call, emit: Builder) -> fx.Node:
    """Div: of integers it rounds toward zero."""
    return emit(operator.truediv, operand(call, 0, emit), operand(call, 1, emit))


def power(call: Call, emit: Builder) -> fx.Node:
    """Pow; a square is a product, whose gradient is exact everywhere."""
    exponent = operand(call, 1, emit)
    if exponent == 2:
        return emit(operator.mul, call.flows(0), call.flows(0))
    return emit(torch.pow, operand(call, 0, emit), exponent)


def cast(call: Call, emit: Builder) -> fx.Node:
    """Cast between the types that a trained network has."""
    to = call.integer("to", 1)
    if to not in DTYPES:
        call.refuse(f"a cast to ONNX type {to}")
    return emit.method("to", call.flows(0), DTYPES[to])


def where(call: Call, emit: Builder) -> fx.Node:
    """Where."""
    return emit(torch.where, call.flows(0), operand(call, 1, emit), operand(call, 2, emit))


# --- shapes ---------------------------------------------------------------------------------------
def reshape(call: Call, emit: Builder) -> fx.Node:
    """Reshape; where all but the batch becomes one axis it is a flattening, which can be pruned.

    Sizes are numbers of Python's, so that the network can be exported again; the batch is left to
    be worked out, also where the file was exported for one example at a time.
    """
    x, wanted = call.flows(0), list(target_sizes(call))
    own = call.shapes[0]
    if not call.integer("allowzero", 0):
        wanted = [
            (BATCH if own[i] is None else own[i] or 0) if size == 0 and i < len(own) else size
            for i, size in enumerate(wanted)
        ]
    rest = [size for size in wanted[1:] if size != BATCH]
    if own[0] is None and len(wanted) == 2 and rest in ([], [call.features()]):
        return emit.method("flatten", x, 1)
    for sizes in _with_free_batch(wanted, call):
        found = emit.attempt("reshape", x, *sizes)
        if found is not None:
            return found
    return call.refuse("it moves examples into another axis")


def target_sizes(call: Call, index: int = 1) -> tuple[int, ...]:
    """Return the shape that is asked for; ``BATCH`` also for a size that is to be worked out."""
    value = call.inputs[index] if call.given(index) else None
    if isinstance(value, Sizes):
        return tuple(BATCH if entry == OPEN else entry for entry in value.entries)
    found = call.constant(index)
    if found is None:
        found = np.array(call.integers("shape"))
    return tuple(int(size) for size in found)


def _with_free_batch(sizes: list[int], call: Call) -> Iterator[list[int]]:
    """Yield the sizes, then with each place in turn left open for the batch."""
    open_ends = [axis for axis, size in enumerate(sizes) if size == BATCH]
    if len(open_ends) == 2:  # one of them is the batch, the other can be worked out
        known = int(np.prod([size for size in sizes if size != BATCH]))
        if known and call.features() % known == 0:
            for batch, other in (open_ends, open_ends[::-1]):
                found = list(sizes)
                found[other] = call.features() // known
                found[batch] = BATCH
                yield found
        return
    if len(open_ends) == 1:
        yield sizes
        known = int(np.prod([size for i, size in enumerate(sizes) if i not in (0, *open_ends)]))
        if open_ends != [0] and known and call.features() % known == 0:
            found = list(sizes)
            found[0], found[open_ends[0]] = BATCH, call.features() // known
            yield found
        return
    for axis, size in enumerate(sizes):
        if size == 1 or axis == 0:
            yield [BATCH if i == axis else each for i, each in enumerate(sizes)]


def flatten(call: Call, emit: Builder) -> fx.Node:
    """Flatten from the first feature axis on."""
    axis = call.integer("axis", 1)
    if axis % max(1, call.rank()) != 1:
        call.refuse(f"it flattens at axis {axis}, where examples are mixed")
    return emit.method("flatten", call.flows(0), 1)


def transpose(call: Call, emit: Builder) -> fx.Node:
    """Transpose."""
    order = call.integers("perm") or list(range(call.rank()))[::-1]
    return emit.method("permute", call.flows(0), *order)


def squeeze(call: Call, emit: Builder) -> fx.Node:
    """Squeeze of named axes; without names, of every axis of one that is no batch."""
    axes = call.axes()
    if axes is None:
        axes = [axis for axis, size in enumerate(call.shapes[0]) if size == 1]
    rank = call.rank()
    found = call.flows(0)
    for axis in sorted((axis % rank for axis in axes), reverse=True):
        found = emit.method("squeeze", found, axis)
    return found


def unsqueeze(call: Call, emit: Builder) -> fx.Node:
    """Unsqueeze."""
    axes = call.axes() or []
    rank = call.rank() + len(axes)
    found = call.flows(0)
    for axis in sorted(axis % rank for axis in axes):
        found = emit.method("unsqueeze", found, axis)
    return found


def expand(call: Call, emit: Builder) -> fx.Node:
    """Expand by broadcasting, the batch left as it is."""
    own, sizes = call.shapes[0], target_sizes(call)
    still = call.inputs[0]
    if isinstance(still, np.ndarray):
        if len(still) != 1 or sizes[:1] != (BATCH,) or not _fits(still.shape[1:], sizes[1:]):
            call.refuse("it repeats a constant along more than the batch")
        return emit.repeated(still)
    rank = max(len(own), len(sizes))
    if len(sizes) > len(own):
        call.refuse("it adds axes in front of the batch")
    padded = (1,) * (rank - len(sizes)) + tuple(sizes)
    kept = (
        -1 if size in (1, BATCH, have) else size for size, have in zip(padded, own, strict=True)
    )
    return emit.method("expand", call.flows(0), *kept)


def _fits(own: tuple[int, ...], sizes: tuple[int, ...]) -> bool:
    return len(own) == len(sizes) and all(b in (1, a) for a, b in zip(own, sizes, strict=True))


def concat(call: Call, emit: Builder) -> fx.Node:
    """Concat; constants are repeated for each example."""
    axis = call.integer("axis", 0)
    index = next(i for i, value in enumerate(call.inputs) if isinstance(value, fx.Node))
    if call.shapes[index][axis] is None:
        call.refuse("it joins examples")
    parts = [
        value if isinstance(value, fx.Node) else _repeated(call, index, emit)
        for index, value in enumerate(call.inputs)
    ]
    return emit(torch.cat, parts, axis)


def _repeated(call: Call, index: int, emit: Builder) -> fx.Node:
    value = call.constant(index)
    if value is None or value.shape[:1] != (1,):
        call.refuse("a constant that is not the same for every example is joined")
    return emit.repeated(value)


def split(call: Call, emit: Builder) -> tuple[fx.Node, ...]:
    """Split into named sizes, or into as many equal parts as there are outputs."""
    axis = call.integer("axis", 0)
    sizes = call.integers("split")
    given = call.constant(1)
    count = len(call.node.output)
    if given is not None:
        sizes = [int(size) for size in given]
    if sizes is None:
        whole = call.shapes[0][axis]
        if whole is None:
            call.refuse("it parts examples from each other")
        block = -(-whole // count)
        sizes = [min(block, whole - block * i) for i in range(count)]
    parts = emit(torch.split, call.flows(0), sizes, axis)
    return tuple(emit(operator.getitem, parts, i) for i in range(count))


def cut(call: Call, emit: Builder) -> fx.Node:
    """Slice by constants, from the front."""
    starts, ends = call.integers("starts"), call.integers("ends")
    axes, steps = call.integers("axes"), None
    if starts is None:
        starts, ends, axes, steps = (
            None if (found := call.constant(i)) is None else [int(each) for each in found]
            for i in range(1, 5)
        )
    if starts is None or ends is None:
        call.refuse("its bounds are left out")
    axes = axes or list(range(len(starts)))
    steps = steps or [1] * len(starts)
    if min(steps) < 1:
        call.refuse("it runs backwards")
    rank = call.rank()
    cuts = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if call.over_examples(axis):
            if start or step > 1 or not (end == 1 or end >= 2**31 - 1):  # 1: of a file for one
                call.refuse("it drops examples")
        else:
            cuts[axis % rank] = slice(start, None if end >= 2**31 - 1 else end, step)
    return emit(operator.getitem, call.flows(0), tuple(cuts))


def gather(call: Call, emit: Builder) -> fx.Node:
    """Gather: rows of a table by what flows, or fixed places of what flows."""
    axis = call.integer("axis", 0)
    table = call.inputs[0]
    if isinstance(table, np.ndarray):
        if axis != 0 or table.ndim != 2 or table.dtype.kind != "f":
            call.refuse("it looks up a constant along another axis")
        return emit.embedding(call.flows(1), table)
    index = call.constant(1)
    if index is None or index.ndim > 1 or call.over_examples(axis):
        call.refuse("it chooses examples, or places that flow")
    if index.ndim == 0:
        return emit(torch.select, call.flows(0), axis, int(index))
    return emit(torch.index_select, call.flows(0), axis, emit.constant(index.astype(np.int64)))


def pad(call: Call, emit: Builder) -> fx.Node:
    """Pad with a constant, or by reflection or repetition."""
    pads = call.integers("pads")
    if pads is None:
        found = call.constant(1)
        pads = None if found is None else [int(each) for each in found]
    if pads is None or call.given(3):
        call.refuse("its pads are left out, or named by axis")
    half = len(pads) // 2
    if pads[0] or pads[half]:
        call.refuse("it pads examples")
    flat = [size for axis in range(half - 1, 0, -1) for size in (pads[axis], pads[half + axis])]
    value = call.constant(2, np.zeros(()))
    assert value is not None
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.get(
        str(call.attribute("mode", "constant"))
    )
    if mode is None:
        call.refuse("a mode of padding that torch does not know")
    if mode != "constant":
        while flat[-2:] == [0, 0]:
            flat = flat[:-2]
        return emit(F.pad, call.flows(0), flat, mode)
    filling = float(call.number("value", float(np.ravel(value)[0])))
    return emit(F.pad, call.flows(0), flat, "constant", filling)


def depth_to_space(call: Call, emit: Builder) -> fx.Node:
    """DepthToSpace in torch's order of channels."""
    if str(call.attribute("mode", "DCR")) != "CRD":
        call.refuse("its channels stand in another order than torch's")
    return emit(F.pixel_shuffle, call.flows(0), call.integer("blocksize", 2))


# --- products, sums, pools ------------------------------------------------------------------------
def reduction(function: Callable[..., Any]) -> Rule:
    """Return a mean, sum, or extreme over axes that are no examples."""

    def rule(call: Call, emit: Builder) -> fx.Node:
        axes, keep = call.axes(), bool(call.integer("keepdims", 1))
        rank = call.rank()
        if axes is None:
            if call.integer("noop_with_empty_axes", 0):
                return emit(operator.pos, call.flows(0))
            call.refuse("it reduces over the examples")
        axes = sorted(axis % rank for axis in axes)
        if any(call.over_examples(axis) for axis in axes):
            call.refuse("it reduces over the examples")
        return emit(function, call.flows(0), axes, keep)

    return rule


def _norm(x: torch.Tensor, axes: list[int], keep: bool) -> torch.Tensor:
    """Return the Euclidean length along axes."""
    length: torch.Tensor = torch.linalg.vector_norm(x, 2, axes, keep)
    return length


def softmax(function: Callable[..., Any]) -> Rule:
    """Softmax along one axis; before opset 13 along all axes from one on."""

    def rule(call: Call, emit: Builder) -> fx.Node:
        old = call.opset < 13
        axis = call.integer("axis", 1 if old else -1)
        behind = call.shapes[0][axis % call.rank() + 1 :]
        if old and any(size != 1 for size in behind):
            call.refuse("a softmax over several axes at once")
        return emit(function, call.flows(0), axis)

    return rule


def matmul(call: Call, emit: Builder) -> fx.Node:
    """MatMul of two tensors that flow, or by a constant that is no layer's."""
    return emit(torch.matmul, operand(call, 0, emit), operand(call, 1, emit))


def pool(call: Call, emit: Builder) -> fx.Node:
    """MaxPool and AveragePool, with padding that may differ before and after."""
    kernel = call.integers("kernel_shape") or []
    dims = len(kernel)
    strides = call.integers("strides") or [1] * dims
    dilations = call.integers("dilations") or [1] * dims
    pads = spatial_pads(call, kernel, strides, dilations)
    maximum = call.node.op_type == "MaxPool"
    even = all(before == after for before, after in pads)
    counted = bool(call.integer("count_include_pad", 0))
    if not 1 <= dims <= 3 or len(call.node.output) > 1:
        call.refuse("more than three dimensions, or indices beside the maxima")
    x, ceil = call.flows(0), bool(call.integer("ceil_mode", 0))
    if not even or any(2 * pads[i][0] > kernel[i] for i in range(dims)):
        if not maximum and not counted:
            return _uneven_average(call, emit, kernel, strides, pads)
        flat = [size for pair in reversed(pads) for size in pair]
        x = emit(F.pad, x, flat, "constant", float("-inf") if maximum else 0.0)
        pads = [(0, 0)] * dims
    inner = [before for before, _ in pads]
    if maximum:
        function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
        return emit(function, x, kernel, strides, inner, dilations, ceil)
    if max(dilations) > 1:
        call.refuse("an average over every other place")
    average = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[dims - 1]
    return emit(average, x, kernel, strides, inner, ceil, counted)


def _uneven_average(
    call: Call, emit: Builder, kernel: list[int], strides: list[int], pads: Pads
) -> fx.Node:
    """Return an average pooling whose padding differs before and after and does not count."""
    sizes = call.shapes[0][2:]
    if call.integer("ceil_mode", 0) or len(kernel) != 2 or None in sizes:
        call.refuse("an average over uneven padding that is rounded up")
    flat = [size for pair in reversed(pads) for size in pair]
    ones = F.pad(torch.ones((1, 1, *(size or 0 for size in sizes))), flat)
    share = F.avg_pool2d(ones, kernel, strides).numpy()
    padded = emit(F.pad, call.flows(0), flat)
    average = emit(F.avg_pool2d, padded, kernel, strides)
    return emit(operator.truediv, average, emit.constant(share))


def global_pool(call: Call, emit: Builder) -> fx.Node:
    """GlobalAveragePool and GlobalMaxPool."""
    axes = list(range(2, call.rank()))
    function = torch.mean if call.node.op_type == "GlobalAveragePool" else torch.amax
    return emit(function, call.flows(0), axes, True)


def resize(call: Call, emit: Builder) -> fx.Node:
    """Resize and Upsample by fixed factors, in the two ways that torch shares with ONNX."""
    mode = str(call.attribute("mode", "nearest"))
    way = str(call.attribute("coordinate_transformation_mode", "half_pixel"))
    last = len(call.inputs) - 1
    upsample = call.node.op_type == "Upsample"
    factors = call.constant(1 if upsample or last == 1 else 2)
    sizes = call.inputs[3] if last > 2 and not upsample else None
    kept: dict[str, list[int] | list[float]]
    if sizes is not None:
        kept = {"size": list(target_sizes(call, 3)[2:])}
    elif factors is not None and factors.size and all(factors[:2] == 1):
        kept = {"scale_factor": [float(factor) for factor in factors[2:]]}
    else:
        call.refuse("its factors are not known")
    if mode == "nearest" and (
        upsample or (way, call.attribute("nearest_mode")) == ("asymmetric", "floor")
    ):
        return emit(F.interpolate, call.flows(0), mode="nearest", **kept)
    if mode == "linear" and way in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        kind = {3: "linear", 4: "bilinear", 5: "trilinear"}.get(call.rank())
        if kind is not None:
            corners = way == "align_corners"
            return emit(F.interpolate, call.flows(0), mode=kind, align_corners=corners, **kept)
    return call.refuse(f"resizing by {mode}, {way}")


def response_norm(call: Call, emit: Builder) -> fx.Node:
    """LRN over channels."""
    return emit(
        F.local_response_norm, call.flows(0), call.integer("size", 1),
        alpha=call.number("alpha", 1e-4), beta=call.number("beta", 0.75),
        k=call.number("bias", 1.0),
    )  # fmt: skip


def passed(call: Call, emit: Builder) -> fx.Node:
    """Identity and Dropout: what flows goes on."""
    return call.flows(0)


FUNCTIONS: dict[str, Rule] = {
    "Add": binary(operator.add), "Sub": binary(operator.sub), "Mul": binary(operator.mul),
    "Div": divide, "Pow": power, "Sum": folding(operator.add), "Max": folding(largest),
    "Min": folding(smallest), "Where": where, "Cast": cast, "Equal": binary(operator.eq),
    "Greater": binary(operator.gt), "Less": binary(operator.lt),
    "GreaterOrEqual": binary(operator.ge), "LessOrEqual": binary(operator.le),
    "And": binary(torch.logical_and), "Or": binary(torch.logical_or),
    "Not": unary(torch.logical_not),
    "Sqrt": unary(torch.sqrt), "Exp": unary(torch.exp), "Log": unary(torch.log),
    "Neg": unary(operator.neg), "Abs": unary(torch.abs), "Reciprocal": unary(torch.reciprocal),
    "Erf": unary(torch.erf), "Sin": unary(torch.sin), "Cos": unary(torch.cos),
    "Floor": unary(torch.floor), "Ceil": unary(torch.ceil), "Round": unary(torch.round),
    "Sign": unary(torch.sign), "Identity": passed, "Dropout": passed, "Reshape": reshape,
    "Flatten": flatten, "Transpose": transpose, "Squeeze": squeeze, "Unsqueeze": unsqueeze,
    "Expand": expand, "Concat": concat, "Split": split, "Slice": cut, "Gather": gather, "Pad": pad,
    "DepthToSpace": depth_to_space, "ReduceMean": reduction(torch.mean),
    "ReduceSum": reduction(torch.sum), "ReduceMax": reduction(torch.amax),
    "ReduceMin": reduction(torch.amin), "ReduceL2": reduction(_norm),
    "Softmax": softmax(torch.softmax), "LogSoftmax": softmax(torch.log_softmax), "MatMul": matmul,
    "MaxPool": pool, "AveragePool": pool, "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool, "Resize": resize, "Upsample": resize, "LRN": response_norm,
}  # fmt: skip
"""Every operator besides layers and activations that has a trainable form."""
