"""Post-training quantization of an ONNX file: FP16, INT8 or INT4, with every option of the step.

fold -> equalize, smooth -> activation ranges -> round the weights -> correct biases -> write
-> rewrite for integer kernels
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from optim.errors import Refusal, RefusedError
from optim.graph.equivalence import Question, question
from optim.graph.examples import Examples, examples_for
from optim.graph.fuse import fuse
from optim.graph.onnx_file import opset, read_model
from optim.graph.quantization.bias_correction import correct_biases
from optim.graph.quantization.calibrate import Ranges, activation_ranges
from optim.graph.quantization.equalization import equalize, smooth
from optim.graph.quantization.float16 import convert_float16
from optim.graph.quantization.plan import Plan, plan_int8
from optim.graph.quantization.precisions import layer_precisions, refuse_options, rounding_of
from optim.graph.quantization.prepare import with_biases_by_channel
from optim.graph.quantization.promise import (
    check_exact,
    check_kernels,
    half_precision,
    rewritten_or_plain,
)
from optim.graph.quantization.safe_names import (
    with_authors_names,
    with_safe_inputs,
    with_safe_names,
)
from optim.graph.quantization.side_by_side import grid_of_activations
from optim.graph.quantization.stored_weights import WeightStorage, store_weights
from optim.graph.quantization.unshared_initializers import replaced, with_unshared_initializers
from optim.graph.quantization.write_dynamic import write_dynamic
from optim.graph.quantization.write_qdq import least_scales, write_qdq, write_weight_only
from optim.graph.rules.all_rules import rewrite_integers
from optim.recipe import Activations, Precision, Quantize

INT4_OPSET = 21
NO_LAYERS: Mapping[str, Any] = MappingProxyType({})


def quantize(
    model: bytes,
    step: Quantize,
    calibration: np.ndarray | Mapping[str, np.ndarray],
    *,
    layers: Mapping[str, Precision] = NO_LAYERS,
    weight_scales: Mapping[str, np.ndarray] = NO_LAYERS,
) -> bytes:
    """Quantize a float32 file; batch norms and constants are folded first.

    Deterministic: the same file, step and examples give the same bytes.

    Args:
        model: an ONNX file, float32 throughout but for inputs and what only moves.
        step: precision, calibration method, granularity and so on.
        calibration: shape (n, ...), or such an array for each input by name; the first
            ``step.calibration_examples`` are used.
        layers: single layers, by node name, that get another precision than ``step`` says.
        weight_scales: scales that training has settled on, by node name, shape (O,) or (); the
            weights of such a layer lie on that grid already.

    Raises:
        RefusedError: if the network cannot be stored so, with the reason and what would help.
        BrokenArtifactError: if the file cannot be read.
        ValueError: if the calibration examples do not fit the network's input.
    """
    fused = read_model(fuse(model, calibration))
    examples = examples_for(fused, calibration)[: step.calibration_examples]
    fused, names = with_safe_names(fused)
    examples = with_safe_inputs(examples, names)
    fused = with_biases_by_channel(fused)
    refuse_options(step, trained=bool(weight_scales))
    precisions = layer_precisions(fused, step, layers, trained=weight_scales.keys())
    asked = question(fused, examples, optimize=True)
    try:
        if step.precision is Precision.FP16:
            keep = _named(fused, precisions, Precision.FP32)
            content = half_precision(
                asked, lambda careful: convert_float16(fused, keep=keep, careful=careful)
            )
        else:
            content = _quantize_weights(fused, step, examples, precisions, weight_scales, asked)
            check_kernels(asked, content, step.precision.upper())
    except ArithmeticError as error:
        raise _refused(str(error)) from error
    return with_authors_names(content, names)


def _quantize_weights(
    fused: ModelProto,
    step: Quantize,
    examples: Examples,
    precisions: Mapping[str, Precision],
    weight_scales: Mapping[str, np.ndarray],
    asked: Question | None,
) -> bytes:
    if Precision.INT4 in precisions.values():
        fused = _with_int4(fused, asked)
    model = with_unshared_initializers(fused, biases=step.bias_correction)
    model = _with_moved_scales(model, step, examples, asked)
    floats = frozenset(name for name, wish in precisions.items() if wish is Precision.FP32)
    plan, ranges = _activations(model, step, examples, floats=floats)
    signed = step.activations is Activations.INT8
    least = least_scales(model, plan, ranges, signed=signed) if ranges else {}
    choices = {
        node.output[0]: WeightStorage(
            precision=precisions[node.output[0]],
            rounding=rounding_of(step, precisions[node.output[0]]),
            per_channel=step.per_channel,
            scale=weight_scales.get(node.name),
            least_scale=least.get(node.output[0]),
        )
        for node in model.graph.node
        if precisions.get(node.output[0], Precision.FP32) is not Precision.FP32
    }
    weights = store_weights(model, choices, examples)
    learned = {f"{name}.w" for name, choice in choices.items() if choice.is_learned}
    if learned or step.bias_correction:
        on_grid = grid_of_activations(plan, ranges, step.activations)
        weights, biases = correct_biases(
            model, plan, on_grid, weights, examples, learned=learned, biases=step.bias_correction
        )
        model = replaced(model, biases)
    match step.activations:
        case Activations.UINT8:
            plain = write_qdq(model, plan, ranges, weights, signed=False)
            return rewritten_or_plain(asked, plain, rewrite_integers(plain))
        case Activations.INT8:
            return write_qdq(model, plan, ranges, weights, signed=True)
        case Activations.DYNAMIC:
            return write_dynamic(model, weights)
        case Activations.FLOAT:
            return write_weight_only(model, weights)
        case _:
            raise AssertionError("a Quantize step fills in its activations")


def _with_moved_scales(
    model: ModelProto, step: Quantize, examples: Examples, asked: Question | None
) -> ModelProto:
    """Return the same function with ranges that are easier to quantize, if the step asks for it."""
    if step.equalize:
        equalized = equalize(model)
        if equalized is None:
            raise _refused(
                "equalization needs two layers with nothing but ReLU or pooling between them; this "
                "network has none (ReLU6 and additions do not let scales through).",
                "Leave equalize out; a scale per channel does as much for the weights.",
            )
        check_exact(asked, equalized, "equalization", "Leave equalize out.")
        model = equalized
    if step.smooth:
        smoothed = smooth(model, examples, step.smooth)
        if smoothed is None:
            raise _refused(
                "smoothing needs matrix products with constant weights, this network has none.",
                "Leave smooth out.",
            )
        check_exact(asked, smoothed, "smoothing", "Leave smooth out.")
        model = smoothed
    return model


def _activations(
    model: ModelProto, step: Quantize, examples: Examples, *, floats: frozenset[str]
) -> tuple[Plan, Ranges]:
    """Return what becomes INT8, and its ranges; float and dynamic activations have none."""
    plan = plan_int8(model, floats=floats, signed=step.activations is not Activations.UINT8)
    if step.activations in (Activations.UINT8, Activations.INT8):
        return plan, activation_ranges(model, plan.own_grid, examples, step.calibration)
    # No clamp is absorbed and no tensor has a grid: the layers alone change.
    return replace(plan, nodes=tuple(model.graph.node)), {}


def _named(
    model: ModelProto, precisions: Mapping[str, Precision], precision: Precision
) -> frozenset[str]:
    """Return the weights of the layers that have a precision."""
    return frozenset(
        node.input[1] for node in model.graph.node if precisions.get(node.output[0]) is precision
    )


def _with_int4(model: ModelProto, asked: Question | None) -> ModelProto:
    """Return the same model in an opset that knows INT4."""
    if opset(model) >= INT4_OPSET:
        return model
    try:
        raised: ModelProto = onnx.version_converter.convert_version(model, INT4_OPSET)
    except RuntimeError as error:
        raise _refused(
            f"INT4 needs ONNX opset {INT4_OPSET}, and this file cannot be raised to it: "
            f"{str(error).splitlines()[0]:.200}",
            "Export the network again, or use INT8.",
        ) from error
    remedy = "Export the network again, or use INT8."
    check_exact(asked, raised, f"raising the file to opset {INT4_OPSET}", remedy)
    return raised


def _refused(reason: str, remedy: str = "") -> RefusedError:
    return RefusedError(Refusal(reason=reason, remedy=remedy))
