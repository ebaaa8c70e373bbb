"""Why a kernel computes in float although its file is quantized, in words."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto, TensorProto

from optim.engines.onnxruntime.origins import (
    CONVERSIONS,
    DEQUANTIZE,
    LAYERS,
    QUANTIZE,
    FileGraph,
    activation_name,
    is_kept_together,
)
from optim.engines.profile import FloatReason

CLAMPS = ("Relu", "Clip")
INTEGER_OPERATORS = (
    *LAYERS[:3], "Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid",
    "Softmax", "MaxPool", "Where", "Resize",
)  # fmt: skip
"""Operators that ONNX Runtime computes in INT8 between Dequantize- and QuantizeLinear."""
WIDE = (TensorProto.INT16, TensorProto.UINT16)
NARROW = (TensorProto.INT4, TensorProto.UINT4)


@dataclass(frozen=True)
class WhyFloat:
    """A reason for programs and in words."""

    code: FloatReason
    words: str


def why_float(graph: FileGraph, node: NodeProto) -> WhyFloat | None:
    """Say why ONNX Runtime computes a node in float; None if the file is not quantized."""
    conversions = {item.op_type for item in graph.nodes}.intersection(CONVERSIONS)
    if not conversions:
        return None
    if node.op_type in LAYERS and node.input[1] in graph.stored:
        reason = _about_weights(graph, node)
        if reason is not None:
            return reason
    if QUANTIZE not in conversions:
        return WhyFloat(FloatReason.FLOAT_ACTIVATIONS, "activations are not quantized in this file")
    if node.op_type not in LAYERS and not graph.leads_to_layer(node):
        return WhyFloat(
            FloatReason.BEHIND_LAST_LAYER,
            "it stands behind the last layer, where answers stay in float",
        )
    if is_kept_together(graph, node) or any(
        before is not None and is_kept_together(graph, before)
        for before in map(graph.before, graph.moving(node))
    ):
        return WhyFloat(
            FloatReason.FASTER_IN_FLOAT,
            "as one float kernel SiLU is faster than as an INT8 table and an INT8 product",
        )
    if node.op_type in CLAMPS:
        return WhyFloat(FloatReason.CLAMP, _about_clamp(graph, node))
    if node.op_type not in INTEGER_OPERATORS:
        return WhyFloat(
            FloatReason.NO_KERNEL,
            f"ONNX Runtime has no INT8 kernel for {activation_name(graph, node)}",
        )
    return WhyFloat(FloatReason.NEIGHBOURS, _about_neighbours(graph, node))


def _about_weights(graph: FileGraph, node: NodeProto) -> WhyFloat | None:
    unpack = graph.writers.get(node.input[1])
    if unpack is None:
        return WhyFloat(FloatReason.WEIGHTS_IN_FLOAT, "its weights are kept in FP32 in this file")
    if unpack.op_type == "Cast":
        return WhyFloat(
            FloatReason.WEIGHTS_IN_FLOAT,
            "its weights are only stored in FP16: ONNX Runtime computes in FP32 on CPUs",
        )
    if _is_converted(graph, node.input[0]):
        return None
    bits = "4-bit weights" if _element_type(graph, unpack.input[0]) in NARROW else "INT8 weights"
    return WhyFloat(
        FloatReason.WEIGHTS_ONLY,
        f"only its weights are quantized: ONNX Runtime unpacks {bits} to FP32 to compute",
    )


def _about_clamp(graph: FileGraph, node: NodeProto) -> str:
    before = graph.before(node.input[0])
    layer = before is not None and before.op_type in LAYERS
    behind = f" behind {before.name or before.op_type}" if before is not None and layer else ""
    zero_points = {_zero_point_type(graph, r) for r in graph.readers.get(node.output[0], ())}
    if zero_points & {TensorProto.INT8, TensorProto.INT16}:
        return f"signed activations: ONNX Runtime cannot absorb {node.op_type}{behind} into them"
    return f"{node.op_type}{behind} was not absorbed into the quantization after it"


def _about_neighbours(graph: FileGraph, node: NodeProto) -> str:
    moving = graph.moving(node)
    floats = [name for name in moving if not _is_converted(graph, name)]
    if floats:
        writer = graph.writers.get(floats[0])
        source = "the network's input" if writer is None else activation_name(graph, writer)
        return f"it reads {source} in float"
    if any(_zero_point_type(graph, graph.writers[name]) in WIDE for name in moving):
        return "ONNX Runtime has no kernel for 16-bit activations here"
    if any(value.name == node.output[0] for value in graph.model.graph.output):
        return "its result is the network's answer, which stays in float"
    others = [
        reader for reader in graph.readers.get(node.output[0], ()) if reader.op_type != QUANTIZE
    ]
    if others:
        clamp = next((item for item in others if item.op_type in CLAMPS), None)
        if clamp is not None:
            return f"the {clamp.op_type} behind it was not absorbed into its quantization"
        return f"its result is read in float by {activation_name(graph, others[0])}"
    return "ONNX Runtime did not merge it with the conversions around it"


def _is_converted(graph: FileGraph, name: str) -> bool:
    writer = graph.writers.get(name)
    return writer is not None and writer.op_type == DEQUANTIZE


def _zero_point_type(graph: FileGraph, node: NodeProto) -> int | None:
    """Return the integer type of a Quantize- or DequantizeLinear; None for other nodes."""
    if node.op_type not in (QUANTIZE, DEQUANTIZE):
        return None
    return _element_type(graph, node.input[2]) if len(node.input) > 2 else TensorProto.UINT8


def _element_type(graph: FileGraph, name: str) -> int | None:
    types = {tensor.name: int(tensor.data_type) for tensor in graph.model.graph.initializer}
    return types.get(name)
