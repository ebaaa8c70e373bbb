"""Half precision: every weight as float16 in the file, widened when the file is loaded.

    Cast(w: float16) -> float32 -> Conv

Half the bytes of float32 with 11 bits of precision, values up to 65504 and full precision down to
6e-5: tensors that it would change by more than its last bit stay float32. Activations stay float32.
A graph that is half precision throughout is as small, but on processors without half-precision
arithmetic ONNX Runtime widens and narrows around every operator and loses its fusions: MobileNetV2
then ran at 0.74 times its float32 speed, and at 1.0 times in this form. OpenVINO stores its
half-precision models in the same way.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from optim.errors import Refusal, RefusedError
from optim.graph.onnx_file import constants, tidy

WORTHWHILE = 32
"""Shorter tensors stay float32: the Cast would take more bytes than it saves."""
LAST_BIT = 2.0**-11
"""Of a half-precision number, relative to it: what rounding changes at most."""


def convert_float16(
    model: ModelProto, *, keep: frozenset[str] = frozenset(), careful: bool = False
) -> bytes:
    """Store the weights of a float32 model in half precision; the model is left alone.

    Tensors with a value that half precision cannot hold (above 65504), and those that lie so near
    to 0 that it has few bits for them, stay float32.

    Args:
        keep: names of constants that stay float32 too.
        careful: so do tensors of which a single channel lies near to 0, along any axis.

    Raises:
        RefusedError: if there is nothing that could be stored in half precision.
    """
    values = constants(model)
    half = ModelProto()
    half.CopyFrom(model)
    narrow = {
        name for name, value in values.items() if name not in keep and _fits(value, careful=careful)
    }
    if not any(value.dtype == np.float32 and value.size >= WORTHWHILE for value in values.values()):
        raise RefusedError(
            Refusal(
                reason=f"FP16 needs float32 constants of {WORTHWHILE} numbers or more, this "
                "network has none.",
                remedy="Leave the step out: the file would stay as it is.",
            )
        )
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


def _fits(value: np.ndarray, *, careful: bool) -> bool:
    if value.dtype != np.float32 or value.size < WORTHWHILE:
        return False
    if not float(np.abs(value).max()) <= float(np.finfo(np.float16).max):
        return False
    error = np.abs(value - value.astype(np.float16).astype(np.float32))
    if not careful:
        return bool(error.max() <= LAST_BIT * np.abs(value).max())
    others = [tuple(i for i in range(value.ndim) if i != axis) for axis in range(value.ndim)]
    return all(
        bool((error.max(axis=axes) <= LAST_BIT * np.abs(value).max(axis=axes)).all())
        for axes in others
    )
