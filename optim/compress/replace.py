"""Other activation functions for a network whose own have no integer kernel.

ONNX Runtime computes ReLU and ReLU6 inside the integer convolution before them. HardSwish, SiLU,
GELU and their like stay in float, with a conversion on either side. The gates of squeeze-excite
(Sigmoid, Hardsigmoid) see one number per channel and stay: they cost next to nothing.

The new function is another one, so the network must be trained on afterwards (``fine_tune``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, assert_never

import torch.nn.functional as F
from timm.layers import activations, activations_me
from torch import nn

from optim.errors import Refusal, RefusedError
from optim.recipe import Activation, ReplaceActivation

SMOOTH = (
    nn.Hardswish, nn.SiLU, nn.Mish, nn.GELU, nn.ELU, nn.CELU, nn.SELU,
    activations.HardSwish, activations.Swish, activations.Mish, activations.HardMish,
    activations.GELU, activations.GELUTanh, activations.QuickGELU,
    activations_me.HardSwishMe, activations_me.SwishMe, activations_me.MishMe,
    activations_me.HardMishMe,
)  # fmt: skip
"""Classes that are replaced, wherever they stand."""
SMOOTH_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    F.hardswish, F.silu, F.mish, F.gelu, F.elu, F.celu, F.selu,
    activations.hard_swish, activations.swish, activations.mish, activations.hard_mish,
    activations.gelu, activations.gelu_tanh, activations.quick_gelu,
    activations_me.hard_swish_me, activations_me.swish_me, activations_me.mish_me,
    activations_me.hard_mish_me,
)  # fmt: skip
"""The same as functions; some modules keep one in an attribute and call it."""


def replace_activations(network: nn.Module, step: ReplaceActivation) -> nn.Module:
    """Return a copy with ReLU or ReLU6 for every HardSwish, SiLU, GELU, ELU and their like.

    Everything keeps its name and its weights. A function that a ``forward`` calls by name cannot be
    seen here and stays.

    Args:
        network: any device, any mode; it is left alone.

    Raises:
        RefusedError: if there is nothing to replace.
    """
    network = copy.deepcopy(network)
    places = list(_places(network))
    if not places:
        raise RefusedError(
            Refusal(
                reason="This network has no HardSwish, SiLU, GELU or ELU to replace.",
                remedy="Leave the step out: its activations have integer kernels already, or are "
                "no modules of their own.",
            )
        )
    for parent, name, was_module in places:
        setattr(
            parent, name, _module(step.activation) if was_module else _function(step.activation)
        )
    return network


def _places(network: nn.Module) -> Iterator[tuple[nn.Module, str, bool]]:
    """Yield the parent of each smooth activation, its name there, and whether it is a module."""
    for parent in network.modules():
        for name, child in parent._modules.items():  # named_children skips a child's second name
            if isinstance(child, SMOOTH):
                yield parent, name, True
        for name, value in vars(parent).items():
            if any(value is function for function in SMOOTH_FUNCTIONS):
                yield parent, name, False


def _module(activation: Activation) -> nn.Module:
    match activation:
        case Activation.RELU:
            return nn.ReLU()
        case Activation.RELU6:
            return nn.ReLU6()
        case _:
            assert_never(activation)


def _function(activation: Activation) -> Callable[..., Any]:
    match activation:
        case Activation.RELU:
            return F.relu
        case Activation.RELU6:
            return F.relu6
        case _:
            assert_never(activation)
