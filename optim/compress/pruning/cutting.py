"""Taking channels out of a network: the tensors lose rows and columns, the layers learn of it.

    cut network (x) = masked network (x)

where the masked one keeps its shapes and has zeros wherever a pruned channel is made.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from optim.compress.pruning.blocks import bypassed
from optim.compress.pruning.groups import is_attention

if TYPE_CHECKING:
    from optim.compress.pruning.groups import ChannelGroup, Side

PrunedUnits = Mapping[str, tuple[int, ...]]
"""By the name of a group: which of its units leave."""
PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")


def tensors(module: nn.Module, side: Side) -> tuple[tuple[str, int], ...]:
    """Return the tensors of a layer that have an entry per channel, each with that axis.

    Args:
        side: ``inputs`` and ``outputs`` of a layer with weights; ``both`` where they are the same
            channels, as in a batch norm or a depthwise convolution.
    """
    transposed = getattr(module, "transposed", False)
    if side == "inputs":
        grouped = getattr(module, "groups", 1) > 1
        return () if grouped else (("weight", 0 if transposed else 1),)
    names = [name for name in PER_CHANNEL if getattr(module, name, None) is not None]
    return tuple((name, int(transposed and name == "weight")) for name in names)


def cut(network: nn.Module, groups: Iterable[ChannelGroup], pruned: PrunedUnits) -> nn.Module:
    """Return a copy without the pruned channels.

    Args:
        network: it is left alone.
        groups: of this network.
        pruned: units by the name of their group; groups that are not named stay whole.
    """
    network = copy.deepcopy(network)
    cut_in_place(network, groups, pruned)
    return network


def cut_in_place(network: nn.Module, groups: Iterable[ChannelGroup], pruned: PrunedUnits) -> None:
    """Take the channels that leave out of the network itself, and of its gradients.

    Args:
        network, groups, pruned: as for ``cut``.
    """
    gone: dict[tuple[str, Side], list[np.ndarray]] = {}
    for group in groups:
        for part in group.parts if pruned.get(group.name) else ():
            channels = part.channels_of(pruned[group.name])
            gone.setdefault((part.layer, part.side), []).append(channels)
    for (layer, side), several in gone.items():
        _remove(network.get_submodule(layer), side, np.concatenate(several))
    for layer in {layer for layer, _ in gone}:
        adopt_shapes(network, layer)


def masked(network: nn.Module, groups: Iterable[ChannelGroup], pruned: PrunedUnits) -> nn.Module:
    """Return a copy of the same shapes in which pruned channels are zero wherever they are made.

    Args:
        network, groups, pruned: as for ``cut``.
    """
    network = copy.deepcopy(network)
    with torch.no_grad():
        for group in groups:
            for part in group.parts:
                module = network.get_submodule(part.layer)
                channels = torch.from_numpy(part.channels_of(pruned.get(group.name, ())))
                for name, axis in tensors(module, part.side) if part.side != "inputs" else ():
                    if not name.startswith("running"):
                        getattr(module, name).index_fill_(axis, channels, 0.0)
    return network


def fit_to_state(network: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    """Shrink a freshly built network to the shapes of a pruned one's weights, and load them.

    Args:
        network: the original architecture; it is left alone.
        state: the pruned network's ``state_dict``.

    Raises:
        KeyError: if a weight is missing: the state belongs to another architecture.
    """
    network = bypassed(network, state)
    for prefix, module in network.named_modules():
        for name, _ in list(module.named_parameters(recurse=False)):
            tensor = state[f"{prefix}.{name}" if prefix else name]
            setattr(module, name, nn.Parameter(tensor.clone()))
        for name, _ in list(module.named_buffers(recurse=False)):
            if name not in module._non_persistent_buffers_set:
                setattr(module, name, state[f"{prefix}.{name}" if prefix else name].clone())
    for name, _ in list(network.named_modules()):
        adopt_shapes(network, name)
    return network.eval()


def adopt_shapes(network: nn.Module, name: str) -> None:
    """Tell a layer, and the attention around it, how many channels its tensors have."""
    module = network.get_submodule(name)
    match module:
        case nn.modules.conv._ConvNd():
            _adopt_convolution(module)
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.modules.batchnorm._NormBase():
            known = module.weight if module.weight is not None else module.running_mean
            if known is not None:
                module.num_features = len(known)
        case nn.PReLU():
            module.num_parameters = len(module.weight)
    around: Any = network.get_submodule(name.rpartition(".")[0])
    if name and is_attention(around):
        around.num_heads = around.proj.weight.shape[1] // around.head_dim
        if hasattr(around, "attn_dim"):
            around.attn_dim = around.num_heads * around.head_dim


def _adopt_convolution(module: Any) -> None:
    """Set the sizes of a convolution; a grouped one has lost whole groups, of the same width."""
    outputs, inputs = (1, 0) if module.transposed else (0, 1)
    if module.groups > 1 and not module.transposed:
        module.groups = module.weight.shape[0] // (module.out_channels // module.groups)
    module.out_channels = module.weight.shape[outputs]
    module.in_channels = module.weight.shape[inputs] * (1 if module.transposed else module.groups)


def _remove(module: nn.Module, side: Side, channels: np.ndarray) -> None:
    for name, axis in tensors(module, side):
        tensor = getattr(module, name)
        stays = torch.from_numpy(np.setdiff1d(np.arange(tensor.shape[axis]), channels))
        smaller = tensor.detach().index_select(axis, stays)
        if isinstance(tensor, nn.Parameter):
            smaller = nn.Parameter(smaller, requires_grad=tensor.requires_grad)
            if tensor.grad is not None:
                smaller.grad = tensor.grad.index_select(axis, stays)
        setattr(module, name, smaller)
