"""What a network costs with so many channels left: counted layer by layer, nothing is cut or run.

weights of a layer = all of them * share of its outputs left * share of its inputs left
MACs of a layer    = weights * positions of its output
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from optim.compress.channel_groups import ChannelGroup
from optim.compress.cutting import is_attention, tensors
from optim.recipe import PruningUnit

LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


@dataclass(frozen=True, kw_only=True)
class LayerSize:
    """What a layer costs.

    Attributes:
        outputs, inputs: channels of the tensors; no inputs where they are not cut by themselves, as
            in a convolution that loses whole groups.
        matrix: cost that shrinks with the outputs and with the inputs.
        vectors: cost that shrinks with the outputs alone.
    """

    outputs: int
    inputs: int
    matrix: float
    vectors: float


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """A network's cost as a function of the units that its groups keep.

    Attributes:
        fixed: what no group touches.
        layers: by name, those with channels in a group.
        groups: of the network.
    """

    fixed: float
    layers: Mapping[str, LayerSize]
    groups: tuple[ChannelGroup, ...]

    def left(self, kept: Mapping[str, int]) -> float:
        """The cost when groups keep so many units; those that are not named stay whole."""
        gone: dict[tuple[str, bool], float] = {}
        for group in self.groups:
            share = 1 - kept.get(group.name, group.units) / group.units
            for part in group.parts if share else ():
                key = (part.layer, part.side == "inputs")
                gone[key] = gone.get(key, 0.0) + share * len(part.channel)
        cost = self.fixed
        for name, size in self.layers.items():
            outputs = 1 - gone.get((name, False), 0.0) / size.outputs
            inputs = 1 - gone.get((name, True), 0.0) / size.inputs if size.inputs else 1.0
            cost += outputs * (size.matrix * inputs + size.vectors)
        return cost


@dataclass(frozen=True, kw_only=True)
class ChannelCount:
    """Channels of some groups, to be counted like a cost."""

    groups: tuple[ChannelGroup, ...]

    def left(self, kept: Mapping[str, int]) -> float:
        """Channels that stay."""
        return sum(kept.get(group.name, group.units) * group.granularity for group in self.groups)


def network_cost(
    network: nn.Module,
    groups: Iterable[ChannelGroup],
    input_shape: tuple[int, ...],
    unit: PruningUnit,
) -> NetworkCost:
    """Count a network's parameters, or the MACs of one example.

    Args:
        network: in evaluation mode.
        groups: of this network; none of them if only the whole cost is asked for.
        input_shape: of one example.
        unit: parameters or MACs, the latter of convolutions, linear layers and attention.
    """
    groups = tuple(groups)
    names = {part.layer for group in groups for part in group.parts}
    macs = unit is PruningUnit.MACS
    costs = (
        _macs(network, input_shape)
        if macs
        else {name: _parameters(module) for name, module in network.named_modules()}
    )
    layers = {
        name: _size(network.get_submodule(name), *cost)
        for name, cost in costs.items()
        if name in names
    }
    fixed = sum(sum(cost) for name, cost in costs.items() if name not in layers)
    return NetworkCost(fixed=fixed, layers=layers, groups=groups)


def _size(module: nn.Module, matrix: float, vectors: float) -> LayerSize:
    ((name, axis), *_) = tensors(module, "outputs")
    reads = tensors(module, "inputs") if isinstance(module, LAYERS) else ()
    shape = getattr(module, name).shape
    return LayerSize(
        outputs=shape[axis],
        inputs=shape[reads[0][1]] if reads else 0,
        matrix=matrix,
        vectors=vectors,
    )


def _parameters(module: nn.Module) -> tuple[float, float]:
    """Of a layer itself: in its matrix, and in vectors with one entry per output."""
    own = dict(module.named_parameters(recurse=False))
    matrix = own.pop("weight").numel() if isinstance(module, LAYERS) else 0
    return matrix, sum(parameter.numel() for parameter in own.values())


def _macs(network: nn.Module, input_shape: tuple[int, ...]) -> dict[str, tuple[float, float]]:
    """By layer: of its matrix, and, for what makes queries and keys, of their products."""
    found: dict[str, tuple[float, float]] = {}

    def watch(name: str, module: Any, result: torch.Tensor) -> None:
        outputs = module.out_features if isinstance(module, nn.Linear) else module.out_channels
        positions = result[0].numel() // outputs
        around = network.get_submodule(name.rpartition(".")[0])
        heads = is_attention(around) and module is around.qkv
        products = 2 * positions**2 * outputs / 3 if heads else 0.0
        before = found.get(name, (0.0, 0.0))
        found[name] = (before[0] + module.weight.numel() * positions, before[1] + products)

    hooks = [
        module.register_forward_hook(
            lambda module, _, result, name=name: watch(name, module, result)
        )
        for name, module in network.named_modules()
        if isinstance(module, LAYERS)
    ]
    with torch.inference_mode():
        network(torch.zeros(1, *input_shape))
    for hook in hooks:
        hook.remove()
    return found
