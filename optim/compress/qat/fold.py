"""Batch norms move into the convolutions and linear layers before them, in torch.

    BN(W x + b) = (f W) x + (b - mean) f + beta,     f = gamma / sqrt(variance + eps)

Quantization-aware training needs this first: the file holds folded weights, and weights that are
still to be multiplied by f round differently (Jacob et al. 2018, section 3.2). A symbolic
trace of the network shows who reads whose output. A pair is folded only if the layer owns its
weights, nobody else reads them, nothing stands between, and the norm counts the channels that the
layer writes; each fold is tried on noise before it is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from optim.errors import Refusal, RefusedError

Layer = nn.Conv1d | nn.Conv2d | nn.Linear
BatchNorm = nn.modules.batchnorm._BatchNorm
AGREE = 1e-3
"""Of the largest answer: how far a folded layer may be from the pair, in float32."""


class _Tracer(fx.Tracer):
    """Walks down to modules without children; a batch norm that activates as well is one too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return next(m.children(), None) is None or isinstance(m, BatchNorm)


def trace(network: nn.Module) -> fx.Graph:
    """Return the calls of a network's forward pass, in order.

    Args:
        network: in evaluation mode; it is left alone.

    Raises:
        RefusedError: if the path through the network depends on the numbers that flow.
    """
    try:
        return _Tracer().trace(network)
    except Exception as error:  # whatever the network's own code raises, it cannot be traced
        told = " ".join(str(error).split()) or type(error).__name__
        raise RefusedError(
            Refusal(
                reason="Quantization-aware training needs a network whose path does not depend on "
                f"its input; this one cannot be traced: {told:.200}",
                remedy="Quantize it after training instead.",
            )
        ) from error


def layers_in_order(network: nn.Module, graph: fx.Graph) -> dict[str, Layer]:
    """Return convolutions and linear layers by name, in the order in which they run."""
    modules = dict(network.named_modules())
    called = (modules[str(node.target)] for node in graph.nodes if node.op == "call_module")
    names = (str(node.target) for node in graph.nodes if node.op == "call_module")
    return {name: m for name, m in zip(names, called, strict=True) if isinstance(m, Layer)}


def fold_batchnorm(network: nn.Module, *, input_shape: tuple[int, ...] | None = None) -> nn.Module:
    """Copy a network without the batch norms that follow a layer directly; it answers the same.

    A folded batch norm becomes its own activation if it has one (timm's ``BatchNormAct2d``), else
    ``nn.Identity``; the layer before it has a bias then. Everything keeps its name. A pair stays as
    it is where folding would change the answers, or where something else makes, reads or watches
    the layer's weights or outputs.

    Args:
        network: any device; it is left alone.
        input_shape: of one example. A norm behind ``nn.Linear`` counts another axis than the layer
            unless there are two, which only a run of the network shows; without a shape it stays.

    Raises:
        RefusedError: if the network cannot be traced.
    """
    network = copy.deepcopy(network).eval()
    graph = trace(network)
    flat = _with_flat_outputs(network, input_shape)
    for layer_name, norm_name in list(_pairs(network, graph)):
        layer, norm = network.get_submodule(layer_name), network.get_submodule(norm_name)
        assert isinstance(layer, Layer)
        assert isinstance(norm, BatchNorm)
        if isinstance(layer, nn.Linear) and layer_name not in flat:
            continue
        folded = _folded(layer, norm)
        activation = getattr(norm, "act", None)
        after = activation if isinstance(activation, nn.Module) else nn.Identity()
        if _answers_alike(nn.Sequential(layer, norm), nn.Sequential(folded, after)):
            layer.weight, layer.bias = folded.weight, folded.bias
            _replace(network, norm, after)
    trace(network)  # fails if code holds a norm where no module is registered, and would run it on
    return network.eval()


def _pairs(network: nn.Module, graph: fx.Graph) -> Iterator[tuple[str, str]]:
    """Yield names of each layer and of the batch norm that alone reads it, where both run once."""
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    owners = [id(p) for module in network.modules() for p in module._parameters.values()]
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
            and norm.num_features == layer.weight.shape[0]
            and all(calls.count(name) == 1 and name not in read for name in names)
            and not any(map(_is_watched, (layer, norm)))
            and isinstance(layer._parameters.get("weight"), nn.Parameter)  # else a hook makes it
            and all(owners.count(id(p)) == 1 for p in layer.parameters())
        ):
            yield names


def _is_watched(module: nn.Module) -> bool:
    """True if hooks, or a method of the instance's own, come with the module's calls."""
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    return any(hooks) or "forward" in vars(module)


def _with_flat_outputs(network: nn.Module, input_shape: tuple[int, ...] | None) -> set[str]:
    """Return the names of the linear layers that write one vector for each example."""
    if input_shape is None:
        return set()
    axes: dict[str, set[int]] = {}

    def watch(name: str, y: Any) -> None:
        axes.setdefault(name, set()).add(y.dim())

    hooks = [
        module.register_forward_hook(lambda module, x, y, name=name: watch(name, y))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad():
            network(_like(network, 2, *input_shape))
    finally:
        for hook in hooks:
            hook.remove()
    return {name for name, found in axes.items() if found == {2}}


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the place of another under each of its names, in the network itself."""
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if child is old:
                setattr(parent, name, new)


@torch.no_grad()
def _answers_alike(pair: nn.Module, folded: nn.Module) -> bool:
    """True if both answer the same to noise; a layer of its own kind may use its weights anyhow."""
    layer: Any = pair.get_submodule("0")
    if isinstance(layer, nn.Linear):
        shape: tuple[int, ...] = (layer.in_features,)
    else:
        paddings = layer.padding if isinstance(layer.padding, tuple) else layer.kernel_size
        reach = zip(layer.kernel_size, layer.dilation, paddings, strict=True)
        shape = (layer.in_channels, *(max(d * (k - 1), 2 * p) + 3 for k, d, p in reach))
    x = _like(pair, 4, *shape)
    try:
        expected, found = pair(x), folded(x)
    except Exception:  # a module that cannot run alone is left alone
        return False
    scale = float(expected.abs().max())
    return found.shape == expected.shape and float((found - expected).abs().max()) <= AGREE * scale


def _like(network: nn.Module, *shape: int) -> torch.Tensor:
    """Return fixed noise on the network's device, of its type."""
    weight = next(network.parameters())
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return noise.to(device=weight.device, dtype=weight.dtype)


@torch.no_grad()
def _folded(layer: Layer, norm: BatchNorm) -> Layer:
    """Copy the layer, multiplied and shifted; computed in float64, so that it costs no digits."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    folded = copy.deepcopy(layer)
    ones = torch.ones_like(mean)
    gamma = ones if norm.weight is None else norm.weight
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias
    factor = gamma.double() / torch.sqrt(variance.double() + norm.eps)
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias
    shape = (-1,) + (1,) * (layer.weight.ndim - 1)
    weight = layer.weight.double() * factor.reshape(shape)
    shifted = (bias.double() - mean.double()) * factor + beta.double()
    kind, trained = layer.weight.dtype, layer.weight.requires_grad
    folded.weight = nn.Parameter(weight.to(kind), requires_grad=trained)
    folded.bias = nn.Parameter(shifted.to(kind), requires_grad=trained)
    return folded
