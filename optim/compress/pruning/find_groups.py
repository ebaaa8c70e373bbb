"""Groups of channels that shrink together, read off a network's dependency graph.

A group is everything that loses channels with one layer: the layers that a residual sum adds up,
the batch norms behind them, the depthwise convolutions in between, and the inputs of the layers
that read them. It shrinks by whole **units**: one channel; or a group of a grouped convolution; or
an attention head. A group that cannot shrink without changing its other channels is left whole,
and says why. What the graph promises is tried: one unit is cut from every group, and the answers
must be those of the network in which it is zero.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from optim.compress.pruning.coupled_channels import Walk, dependency_graph, walk
from optim.compress.pruning.cutting import cut, masked
from optim.compress.pruning.groups import ChannelGroup, Part, Side, is_attention

ROOTS = (nn.Conv1d, nn.Conv2d, nn.Linear)
LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
ACROSS_CHANNELS = ("softmax", "layernorm", "layer_norm", "groupnorm", "group_norm", "vectornorm")
"""Operations, by autograd's name, whose result for one channel depends on the others."""
NOT_A_UNIT = "its channels come in sets of different sizes, which cannot shrink evenly."
OUTPUTS = "its channels are the network's outputs."


def channel_groups(network: nn.Module, input_shape: tuple[int, ...]) -> tuple[ChannelGroup, ...]:
    """Every group of a network, in the order of its layers.

    Args:
        network: any network that torch-pruning can trace; it is left alone.
        input_shape: of one example.
    """
    network = copy.deepcopy(network).cpu().eval()
    order = [name for name, _ in network.named_modules()]
    found = _groups(network, dependency_graph(network, input_shape))
    groups = tuple(sorted(found, key=lambda group: order.index(group.name)))
    return _tried(network, groups, input_shape)


def output_layer(network: nn.Module) -> nn.Module:
    """The last layer with weights: its outputs are the classes and must stay."""
    layers = [m for m in network.modules() if isinstance(m, ROOTS)]
    return layers[-1]


def _groups(network: nn.Module, graph: Any) -> Iterator[ChannelGroup]:
    names = {module: name for name, module in network.named_modules()}
    heads = {m.qkv: m for m in network.modules() if is_attention(m)}
    last = output_layer(network)
    seen: set[nn.Module] = set()
    for order, layer in enumerate(list(graph.module2node)):
        if not isinstance(layer, ROOTS) or layer in seen:
            continue
        if layer in heads:
            group = _heads(names, heads[layer])
        else:
            group = _group(names, layer, walk(graph, layer), last)
        seen |= {network.get_submodule(name) for name in group.layers}
        yield replace(group, order=order)


def _group(
    names: dict[nn.Module, str], root: nn.Module, walked: Walk, last: nn.Module
) -> ChannelGroup:
    """The group of one walk."""
    parts: list[Part] = []
    reasons: list[str] = []
    units = int(walked.unit.max()) + 1
    for reached in walked.reached:
        module = reached.node.module
        side = _side(module, inputs=reached.inputs)
        reason = OUTPUTS if module is last and side == "outputs" else _obstacle(module)
        reasons.append(reason)
        if module in names and side is not None:
            unit = walked.unit[reached.origin]
            parts.append(Part(layer=names[module], side=side, channel=reached.channel, unit=unit))
    made = {part.layer: part for part in parts if part.side != "inputs"}
    layers = {name: m for m, name in names.items() if name in made and isinstance(m, LAYERS)}
    whole = [name for name in layers if _is_even(layers[name], made[name], units)]
    if not whole:
        reasons.append(NOT_A_UNIT)
    name = next(iter(whole), names[root])
    channels = len(made[name].channel)
    return ChannelGroup(
        name=name,
        layers=tuple(layers),
        channels=channels,
        order=0,
        granularity=channels // units if whole else 1,
        parts=tuple(parts),
        unprunable_reason=next((reason for reason in reasons if reason), ""),
    )


def _is_even(module: Any, part: Part, units: int) -> bool:
    """True if a layer's outputs are all in a group, and the same number in every unit."""
    counts = np.bincount(part.unit, minlength=units)
    return len(set(counts)) == 1 and len(part.channel) == _outputs(module)


def _outputs(module: Any) -> int:
    """Channels that a layer writes."""
    outputs: int = getattr(module, "out_channels", None) or module.out_features
    return outputs


