"""Post-training quantization of an ONNX file: FP16, INT8 or INT4."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, assert_never

import numpy as np
import onnx
from onnx import ModelProto

from optim.errors import Refusal, RefusedError
from optim.graph.float16 import convert_float16
from optim.graph.fuse import fuse
from optim.graph.int4 import quantize_int4
from optim.graph.int8 import is_quantizable_layer, quantize_int8
from optim.graph.onnx_file import constants, opset, read_model
from optim.recipe import Precision, Quantize

OLDEST_OPSET, INT4_OPSET = 13, 21
NO_LAYERS: Mapping[str, Any] = MappingProxyType({})


def quantize(
    model: bytes,
    step: Quantize,
    calibration: np.ndarray,
    *,
    layers: Mapping[str, Precision] = NO_LAYERS,
    weight_scales: Mapping[str, np.ndarray] = NO_LAYERS,
) -> bytes:
    """Quantize a float32 file; batch norms and constants are folded first.

    Deterministic: the same file, step and examples give the same bytes.

    Args:
        model: an ONNX file with one input, float32 throughout.
        step: precision, calibration method, granularity.
        calibration: float32, shape (n, ...); the first ``step.calibration_examples`` are used.
        layers: single layers, by node name, that get another precision than ``step`` says.
        weight_scales: scales that training has settled on, by node name, shape (O,) or (); the
            weights of such a layer lie on that grid already.

    Raises:
        RefusedError: if the network cannot be stored so, with the reason and what would help.
        BrokenArtifactError: if the file cannot be read.
        ValueError: if the calibration examples do not fit the network's input.
    """
    fused = read_model(fuse(model))
    _check_calibration(fused, calibration)
    examples = np.ascontiguousarray(calibration[: step.calibration_examples], np.float32)
    _refuse_unquantizable(fused, step.precision)
    try:
        match step.precision:
            case Precision.FP16:
                return convert_float16(fused)
            case Precision.INT8:
                return quantize_int8(
                    fused, examples, method=step.calibration, per_channel=step.per_channel
                )
            case Precision.INT4:
                return quantize_int4(_with_int4(fused), examples, per_channel=step.per_channel)
            case Precision.FP32:
                raise AssertionError("a Quantize step is never FP32; it checks that itself")
            case _:
                assert_never(step.precision)
    except ArithmeticError as error:
        raise _refused(str(error)) from error


def _refuse_unquantizable(model: ModelProto, precision: Precision) -> None:
    values = constants(model)
    if opset(model) < OLDEST_OPSET:
        raise _refused(
            f"{precision.upper()} needs ONNX opset {OLDEST_OPSET} or later, "
            f"this file has {opset(model)}.",
            "Export the network again.",
        )
    if any("Quantize" in node.op_type for node in model.graph.node):
        raise _refused(
            f"{precision.upper()} needs a float32 network, this one is quantized already.",
            "Start from the original.",
        )
    if precision is not Precision.FP16 and not any(
        is_quantizable_layer(node, values) for node in model.graph.node
    ):
        raise _refused(
            f"{precision.upper()} needs convolutions or matrix products with constant float32 "
            "weights, this network has none."
        )


def _with_int4(model: ModelProto) -> ModelProto:
    """The same model in an opset that knows INT4."""
    if opset(model) >= INT4_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, INT4_OPSET)
    except RuntimeError as error:
        raise _refused(
            f"INT4 needs ONNX opset {INT4_OPSET}, and this file cannot be raised to it: "
            f"{str(error).splitlines()[0]:.200}",
            "Export the network again, or use INT8.",
        ) from error


def _check_calibration(model: ModelProto, calibration: np.ndarray) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    expected = tuple(dim.dim_value for dim in dims)[1:]
    if len(calibration) == 0 or calibration.shape[1:] != expected:
        raise ValueError(
            f"calibration must hold examples of shape {expected}, one at least; "
            f"got an array of shape {calibration.shape}."
        )


def _refused(reason: str, remedy: str = "") -> RefusedError:
    return RefusedError(Refusal(reason=reason, remedy=remedy))
