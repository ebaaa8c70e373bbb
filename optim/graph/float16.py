"""Half precision: every weight and activation as float16, input and output as float32.

Half the bytes of float32 with 11 bits of precision and values up to 65504. Where a processor has no
half-precision arithmetic the engine widens the numbers at load and computes in float32: FP16 is
then a size, not a speed.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from optim.graph.calibrate import activation_ranges
from optim.graph.onnx_file import constants, float_tensor_shapes, tidy
from optim.recipe import Calibration

LARGEST = float(np.finfo(np.float16).max)


def convert_float16(model: ModelProto, calibration: np.ndarray) -> bytes:
    """Store a fused float32 model in half precision; the model is left alone.

    Args:
        calibration: float32, shape (n, ...), examples on which no activation may overflow.

    Raises:
        ArithmeticError: if a weight, or an activation on the examples, does not fit float16.
    """
    _check_that_it_fits(model, calibration)
    half = ModelProto()
    half.CopyFrom(model)
    for tensor in half.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    inside: dict[str, str] = {}
    widened, narrowed = [], []
    for value in half.graph.input:
        inside[value.name] = f"{value.name}.half"
        narrowed.append(_cast(value.name, inside[value.name], TensorProto.FLOAT16))
    for value in half.graph.output:
        inside[value.name] = f"{value.name}.half"
        widened.append(_cast(inside[value.name], value.name, TensorProto.FLOAT))
    body = list(half.graph.node)
    for node in body:
        node.input[:] = [inside.get(name, name) for name in node.input]
        node.output[:] = [inside.get(name, name) for name in node.output]
        if node.op_type == "Cast":
            for item in node.attribute:
                item.i = TensorProto.FLOAT16 if item.i == TensorProto.FLOAT else item.i
    nodes = [NodeProto.FromString(n.SerializeToString()) for n in (*narrowed, *body, *widened)]
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    del half.graph.value_info[:]
    return tidy(half)


def _cast(source: str, target: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=to)


def _check_that_it_fits(model: ModelProto, calibration: np.ndarray) -> None:
    weights = [v for v in constants(model).values() if v.dtype == np.float32 and v.size > 1]
    largest = max((float(np.abs(w).max()) for w in weights), default=0.0)
    tensors = list(float_tensor_shapes(model))
    ranges = activation_ranges(model, tensors, calibration, Calibration.MINMAX)
    largest = max(largest, *(max(-low, high) for low, high in ranges.values()))
    if largest > LARGEST:
        raise ArithmeticError(
            f"every number must be at most {LARGEST:.0f} in half precision; this network reaches "
            f"{largest:.3g}. Use INT8 or FP32."
        )
