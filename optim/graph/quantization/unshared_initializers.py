"""A model in which every layer has weights and a bias of its own, ready to be changed.

Files let equal constants be one, and layers without a bias have none; algorithms that move scales
or correct means would then change a neighbour, or find nothing to change.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from optim.graph.onnx_file import constants, consumers
from optim.graph.quantization.layers import is_quantizable_layer, output_axis


def with_unshared_initializers(model: ModelProto, *, biases: bool) -> ModelProto:
    """Return a copy whose layers share no constant.

    Args:
        model: fused, float32; left alone.
        biases: give a Conv or Gemm without one a bias of zeros.
    """
    own = ModelProto()
    own.CopyFrom(model)
    values = constants(model)
    readers = consumers(own.graph.node)
    for node in own.graph.node:
        if not is_quantizable_layer(node, values):
            continue
        weight = values[node.input[1]]
        _own(own, node, 1, f"{node.output[0]}.w", weight)
        if node.op_type == "MatMul":
            added = _bias_addition(node, readers, values, weight.shape[-1])
            if added is not None:
                place = 1 if added.input[0] == node.output[0] else 0
                _own(own, added, place, f"{node.output[0]}.b", values[added.input[place]])
        elif len(node.input) > 2 and node.input[2]:
            channels = weight.shape[output_axis(node, weight)]
            bias = np.broadcast_to(values[node.input[2]].reshape(-1), (channels,))
            _own(own, node, 2, f"{node.output[0]}.b", bias.copy())
        elif biases:
            zeros = np.zeros(weight.shape[output_axis(node, weight)], np.float32)
            _own(own, node, 2, f"{node.output[0]}.b", zeros)
    return own


def weight_name(node: NodeProto) -> str:
    """Return the name of a layer's weights in such a model."""
    return f"{node.output[0]}.w"


def bias_name(node: NodeProto) -> str:
    """Return the name of a layer's bias in such a model, if it has one."""
    return f"{node.output[0]}.b"


def replaced(model: ModelProto, changed: dict[str, np.ndarray]) -> ModelProto:
    """Return a copy of a model with other values for some constants."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(numpy_helper.from_array(changed[tensor.name], tensor.name))
    return copy


def _bias_addition(
    node: NodeProto,
    readers: dict[str, list[NodeProto]],
    values: dict[str, np.ndarray],
    channels: int,
) -> NodeProto | None:
    """Return the Add of a constant vector that alone reads a MatMul, if there is one."""
    after = readers.get(node.output[0], [])
    if len(after) != 1 or after[0].op_type != "Add":
        return None
    others = [name for name in after[0].input if name != node.output[0]]
    fits = len(others) == 1 and others[0] in values and values[others[0]].shape == (channels,)
    return after[0] if fits else None


def _own(model: ModelProto, node: NodeProto, place: int, name: str, value: np.ndarray) -> None:
    while len(node.input) <= place:
        node.input.append("")
    node.input[place] = name
    model.graph.initializer.append(numpy_helper.from_array(value, name))
