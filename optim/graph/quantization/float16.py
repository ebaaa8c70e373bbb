"""Half precision: every weight as float16 in the file, widened when the file is loaded.

    Cast(w: float16) -> float32 -> Conv

Half the bytes of float32 with 11 bits of precision and values up to 65504. Activations stay
float32. A graph that is half precision throughout is as small, but on processors without
half-precision arithmetic ONNX Runtime widens and narrows around every operator and loses its
fusions: MobileNetV2 then ran at 0.74 times its float32 speed, and at 1.0 times in this form.
OpenVINO stores its half-precision models in the same way.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from optim.graph.onnx_file import constants, tidy

WORTHWHILE = 32
"""Shorter tensors stay float32: the Cast would take more bytes than it saves."""


def convert_float16(model: ModelProto, *, keep: frozenset[str] = frozenset()) -> bytes:
    """Store the weights of a float32 model in half precision; the model is left alone.

    Tensors with a value that half precision cannot hold (above 65504) stay float32.

    Args:
        keep: names of constants that stay float32 too.
    """
    values = constants(model)
    half = ModelProto()
    half.CopyFrom(model)
    narrow = {name for name, value in values.items() if _fits(value) and name not in keep}
    del half.graph.initializer[:]
    casts: list[NodeProto] = []
    for tensor in model.graph.initializer:
        if tensor.name not in narrow:
            half.graph.initializer.append(tensor)
            continue
        stored = f"{tensor.name}.half"
        rounded = values[tensor.name].astype(np.float16)
        half.graph.initializer.append(numpy_helper.from_array(rounded, stored))
        casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
    del half.graph.node[:]
    half.graph.node.extend((*casts, *model.graph.node))
    return tidy(half)


def _fits(value: np.ndarray) -> bool:
    return (
        value.dtype == np.float32
        and value.size >= WORTHWHILE
        and float(np.abs(value).max()) <= float(np.finfo(np.float16).max)
    )
