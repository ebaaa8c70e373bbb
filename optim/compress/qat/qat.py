"""Quantization-aware training: the network learns with the quantizers that its file will have.

    fold batch norms -> fake-quantize weights and activations -> train -> keep weights and scales
Batch norms are folded first (``fold.py``), because the file has none. Weights lie on the grid of
the file's quantizer (``fake_quantize.py``), the first layer on eight bits as in every INT4 file;
activations are rounded where the file rounds them (``activation_grids.py``), in ranges read from
the calibration examples and then left alone. What comes back is a plain float network whose weights
lie on the grid, with the scales in buffers named ``weight_scale``: the quantizer of files writes
round(w / scale), which is what was trained, to the bit.

After Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from optim.compress.qat.activation_quantizers import observe, with_activation_quantizers
from optim.compress.qat.fake_quantize import LearnedStepSize, MinMaxScale, WeightQuantizer
from optim.compress.qat.fold import Layer, fold_batchnorm, layers_in_order, trace
from optim.compress.training.answers import teacher_answers
from optim.compress.training.fine_tune import fine_tuning_schedule
from optim.compress.training.loop import Follow, train
from optim.recipe import QuantizeAware
from optim.recipe.edit import usual_precisions
from optim.task.task import Task

SCALE = "weight_scale"


def train_quantized(
    task: Task, network: nn.Module, step: QuantizeAware, *, seed: int, follow: Follow
) -> nn.Module:
    """Train with the quantizers of the file, from the original network's answers if asked.

    Args:
        network: float, any device; it is left alone.
        step: 0 epochs round the weights and train nothing.

    Returns:
        A folded float network on the CPU, in evaluation mode, its weights on the grid and its
        scales in buffers.

    Raises:
        RefusedError: if the path through the network depends on its input.
    """
    folded = fold_batchnorm(network, input_shape=task.input_shape).cpu()
    rounded = with_rounded_weights(folded, step)
    observe(rounded, task.split("calibration").inputs)
    if step.epochs > 0:
        rounded = train(
            rounded,
            task.split("train"),
            task.split("validation"),
            kind=task.dataset.kind,
            schedule=fine_tuning_schedule(task, step),
            seed=seed,
            teacher_logits=teacher_answers(task, follow) if step.distill else None,
            follow=follow,
        ).network
    return _settle(folded, rounded, step, task.input_shape)


def with_rounded_weights(folded: nn.Module, step: QuantizeAware) -> nn.Module:
    """Return a copy of a folded network that fake-quantizes; its ranges are still empty."""
    rounded = with_activation_quantizers(folded)
    names = layers_in_order(folded, trace(folded))
    for layer, precision in usual_precisions(step.precision, names).items():
        module = rounded.get_submodule(layer)
        quantizer = WeightQuantizer.of_bits(precision.bits)
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        way = (
            LearnedStepSize(quantizer, weight, per_channel=step.per_channel)
            if step.learned_scales
            else MinMaxScale(quantizer, per_channel=step.per_channel)
        )
        parametrize.register_parametrization(module, "weight", way, unsafe=True)
    return rounded


def with_scales(
    network: nn.Module, step: QuantizeAware, *, input_shape: tuple[int, ...] | None = None
) -> nn.Module:
    """Return a copy of the shape that a trained one has: folded, with a scale on each layer.

    ``fit_to_state`` can then load a trained network's weights into it.

    Args:
        network: as the architecture builds it; it is left alone.
        step: per channel or per tensor.
        input_shape: of one example, as for ``fold_batchnorm``.
    """
    folded = fold_batchnorm(network, input_shape=input_shape)
    for layer in layers_in_order(folded, trace(folded)).values():
        shape = (layer.weight.shape[0],) if step.per_channel else ()
        layer.register_buffer(SCALE, torch.ones(shape))
    return folded


def scales_of(network: nn.Module, step: QuantizeAware) -> dict[str, np.ndarray]:
    """Return the scales of a trained network by layer, float32, shape (O,) or ()."""
    buffers = {
        name: getattr(module, SCALE)
        for name, module in network.named_modules()
        if isinstance(module, Layer)
    }
    return {name: scale.numpy().copy() for name, scale in buffers.items()}


@torch.no_grad()
def _settle(
    folded: nn.Module, rounded: nn.Module, step: QuantizeAware, input_shape: tuple[int, ...]
) -> nn.Module:
    """Write the trained numbers into the plain network: quantized weights, scales in buffers."""
    network = with_scales(folded, step, input_shape=input_shape)
    for name, layer in layers_in_order(network, trace(network)).items():
        trained = rounded.get_submodule(name)
        setattr(layer, SCALE, _scale_now(trained))
        parametrize.remove_parametrizations(trained, "weight", leave_parametrized=True)
    kept = network.state_dict()
    found = rounded.state_dict()
    network.load_state_dict({name: found.get(name, own) for name, own in kept.items()})
    return network.to(memory_format=torch.contiguous_format).eval()


def _scale_now(layer: nn.Module) -> torch.Tensor:
    """Return the scale of a layer that rounds its weights, (O,) or ()."""
    ways = layer.get_submodule("parametrizations.weight")
    assert isinstance(ways, parametrize.ParametrizationList)
    way, weight = ways[0], ways.original
    assert isinstance(way, MinMaxScale | LearnedStepSize)
    assert isinstance(weight, torch.Tensor)
    return way.scale(weight).clone()
