"""Batch norms move into the convolutions and linear layers before them, in torch.

    BN(W x + b) = (f W) x + (b - mean) f + beta,     f = gamma / sqrt(variance + eps)

Training on a grid needs this first: the file holds folded weights, and a grid laid over weights
that are still to be multiplied by f is another grid (Jacob et al. 2018, section 3.2). Who reads
whose output is seen in a symbolic trace of the network.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import fx, nn

from optim.errors import Refusal, RefusedError

Layer = nn.Conv1d | nn.Conv2d | nn.Linear
BatchNorm = nn.modules.batchnorm._BatchNorm


class _Tracer(fx.Tracer):
    """Walks down to modules without children; a batch norm that activates as well is one too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return next(m.children(), None) is None or isinstance(m, BatchNorm)


def trace(network: nn.Module) -> fx.Graph:
    """The calls of a network's forward pass, in order.

    Args:
        network: in evaluation mode; it is left alone.

    Raises:
        RefusedError: if the path through the network depends on the numbers that flow.
    """
    try:
        return _Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError) as error:
        raise RefusedError(
            Refusal(
                reason="Quantization-aware training needs a network whose path does not depend on "
                f"its input; this one cannot be traced: {str(error).splitlines()[0]:.200}",
                remedy="Quantize it after training instead.",
            )
        ) from error


def layers_in_order(network: nn.Module, graph: fx.Graph) -> dict[str, Layer]:
    """Convolutions and linear layers by name, in the order in which they run."""
    modules = dict(network.named_modules())
    called = (modules[str(node.target)] for node in graph.nodes if node.op == "call_module")
    names = (str(node.target) for node in graph.nodes if node.op == "call_module")
    return {name: m for name, m in zip(names, called, strict=True) if isinstance(m, Layer)}


def fold_batchnorm(network: nn.Module) -> nn.Module:
    """A copy without the batch norms that follow a layer directly; the answers stay the same.

    A folded batch norm becomes its own activation if it has one (timm's ``BatchNormAct2d``), else
    ``nn.Identity``; the layer before it has a bias then. Everything keeps its name.

    Args:
        network: any device; it is left alone.

    Raises:
        RefusedError: if the network cannot be traced.
    """
    network = copy.deepcopy(network).eval()
    graph = trace(network)
    for layer_name, norm_name in list(_pairs(network, graph)):
        layer, norm = network.get_submodule(layer_name), network.get_submodule(norm_name)
        assert isinstance(layer, Layer)
        assert isinstance(norm, BatchNorm)
        _fold(layer, norm)
        activation = getattr(norm, "act", None)
        parent, _, name = norm_name.rpartition(".")
        after = activation if isinstance(activation, nn.Module) else nn.Identity()
        setattr(network.get_submodule(parent), name, after)
    return network.eval()


def _pairs(network: nn.Module, graph: fx.Graph) -> Iterator[tuple[str, str]]:
    """Names of each layer and of the batch norm that alone reads it, where both run once."""
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    for node in graph.nodes:
        if node.op != "call_module" or len(node.users) != 1:
            continue
        reader = next(iter(node.users))
        if reader.op != "call_module":
            continue
        names = str(node.target), str(reader.target)
        layer, norm = map(network.get_submodule, names)
        if (
            isinstance(layer, Layer)
            and isinstance(norm, BatchNorm)
            and norm.running_mean is not None
            and all(calls.count(name) == 1 for name in names)
        ):
            yield names


@torch.no_grad()
def _fold(layer: Layer, norm: BatchNorm) -> None:
    """Multiply and shift the layer in place; computed in float64, so that it costs no digits."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    ones = torch.ones_like(mean)
    gamma = ones if norm.weight is None else norm.weight
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias
    factor = gamma.double() / torch.sqrt(variance.double() + norm.eps)
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias
    shape = (-1,) + (1,) * (layer.weight.ndim - 1)
    weight = layer.weight.double() * factor.reshape(shape)
    layer.weight = nn.Parameter(weight.float())
    shifted = (bias.double() - mean.double()) * factor + beta.double()
    layer.bias = nn.Parameter(shifted.float())
