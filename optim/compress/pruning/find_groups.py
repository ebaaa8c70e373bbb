"""Groups of channels that shrink together, read off a network's dependency graph.

A group is everything that loses channels with one layer: the layers that a residual sum adds up,
the batch norms behind them, the depthwise convolutions in between, and the inputs of the layers
that read them. It shrinks by whole **units**: one channel; or a group of a grouped convolution; or
an attention head. A group that cannot shrink without changing its other channels is left whole,
and says why. What the graph promises is tried by ``probe``: units are cut from every group, and
every layer must read what it reads in the network in which they are zero.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, assert_never

import numpy as np
from torch import nn

from optim.compress.pruning.coupled_channels import (
    EndlessWalkError,
    Walk,
    WalkBudget,
    walk,
)
from optim.compress.pruning.dependencies import (
    NodeKind,
    dependency_graph,
    kind_of,
    operation,
)
from optim.compress.pruning.groups import ChannelGroup, Part, Side, is_attention
from optim.compress.pruning.probe import broken_promises, finite_probe

ROOTS = (nn.Conv1d, nn.Conv2d, nn.Linear)
LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
ACROSS_CHANNELS = ("softmax", "layernorm", "layer_norm", "groupnorm", "group_norm", "vectornorm")
"""Operations, by autograd's name, whose result for one channel depends on the others."""
NOT_A_UNIT = "its channels come in sets of different sizes, which cannot shrink evenly."
OUTPUTS = "its channels are the network's outputs."
ENDLESS = "its channels are moved about so often that they cannot be followed."
BROKEN = "cutting it changes its other channels, or breaks the network's code."


def channel_groups(
    network: nn.Module, input_shape: tuple[int, ...], *, examples: np.ndarray | None = None
) -> tuple[ChannelGroup, ...]:
    """Find every group of a network, in the order of its layers.

    Args:
        network: any network that torch-pruning can trace; it is left alone.
        input_shape: of one example.
        examples: float32, shape (n, ...): of the network's task, for networks that answer nothing
            finite to noise.

    Raises:
        RefusedError: if the network cannot run or be traced, or answers no finite tensors.
    """
    network = copy.deepcopy(network).cpu().eval()
    order = [name for name, _ in network.named_modules()]
    probe = finite_probe(network, input_shape, examples)
    found = _groups(network, dependency_graph(network, input_shape))
    groups = tuple(sorted(found, key=lambda group: order.index(group.name)))
    able = [group for group in groups if group.prunable and group.units > 1]
    broken = {group.name for group in broken_promises(network, able, probe)}
    return tuple(replace(g, unprunable_reason=BROKEN) if g.name in broken else g for g in groups)


def output_layer(network: nn.Module) -> nn.Module:
    """Return the last layer with weights, else the network: its outputs are the classes."""
    layers = [m for m in network.modules() if isinstance(m, ROOTS)]
    return layers[-1] if layers else network


def _groups(network: nn.Module, graph: Any) -> Iterator[ChannelGroup]:
    names = {module: name for name, module in network.named_modules()}
    heads = {m.qkv: m for m in network.modules() if is_attention(m)}
    last = output_layer(network)
    budget = WalkBudget()
    seen: set[nn.Module] = set()
    for order, layer in enumerate(list(graph.module2node)):
        if not isinstance(layer, ROOTS) or layer in seen:
            continue
        if layer in heads:
            group = _heads(names, heads[layer])
        else:
            group = _followed(graph, names, layer, last, budget)
        seen |= {network.get_submodule(name) for name in group.layers}
        yield replace(group, order=order)


def _followed(
    graph: Any, names: dict[nn.Module, str], layer: nn.Module, last: nn.Module, budget: WalkBudget
) -> ChannelGroup:
    """Return the group of a layer; left whole where the graph cannot be followed from it."""
    try:
        return _group(names, layer, walk(graph, layer, budget), last)
    except EndlessWalkError:
        reason = ENDLESS
    except Exception as error:  # whatever the library raises in a graph that it has misread
        reason = f"torch-pruning cannot follow its channels ({type(error).__name__})."
    return ChannelGroup(
        name=names[layer],
        layers=(names[layer],),
        channels=_outputs(layer),
        order=0,
        unprunable_reason=reason,
    )


def _group(
    names: dict[nn.Module, str], root: nn.Module, walked: Walk, last: nn.Module
) -> ChannelGroup:
    """Return the group of one walk."""
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
    """Return the channels that a layer writes."""
    outputs: int = getattr(module, "out_channels", None) or module.out_features
    return outputs


def _side(module: Any, *, inputs: bool) -> Side | None:
    """Return which side of a layer is pruned; None for a module without tensors."""
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
    """Return why the channels of a node cannot be pruned; empty if they can."""
    match kind_of(module):
        case NodeKind.OUTPUT:
            return OUTPUTS
        case NodeKind.COPIES:
            return "its channels are unbound or repeated, and the copies cannot be followed."
        case NodeKind.ELEMENTWISE:
            return _mixing(operation(module))
        case NodeKind.LAYER:
            return _obstacle_in_layer(module)
        case _ as unknown:
            assert_never(unknown)


def _mixing(operation: str) -> str:
    """Return why channels that an operation reads cannot be pruned; empty if they can."""
    if not any(word in operation.lower() for word in ACROSS_CHANNELS):
        return ""
    return f"{operation} mixes its channels: one that left would change the others."


def _obstacle_in_layer(module: Any) -> str:
    kind = type(module).__name__
    match module:
        case nn.LayerNorm() | nn.GroupNorm() | nn.LocalResponseNorm():
            return f"a {kind} normalises over its channels: one that left would change the others."
        case nn.MultiheadAttention() | nn.LSTM() | nn.Embedding():
            return f"cutting a {kind} is not supported."
        case nn.Parameter():
            return "a parameter outside of any known layer has an entry for each of its channels."
        case nn.modules.conv._ConvNd() if module.transposed and module.groups > 1:
            return "cutting a transposed convolution in groups is not supported."
        case nn.modules.conv._ConvNd() if (
            1 < module.groups == module.out_channels < (module.in_channels)
        ):
            return "a convolution reads several channels for each that it writes."
        case _:
            return ""


def _heads(names: dict[nn.Module, str], attention: Any) -> ChannelGroup:
    """Return the heads of an attention: each owns a slice of queries, keys, values and output.

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
