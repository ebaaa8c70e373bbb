"""Pruning a network on examples of noise, and the masked twin that it must equal."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from optim.compress.pruning.groups import ChannelGroup
from optim.compress.pruning.prune import prune
from optim.recipe import Prune
from optim.task.datasets import Split

PrunedUnits = dict[str, tuple[int, ...]]


def noise(shape: tuple[int, ...], *, n: int = 4, classes: int = 5) -> Split:
    """Examples without meaning, with a class each."""
    inputs = np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)
    return Split(inputs=inputs, targets=np.arange(n) % classes)


def pruned(network: nn.Module, step: Prune, shape: tuple[int, ...], *, seed: int = 0) -> nn.Module:
    """The network after the step, of which it is the original."""
    return prune(network, step, examples=noise(shape), seed=seed, original=network)


def lively(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """The network with weights of ordinary size and the statistics of noise that runs through it.

    Fresh networks say little: their batch norms are all 0 and 1, their scales next to nothing.
    """
    torch.manual_seed(0)
    for name, parameter in network.named_parameters():
        module = network.get_submodule(name.rpartition(".")[0])
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            bias = name.endswith("bias")
            nn.init.normal_(parameter, 0.0, 0.2) if bias else nn.init.uniform_(parameter, 0.5, 1.5)
        elif parameter.dim() > 1 and isinstance(module, nn.modules.conv._ConvNd):
            nn.init.kaiming_normal_(parameter).data.mul_(1.25)
        elif name.endswith("gamma"):
            nn.init.uniform_(parameter, 0.2, 0.5)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        network.train()(torch.randn(8, *shape))
    return network.eval()


def zeroed(network: nn.Module, groups: tuple[ChannelGroup, ...], leaving: PrunedUnits) -> nn.Module:
    """A copy in which everything that makes a leaving channel is zero; its shapes stay."""
    network = copy.deepcopy(network)
    for group in groups:
        for part in group.parts:
            if part.side == "inputs":
                continue
            layer = network.get_submodule(part.layer)
            rows = torch.from_numpy(part.channels_of(leaving.get(group.name, ())))
            with torch.no_grad():
                layer.weight[rows] = 0.0
                if layer.bias is not None:
                    layer.bias[rows] = 0.0
    return network


def assert_equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal to 1e-5, of the largest number where that is above 1."""
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, atol=1e-5 * scale, rtol=0)
