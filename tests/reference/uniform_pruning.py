"""Uniform magnitude pruning as torch-pruning's own classes do it, and as files were made before.

The library's groups are cut one after the other while it walks the graph. It knows neither whole
groups of a convolution nor heads, so this is right for networks without them.
"""

from __future__ import annotations

import copy
import warnings

import torch
import torch_pruning as tp
from torch import nn

from optim.compress.pruning.ratios import channels_to_keep


def uniformly_pruned(
    network: nn.Module, ratio: float, round_to: int, input_shape: tuple[int, ...]
) -> nn.Module:
    """A copy in which every group has lost a share of its channels, the smallest first."""
    network = copy.deepcopy(network).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = tp.DependencyGraph().build_dependency(network, torch.zeros(2, *input_shape))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    magnitude = tp.importance.GroupMagnitudeImportance(p=2)
    groups = graph.get_all_groups(
        ignored_layers=[layers[-1]], root_module_types=[nn.Conv1d, nn.Conv2d, nn.Linear]
    )
    for group in groups:
        layer, function = group[0].dep.target.module, group[0].dep.handler
        channels = graph.get_out_channels(layer)
        leaving = channels - channels_to_keep(channels, ratio, round_to)
        if leaving > 0:
            order = magnitude(group).argsort()
            graph.get_pruning_group(layer, function, order[:leaving].tolist()).prune()
    return network
