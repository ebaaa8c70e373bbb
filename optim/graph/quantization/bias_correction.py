"""Layer after layer: round the weights, then take the mean error of each channel out of the bias.

Each layer sees the inputs that the layers before it, settled already, really give it; so it can
make up for a part of their errors.

Bias correction after Nagel et al. 2019, "Data-free quantization through weight equalization and
bias correction", section 4.2, in its empirical form: the mean of a channel over the calibration
examples, before the activation function, becomes what it is in the float network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from onnx import ModelProto, NodeProto

from optim.graph.examples import Examples
from optim.graph.onnx_file import constants
from optim.graph.quantization.adaround import learn_rounding
from optim.graph.quantization.gptq import round_compensated
from optim.graph.quantization.layer_inputs import (
    MIN_PATCHES,
    PATCHES_PER_INPUT,
    grouped,
    products,
    rows_and_outputs,
    ungrouped,
)
from optim.graph.quantization.plan import Plan
from optim.graph.quantization.side_by_side import OnGrid, PairedActivations, meetings, run_node
from optim.graph.quantization.stored_weights import LIMITS, StoredWeights, by_row
from optim.graph.quantization.unshared_initializers import bias_name, weight_name

EXAMPLES = 256


def correct_biases(
    model: ModelProto,
    plan: Plan,
    on_grid: OnGrid,
    weights: Mapping[str, StoredWeights],
    examples: Examples,
    *,
    learned: Collection[str],
    biases: bool,
) -> tuple[dict[str, StoredWeights], dict[str, np.ndarray]]:
    """Return weights and biases that fit what the quantized network really computes.

    Args:
        model: float32, each layer with constants of its own; left alone.
        plan: made from this model.
        on_grid: what quantization makes of a tensor.
        weights: rounded by themselves, by the name of the constant.
        examples: float32, shape (n, ...); at most 256 are used.
        learned: the constants whose rounding is learnt.
        biases: correct biases.

    Returns:
        All weights, and those biases that changed, by the name of the constant.
    """
    values = constants(model)
    found = dict(weights)
    settled = {name: stored.dequantized() for name, stored in weights.items()}
    changed: dict[str, np.ndarray] = {}
    layers = [node.output[0] for node in model.graph.node if weight_name(node) in weights]
    rng = np.random.default_rng(0)
    for meeting in meetings(model, plan, on_grid, settled, layers, examples[:EXAMPLES]):
        name, bias = weight_name(meeting.node), bias_name(meeting.node)
        if name in learned:
            found[name] = _learn(meeting, values, found[name], rng)
            settled[name] = found[name].dequantized()
        if biases and bias in values:
            changed[bias] = values[bias] + _mean_error(model, meeting, settled[name], values)
            settled[bias] = changed[bias]
    return found, changed


def _learn(
    meeting: PairedActivations,
    values: Mapping[str, np.ndarray],
    stored: StoredWeights,
    rng: np.random.Generator,
) -> StoredWeights:
    node = meeting.node
    weight = values[weight_name(node)]
    rows = grouped(weight, node)
    wanted = max(MIN_PATCHES, PATCHES_PER_INPUT * rows.shape[2])
    inputs, targets = rows_and_outputs(meeting.reads, meeting.target, node, weight, wanted, rng)
    scale = by_row(stored.scale, rows)
    low, high = LIMITS[stored.precision]
    moments = products(inputs) / len(inputs)
    compensated = round_compensated(rows, moments, scale, low=low, high=high)
    inside = len(node.input) > 2  # the bias of a MatMul is added by the operator behind it
    levels = learn_rounding(
        rows,
        inputs,
        targets,
        scale,
        low=low,
        high=high,
        bias=values[bias_name(node)].reshape(rows.shape[:2]) if inside else None,
        clamp=meeting.clamp,
        start_from=compensated,
    )
    return replace(stored, levels=ungrouped(levels, node, weight.shape))


def _mean_error(
    model: ModelProto,
    meeting: PairedActivations,
    weight: np.ndarray,
    values: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Return the mean error of the layer's channels, float32, shape (O,)."""
    node = NodeProto()
    node.CopyFrom(meeting.node)
    feeds = {node.input[0]: meeting.reads, node.input[1]: weight}
    feeds |= {name: values[name] for name in node.input[2:] if name}
    (given,) = run_node(model, node, feeds)
    axis = 1 if node.op_type == "Conv" else given.ndim - 1
    others = tuple(i for i in range(given.ndim) if i != axis)
    difference = meeting.target.mean(axis=others, dtype=np.float64) - given.mean(
        axis=others, dtype=np.float64
    )
    return np.asarray(difference, np.float32)
