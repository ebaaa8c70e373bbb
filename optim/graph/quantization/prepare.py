"""Biases that are one number a channel: what every algorithm here takes for granted.

Gemm(x, w, c) with c of shape (N, O), N > 1    becomes    Gemm(x, w) + c
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper

from optim.graph.onnx_file import constants
from optim.graph.quantization.layers import is_quantizable_layer


def with_biases_by_channel(model: ModelProto) -> ModelProto:
    """Return a copy whose layers have biases of one number per channel, or none.

    Args:
        model: fused, with safe names; left alone.
    """
    values = constants(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if not _has_matrix(node, values):
            nodes.append(node)
            continue
        product = NodeProto()
        product.CopyFrom(node)
        del product.input[2:]
        product.output[0] = f"{node.output[0]}.product"
        total = helper.make_node("Add", [product.output[0], node.input[2]], node.output)
        nodes += [product, total]
    ready = ModelProto()
    ready.CopyFrom(model)
    del ready.graph.node[:]
    ready.graph.node.extend(nodes)
    return ready


def _has_matrix(node: NodeProto, values: dict[str, np.ndarray]) -> bool:
    """True for a Gemm whose constant differs from example to example."""
    if node.op_type != "Gemm" or len(node.input) < 3 or not is_quantizable_layer(node, values):
        return False
    bias = values[node.input[2]]
    return bias.ndim == 2 and bias.shape[0] > 1
