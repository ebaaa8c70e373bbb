"""Precisions of layers, and the wishes that cannot be granted."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

import numpy as np
from onnx import ModelProto

from optim.errors import Refusal, RefusedError
from optim.graph.onnx_file import LAYERS, constants, opset
from optim.graph.quantization.int8 import LEAST
from optim.graph.quantization.layers import is_quantizable_layer
from optim.recipe import Activations, Precision, Quantize, Rounding
from optim.recipe.edit import usual_precisions

OLDEST_OPSET = 13
NAMES_SHOWN = 4


def refuse_options(step: Quantize, *, trained: bool) -> None:
    """Refuse what does not fit together, whatever the network.

    Args:
        trained: the weights lie on a grid that training has settled on.

    Raises:
        RefusedError: with the reason and what would help.
    """
    usual = Quantize(precision=step.precision)
    if step.precision is Precision.FP16:
        for field in ("activations", "rounding", "bias_correction", "equalize", "smooth"):
            if getattr(step, field) != getattr(usual, field):
                raise _refused(
                    f"FP16 has no grid, so {field} = {str(getattr(step, field)).lower()} means "
                    "nothing to it: each weight is stored as the nearest half-precision number.",
                    f"Leave {field} out, or choose INT8 or INT4.",
                )
    if step.smooth and step.activations is Activations.FLOAT:
        raise _refused(
            "smoothing makes activations easier to quantize, and here they stay float.",
            "Choose uint8, int8 or dynamic activations, or leave smooth out.",
        )
    for field in ("equalize", "smooth"):
        if trained and getattr(step, field):
            raise _refused(
                f"{field} moves weights off the grid that quantization-aware training gave them.",
                f"Leave {field} out: training has done its work already.",
            )
    if trained and step.precision is Precision.FP16:
        raise _refused(
            "the network was trained for integers, and FP16 has none.",
            "Quantize to the number of bits that it was trained for.",
        )


def layer_precisions(
    model: ModelProto,
    step: Quantize,
    layers: Mapping[str, Precision],
    *,
    trained: Collection[str],
) -> dict[str, Precision]:
    """Return the precision of every layer that can have one.

    With INT4 the first layer keeps eight bits, unless it is named in ``layers``.

    Args:
        model: fused.
        layers: precision by node name, where it is not the step's.
        trained: names of layers with trained scales; they must be there.

    Returns:
        By the layer's output name, in the order of the graph.

    Raises:
        RefusedError: if a name is unknown, or nothing is left to quantize.
    """
    values = constants(model)
    _refuse_unquantizable(model, step.precision)
    nodes = [node for node in model.graph.node if is_quantizable_layer(node, values)]
    _check_names({node.name for node in nodes}, (*layers, *trained))
    if step.precision is Precision.FP16:
        for name, precision in layers.items():
            if precision is not Precision.FP32:
                raise _refused(
                    f"the layer {name!r:.80} is to be {precision.upper()}, and all others FP16: "
                    "files that mix the two are not made here.",
                    "Choose INT8 or INT4 for all and name the layers that stay FP32.",
                )
    usual = usual_precisions(step.precision, [node.output[0] for node in nodes])
    found = {node.output[0]: layers.get(node.name, usual[node.output[0]]) for node in nodes}
    if nodes and all(precision is Precision.FP32 for precision in found.values()):
        raise _refused(
            "every layer is to stay in FP32, so nothing is left to quantize.",
            "Leave one layer out of the list, or leave the step out.",
        )
    return found


def rounding_of(step: Quantize, precision: Precision) -> Rounding:
    """Return the rounding of a layer's weights: the step's, else that of its own precision."""
    if step.rounding is None or step.rounding is Quantize(precision=step.precision).rounding:
        usual = Quantize(precision=precision).rounding
        assert usual is not None  # a Quantize step fills it in
        return usual
    return step.rounding


def _check_names(known: set[str], named: Collection[str]) -> None:
    for name in named:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=NAMES_SHOWN, cutoff=0.3)
            some = near or sorted(known)[:NAMES_SHOWN]
            raise _refused(
                f"the network has no layer {name!r:.80} with constant weights.",
                f"It has {len(known)} layers, among them {', '.join(map(repr, some))}.",
            )


def _refuse_unquantizable(model: ModelProto, precision: Precision) -> None:
    values = constants(model)
    _refuse_broken_constants(model, values, whole=precision is not Precision.FP16)
    if 0 < opset(model) < OLDEST_OPSET:
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


def _refuse_broken_constants(
    model: ModelProto, values: dict[str, np.ndarray], *, whole: bool
) -> None:
    """Refuse NaN anywhere, infinite weights and, for integers, those that no grid tells from 0."""
    for node in model.graph.node:
        for name in filter(values.__contains__, node.input):
            value = values[name]
            if value.dtype.kind != "f" or value.size == 0:
                continue
            broken = np.isnan(value) if node.op_type not in LAYERS else ~np.isfinite(value)
            if broken.any():
                raise _refused(
                    "every weight must be a finite number; "
                    f"{node.name or node.op_type!r:.80} has {int(broken.sum())} that are not.",
                    "Train or export the network again.",
                )
            if not whole or name != node.input[1] or not is_quantizable_layer(node, values):
                continue
            if 0 < np.abs(value).max() < LEAST:
                raise _refused(
                    f"the weights of a layer must reach {LEAST:.0e} at least to be told from 0; "
                    f"{node.name or node.op_type!r:.80} ends at {np.abs(value).max():.1e}.",
                    "Scale its weights.",
                )


def _refused(reason: str, remedy: str = "") -> RefusedError:
    return RefusedError(Refusal(reason=reason, remedy=remedy))
