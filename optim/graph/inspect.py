"""Facts of a file: parameters, zeros, multiply-accumulates, operators left in float.

One output element of a layer costs as many multiply-accumulates as numbers meet in it:

    MACs(Conv)         = elements of the output * weights / output channels
    MACs(Gemm, MatMul) = elements of the output * inner dimension
"""

from __future__ import annotations

from collections import Counter
from math import prod

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from optim.artifact import GraphFacts
from optim.engines.onnxruntime.kernels import FLOAT_KERNELS, INTEGER_KERNELS
from optim.engines.onnxruntime.session import optimized_graph
from optim.graph.onnx_file import (
    INTEGER_LAYERS,
    LAYERS,
    attribute,
    constants,
    consumers,
    float_tensor_shapes,
    read_model,
)

UNPACK = ("DequantizeLinear", "Cast")
PARAMETER_READERS = (
    *LAYERS, *INTEGER_LAYERS, "BatchNormalization", "ConvTranspose", "Add", "PRelu",
)  # fmt: skip


def graph_facts(model: bytes, optimized: bytes | None = None) -> GraphFacts:
    """Count in a file.

    A quantized file has the parameters and MACs of its float parent: INT8 and INT4 weights count as
    numbers, scales and zero points do not. Only channels of zeros, which fill the blocks of a
    depthwise convolution (``rules.whole_blocks``), come on top.

    Args:
        model: an ONNX file.
        optimized: the graph that the engine makes of it; by default ONNX Runtime is asked.

    Raises:
        BrokenArtifactError: if the file cannot be read.
        EngineError: if the engine cannot load it.
    """
    read = read_model(model)
    kernels = Counter(
        node.op_type
        for node in onnx.load_model_from_string(
            optimized_graph(model) if optimized is None else optimized
        ).graph.node
    )
    left = {kind: kernels[kind] for kind in FLOAT_KERNELS if kernels[kind]}
    weights, zeros = count_weights(read)
    return GraphFacts(
        parameters=count_parameters(read),
        macs=count_macs(read),
        float_operators=left,
        operators=sum(left.values()) + sum(kernels[kind] for kind in INTEGER_KERNELS),
        weights=weights,
        zero_weights=zeros,
    )


def count_parameters(model: ModelProto) -> int:
    """Count the numbers in weights and biases; a tensor that two layers share counts once."""
    sizes = {tensor.name: prod(tensor.dims) for tensor in model.graph.initializer if tensor.dims}
    source = _unpacked_from(model)
    used = {
        source.get(name, name)
        for node in model.graph.node
        if node.op_type in PARAMETER_READERS
        for name in (node.input if node.op_type == "Add" else node.input[1:3])
    }
    return sum(sizes.get(name, 0) for name in used)


def count_weights(model: ModelProto) -> tuple[int, int]:
    """Count the weights of Conv, Gemm and MatMul, and how many of them stand for zero.

    An integer stands for zero if it equals its zero point. A weight that was only rounded to
    zero counts like one that was made zero: no file tells them apart.
    """
    stored, packed = constants(model), _unpacked_from(model)
    zero_points = _zero_points(model)
    names = {
        packed.get(node.input[1], node.input[1])
        for node in model.graph.node
        if node.op_type in (*LAYERS, *INTEGER_LAYERS)
    }
    arrays = {name: stored[name] for name in names if name in stored}
    zeros = sum(
        int(np.count_nonzero(array == zero_points.get(name, 0))) for name, array in arrays.items()
    )
    return sum(array.size for array in arrays.values()), zeros


def _zero_points(model: ModelProto) -> dict[str, np.ndarray]:
    """Return what stands for zero in stored integers, by name, shaped to be compared."""
    stored = constants(model)
    found: dict[str, np.ndarray] = {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and len(node.input) > 2:
            name, point = node.input[0], stored.get(node.input[2])
            axis = attribute(node, "axis", 1)
        elif node.op_type in INTEGER_LAYERS and len(node.input) > 3:
            name, point = node.input[1], stored.get(node.input[3])
            axis = 0 if node.op_type == "ConvInteger" else -1
        else:
            continue
        if name in stored and point is not None:
            shape = [-1 if i == axis % stored[name].ndim else 1 for i in range(stored[name].ndim)]
            found[name] = point.reshape(shape) if point.ndim else point
    return found


def count_macs(model: ModelProto) -> int:
    """Return multiply-accumulates of Conv, Gemm and MatMul for one example."""
    shapes = float_tensor_shapes(model)
    shapes |= {name: tuple(value.shape) for name, value in constants(model).items()}
    shapes |= {n: shapes[c] for n, c in _unpacked_from(model).items() if n not in shapes}
    readers = consumers(model.graph.node)
    layers = [node for node in model.graph.node if node.op_type in (*LAYERS, *INTEGER_LAYERS)]
    for node in layers:  # an integer sum has the shape of the float that it is made into
        name = node.output[0]
        shapes.setdefault(
            name, shapes.get(readers[name][0].output[0], ()) if name in readers else ()
        )
    return sum(_macs(node, shapes) for node in layers)


def _macs(node: NodeProto, shapes: dict[str, tuple[int | None, ...]]) -> int:
    elements = prod(
        size or 1 for size in shapes.get(node.output[0], ())
    )  # the batch is None: one example
    weight = [size or 1 for size in shapes.get(node.input[1], (1, 1))]
    if node.op_type in ("Conv", "ConvInteger"):
        return elements * prod(weight[1:])  # (O, I / groups, K, K)
    transposed = node.op_type == "Gemm" and attribute(node, "transB") == 1
    return elements * weight[-1 if transposed or len(weight) == 1 else -2]


def _unpacked_from(model: ModelProto) -> dict[str, str]:
    """Return the stored constant that a tensor repeats in another format, by the tensor's name."""
    stored = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, str] = {}
    for node in model.graph.node:  # in order: four-bit weights go through a Cast first
        origin = found.get(node.input[0], node.input[0]) if node.input else ""
        if node.op_type in UNPACK and origin in stored:
            found[node.output[0]] = origin
    return found
