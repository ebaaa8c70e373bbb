"""Importance: one score per unit of a group; the least important are pruned first.

A group's score adds up over its layers, because its channels are pruned from all of them (Fang et
al. 2023, "DepGraph", equation 4). Torch-pruning's own classes read its groups, which know neither
grouped convolutions nor heads; the magnitude here does what its ``GroupMagnitudeImportance`` does,
operation by operation, so that networks pruned by it before lose the same channels.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, assert_never

import torch
from torch import nn

from optim.compress.pruning.cutting import tensors
from optim.compress.pruning.groups import ChannelGroup, Part
from optim.compress.training.losses import label_loss
from optim.recipe import Criterion
from optim.task.datasets import Split

BATCH_SIZE = 64
NO_BATCH_NORM = "it has no batch norm, whose factors are what bn_scale ranks channels by."


def unscorable(network: nn.Module, group: ChannelGroup, criterion: Criterion) -> str:
    """Return why a criterion cannot rank a group's channels; empty if it can."""
    if criterion is Criterion.BN_SCALE and not list(_batch_norms(network, group)):
        return NO_BATCH_NORM
    return ""


def scores(
    network: nn.Module, group: ChannelGroup, criterion: Criterion, *, seed: int
) -> torch.Tensor:
    """Score every unit of a group.

    Args:
        network: its weights are looked at; for ``taylor`` after ``fill_gradients``.
        group: one that ``criterion`` can rank.
        seed: of ``random``.

    Returns:
        float32, shape (units,). Scores are comparable within a group; see ``comparable``.
    """
    match criterion:
        case Criterion.L1:
            return _magnitude(network, group, 1)
        case Criterion.L2:
            return _magnitude(network, group, 2)
        case Criterion.BN_SCALE:
            return _added(group, _batch_norms(network, group))
        case Criterion.TAYLOR:
            return _added(group, _taylor(network, group))
        case Criterion.FPGM:
            return _distances(network, group)
        case Criterion.LAMP:
            return _lamp(_magnitude(network, group, 2))
        case Criterion.RANDOM:
            chance = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{group.name}".encode()))
            return torch.rand(group.units, generator=chance)
        case _:
            assert_never(criterion)


def comparable(found: torch.Tensor, criterion: Criterion) -> torch.Tensor:
    """Return the scores of one group on a scale that holds for the whole network.

    LAMP is made for that. Others are divided by the mean of their group, as torch-pruning does.
    """
    if criterion is Criterion.LAMP:
        return found
    mean = found.mean()
    return found / mean if mean > 0 else found


def fill_gradients(network: nn.Module, examples: Split) -> None:
    """Give every parameter the gradient of the mean cross-entropy, in the network itself.

    Args:
        network: in evaluation mode: the batch norms use their statistics.
        examples: with the right classes as targets.
    """
    network.requires_grad_(True).zero_grad()
    for start in range(0, len(examples), BATCH_SIZE):
        x = torch.from_numpy(examples.inputs[start : start + BATCH_SIZE])
        y = torch.from_numpy(examples.targets[start : start + BATCH_SIZE])
        loss = label_loss(network(x), y, reduction="sum") / len(examples)
        loss.backward()  # type: ignore[no-untyped-call]


def _magnitude(network: nn.Module, group: ChannelGroup, p: int) -> torch.Tensor:
    """Return the mean over the layers of sum |w|^p, divided by its mean.

    The order of operations is torch-pruning's, which counts no depthwise weights and no biases.

    Sources: p = 1, Li et al. 2017, "Pruning filters for efficient ConvNets"; p = 2, Fang et al.
    2023, equation 4.
    """
    total, layers = torch.zeros(group.units), 0
    for part in group.parts:
        module: Any = network.get_submodule(part.layer)
        channel = torch.from_numpy(part.channel)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            found = module.weight.detach()[channel].abs().pow(p)
        elif part.side == "outputs":
            ((_, axis), *_) = tensors(module, part.side)
            w = module.weight.detach().transpose(0, axis)
            found = w[channel].flatten(1).abs().pow(p).sum(1)
        elif part.side == "inputs" and tensors(module, part.side):
            ((_, axis),) = tensors(module, part.side)
            w = module.weight.detach().transpose(0, axis)
            found = w.flatten(1).abs().pow(p).sum(1)[channel]
        else:
            continue
        total.scatter_add_(0, torch.from_numpy(part.unit), found)
        layers += 1
    total /= layers
    return total / total.mean()


def _batch_norms(network: nn.Module, group: ChannelGroup) -> Iterator[tuple[Part, torch.Tensor]]:
    """Yield magnitudes of the batch norms' factors.

    Source: Liu et al. 2017, "Learning efficient convolutional networks through network slimming".
    """
    for part in group.parts:
        module: Any = network.get_submodule(part.layer)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            yield part, module.weight.detach().abs()


def _taylor(network: nn.Module, group: ChannelGroup) -> Iterator[tuple[Part, torch.Tensor]]:
    """Yield |weight * gradient|: to first order the change of the loss if a weight becomes zero.

    Source: Molchanov et al. 2019, "Importance estimation for neural network pruning", section 3.
    """
    for part in group.parts:
        module: Any = network.get_submodule(part.layer)
        for name, axis in tensors(module, part.side):
            weight = getattr(module, name)
            if isinstance(weight, nn.Parameter) and weight.grad is not None:
                change = (weight.detach() * weight.grad).abs()
                yield (
                    part,
                    change.transpose(0, axis).flatten(1).sum(1) if change.dim() > 1 else change,
                )


def _distances(network: nn.Module, group: ChannelGroup) -> torch.Tensor:
    """Return the sum of a unit's distances to all others, over the layers that make it.

    The one nearest to the geometric median is the one that the others can replace best.

    Source: He et al. 2019, "Filter pruning via geometric median", equations 4 to 7.
    """
    total = torch.zeros(group.units)
    for part in group.parts:
        module: Any = network.get_submodule(part.layer)
        if part.side == "outputs" and len(part.channel) % group.units == 0:
            ((_, axis), *_) = tensors(module, part.side)
            channel = torch.from_numpy(part.channel[part.unit.argsort(kind="stable")])
            w = module.weight.detach().transpose(0, axis)[channel].reshape(group.units, -1)
            total += torch.cdist(w, w).sum(1)
    return total


def _lamp(magnitude: torch.Tensor) -> torch.Tensor:
    """Return each squared magnitude as a share of those that are at least as large.

    Source: Lee et al. 2021, "Layer-adaptive sparsity for the magnitude-based pruning", equation 4,
    of channels in place of weights.
    """
    order = magnitude.argsort()
    ascending = magnitude[order]
    rest = ascending.flip(0).cumsum(0).flip(0)
    found = torch.empty_like(magnitude)
    found[order] = ascending / rest.clamp(min=torch.finfo(rest.dtype).tiny)
    return found


def _added(group: ChannelGroup, found: Iterator[tuple[Part, torch.Tensor]]) -> torch.Tensor:
    """Return the entries per channel of layers, added up per unit."""
    total = torch.zeros(group.units)
    for part, entries in found:
        channel, unit = torch.from_numpy(part.channel), torch.from_numpy(part.unit)
        total.scatter_add_(0, unit, entries[channel])
    return total