def _side(module: Any, *, inputs: bool) -> Side | None:
    """Which channels of a layer leave; None for what has no tensors."""
    match module:
        case nn.modules.conv._ConvNd() if module.groups == module.out_channels > 1:
            return "both"
        case nn.modules.conv._ConvNd() | nn.Linear():
            return "inputs" if inputs else "outputs"
        case nn.modules.batchnorm._NormBase():
            return "both"
        case nn.PReLU() if module.num_parameters > 1:
            return "both"
        case _:
            return None


def _obstacle(module: Any) -> str:
    """Why the channels of a node cannot leave; empty if they can."""
    import torch_pruning as tp

    kind = type(module).__name__
    match module:
        case nn.LayerNorm() | nn.GroupNorm() | nn.LocalResponseNorm():
            return f"a {kind} normalises over its channels: one that left would change the others."
        case nn.MultiheadAttention() | nn.LSTM() | nn.Embedding():
            return f"cutting a {kind} is not supported."
        case nn.Parameter():
            return "a parameter outside of any known layer has an entry for each of its channels."
        case tp.ops._OutputOp():
            return OUTPUTS
        case tp.ops._UnbindOp() | tp.ops._ExpandOp():
            return "its channels are unbound or repeated, and the copies cannot be followed."
        case nn.modules.conv._ConvNd() if module.transposed and module.groups > 1:
            return "cutting a transposed convolution in groups is not supported."
        case nn.modules.conv._ConvNd() if (
            1 < module.groups == module.out_channels < (module.in_channels)
        ):
            return "a convolution reads several channels for each that it writes."
        case tp.ops._ElementWiseOp():
            name = str(module._grad_fn).lower()
            if any(word in name for word in ACROSS_CHANNELS):
                return (
                    f"{module._grad_fn.removesuffix('Backward0')} mixes its channels: one that "
                    "left would change the others."
                )
    return ""


def _heads(names: dict[nn.Module, str], attention: Any) -> ChannelGroup:
    """The heads of an attention: each owns a slice of queries, keys, values and what is projected.

    Source: Michel et al. 2019, "Are sixteen heads really better than one?"
    """
    heads, width = attention.num_heads, attention.head_dim
    unit = np.repeat(np.arange(heads), width)
    unprunable_reason = ""
    if attention.qkv.out_features != 3 * heads * width or attention.proj.in_features != len(unit):
        unprunable_reason = "its attention shares keys and values among heads, or widens them."
    qkv, out = names[attention.qkv], names[attention.proj]
    rows = np.arange(3 * len(unit))
    return ChannelGroup(
        name=qkv,
        layers=(qkv,),
        channels=len(unit),
        granularity=width,
        order=0,
        parts=(
            Part(layer=qkv, side="outputs", channel=rows, unit=np.tile(unit, 3)),
            Part(layer=out, side="inputs", channel=np.arange(len(unit)), unit=unit),
        ),
        unprunable_reason=unprunable_reason,
    )


def _tried(
    network: nn.Module, groups: tuple[ChannelGroup, ...], input_shape: tuple[int, ...]
) -> tuple[ChannelGroup, ...]:
    """The groups, with those left whole that do not keep what the graph promises.

    Code that counts channels by itself, or moves them about, is not seen by the graph.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, *input_shape, generator=generator)
    able = [group for group in groups if group.prunable and group.units > 1]
    if _keeps_promise(network, able, x):
        return groups
    broken = {group.name for group in able if not _keeps_promise(network, [group], x)}
    reason = "cutting it changes its other channels, or breaks the network's code."
    return tuple(replace(g, unprunable_reason=reason) if g.name in broken else g for g in groups)


def _keeps_promise(network: nn.Module, groups: list[ChannelGroup], x: torch.Tensor) -> bool:
    """True if a network without one unit of each group answers like one in which it is zero."""
    pruned = {group.name: (group.units // 3,) for group in groups}
    with torch.inference_mode():
        expected = masked(network, groups, pruned)(x)
        try:
            found = cut(network, groups, pruned)(x)
        except (RuntimeError, ValueError, IndexError, AssertionError):
            return False
    scale = float(expected.abs().max())
    same = found.shape == expected.shape
    return same and torch.allclose(found, expected, atol=1e-3 * scale, rtol=0, equal_nan=True)
