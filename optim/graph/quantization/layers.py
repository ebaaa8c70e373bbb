"""The layers that can be quantized, and the clamps that follow them."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from optim.graph.onnx_file import LAYERS, STANDARD, attribute

CLIPPING = ("Relu", "Clip")


def is_quantizable_layer(node: NodeProto, values: dict[str, np.ndarray]) -> bool:
    """True for Conv, Gemm and MatMul whose weights (and bias) are constant float32."""
    standard = node.op_type in LAYERS and node.domain in STANDARD
    fixed = list(node.input[1:]) if standard else ()
    plain = node.op_type != "Gemm" or (
        attribute(node, "transA") == 0
        and all(item.f == 1.0 for item in node.attribute if item.name in ("alpha", "beta"))
    )
    return (
        plain
        and len(fixed) > 0
        and all(name in values and values[name].dtype == np.float32 for name in fixed if name)
        and values[fixed[0]].ndim >= 2
        and values[fixed[0]].size > 0
        and node.input[0] not in values
    )


def output_axis(node: NodeProto, weight: np.ndarray) -> int:
    """Return the axis of a layer's weights that counts its output channels."""
    if node.op_type == "Conv" or (node.op_type == "Gemm" and attribute(node, "transB")):
        return 0
    return weight.ndim - 1


def clamp_bounds(node: NodeProto, values: dict[str, np.ndarray]) -> tuple[float, float] | None:
    """Return the bounds of a Relu or Clip; None for another operator.

    A Clip whose bounds are computed in the graph has none that we know: None too.
    """
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type != "Clip" or any(name and name not in values for name in node.input[1:]):
        return None
    bounds = {item.name: item.f for item in node.attribute}  # up to opset 10
    if bounds:
        return bounds.get("min", -np.inf), bounds.get("max", np.inf)
    given = [*node.input[1:], "", ""]
    low, high = (values[name].item() if name else None for name in given[:2])
    return (-np.inf if low is None else low, np.inf if high is None else high)


def following_clamp(
    node: NodeProto, readers: dict[str, list[NodeProto]], outputs: set[str]
) -> NodeProto | None:
    """Return the Relu or Clip that alone reads a node's output, if there is one inside the graph.

    Args:
        readers: who reads each tensor.
        outputs: of the graph.
    """
    after = readers.get(node.output[0], [])
    if len(after) != 1 or after[0].op_type not in CLIPPING or after[0].input[0] != node.output[0]:
        return None
    return None if outputs.intersection((node.output[0], after[0].output[0])) else after[0]
