"""Structured pruning: whole channels are removed, with everything that depends on them.

Which layers must shrink together (residual sums, concatenations, depthwise convolutions) is read
off the dependency graph of Fang et al. 2023, "DepGraph: Towards Any Structural Pruning". How many
channels of a group stay is ours: blocks of channels, because kernels run in blocks and latency is a
staircase; a layer never falls below one block, and a narrow layer uses a smaller one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from optim.compress.pruning.blocks import bypassed, missing_blocks, remove_blocks
from optim.compress.pruning.cutting import cut, cut_in_place
from optim.compress.pruning.find_groups import channel_groups
from optim.compress.pruning.groups import ChannelGroup, Side
from optim.compress.pruning.importance import comparable, fill_gradients, scores, unscorable
from optim.compress.pruning.ratios import (
    KeptUnits,
    PrunableGroup,
    RatioSchedule,
    cost_of,
    named,
    nearest_to,
    ranked,
    uniform,
)
from optim.errors import Refusal, RefusedError
from optim.recipe import Criterion, Prune, PruningUnit, Scope
from optim.task.datasets import Split

BLOCK_EXAMPLES = 64
"""On so many a block shows how much it matters."""

UNITS = {
    PruningUnit.CHANNELS: "channels",
    PruningUnit.PARAMETERS: "parameters",
    PruningUnit.MACS: "MACs",
}
PrunedUnits = dict[str, tuple[int, ...]]
"""By the name of a group: the units that leave."""


def prune(
    network: nn.Module, step: Prune, *, examples: Split, seed: int, original: nn.Module
) -> nn.Module:
    """Remove blocks, then channels; nothing is trained here.

    Args:
        network: any network that torch-pruning can trace; it is left alone.
        step: what leaves; what belongs to fine-tuning is not used.
        examples: at least 2: on these blocks and channels show how much they matter.
        seed: of random scores.
        original: the network that ``step.ratio`` is a share of; before a later round it is wider
            than ``network``.

    Returns:
        A smaller copy on the CPU, in evaluation mode, with the same inputs and outputs.

    Raises:
        RefusedError: if fewer blocks or channels can be pruned than asked for, or the criterion
            cannot rank them, or the network cannot be traced.
    """
    gone = len(missing_blocks(original, network.state_dict()))
    blocks = max(0, step.blocks - gone)
    network = remove_blocks(network, blocks, examples.inputs[:BLOCK_EXAMPLES])
    groups, pruned = choose_channels(network, step, examples, seed=seed, original=original)
    return cut(network, groups, pruned)


def choose_channels(
    network: nn.Module, step: Prune, examples: Split, *, seed: int, original: nn.Module
) -> tuple[tuple[ChannelGroup, ...], PrunedUnits]:
    """Choose the channels to prune.

    Args:
        network: on the CPU, in evaluation mode, after its blocks have left; it is left alone.
        step, examples, seed, original: as for ``prune``.

    Returns:
        The network's groups, and what leaves each of them.

    Raises:
        RefusedError: as ``prune``.
    """
    shape = examples.inputs.shape[1:]
    groups = rankable(
        network, channel_groups(network, shape, examples=examples.inputs), step.criterion
    )
    prunables = _prunable_groups(network, groups, original, step.round_to, examples.inputs)
    network = copy.deepcopy(network)
    if step.criterion is Criterion.TAYLOR:
        fill_gradients(network, examples)
    given: dict[str, torch.Tensor] = {}
    if step.scope is Scope.GLOBAL:
        given = {
            prunable.group.name: _scores(network, prunable.group, step, seed)
            for prunable in prunables
        }
    kept = _kept(network, step, groups, prunables, given, original, shape)
    return groups, least_important(network, groups, kept, step.criterion, seed=seed, given=given)


def rankable(
    network: nn.Module, groups: tuple[ChannelGroup, ...], criterion: Criterion
) -> tuple[ChannelGroup, ...]:
    """Return the groups, with those left whole that a criterion cannot rank.

    Raises:
        RefusedError: if none can shrink.
    """
    reasons = {
        group.name: group.unprunable_reason or unscorable(network, group, criterion)
        for group in groups
    }
    able = [group.name for group in groups if group.prunable]
    if not able:
        told = "; ".join(sorted({f"{name}: {reason}" for name, reason in reasons.items()})[:3])
        raise RefusedError(
            Refusal(
                reason=f"no layer of this network can lose channels. {told}",
                remedy="Quantize it, or make single weights zero.",
            )
        )
    if all(reasons.values()):
        raise RefusedError(
            Refusal(
                reason=f"{criterion} cannot rank the channels of any layer: {able[0]}: "
                f"{reasons[able[0]]}",
                remedy="Choose another criterion, such as l2.",
            )
        )
    return tuple(replace(group, unprunable_reason=reasons[group.name]) for group in groups)


def least_important(
    network: nn.Module,
    groups: tuple[ChannelGroup, ...],
    kept: Mapping[str, int],
    criterion: Criterion,
    *,
    seed: int,
    given: Mapping[str, torch.Tensor] | None = None,
) -> PrunedUnits:
    """Choose which units leave, group by group from the output back.

    Weights that read or make what has left already do not count in the scores of later groups.

    Args:
        network: is cut in place; for ``taylor`` it holds gradients.
        groups: of this network.
        kept: units that stay, by the name of the group; groups that are not named stay whole.
        criterion, seed: as for ``scores``.
        given: scores by the name of the group, where they are known.
    """
    pruned: PrunedUnits = {}
    removed: dict[tuple[str, Side], np.ndarray] = {}
    for group in sorted(groups, key=lambda group: group.order):
        count = group.units - kept.get(group.name, group.units)
        if count <= 0:
            continue
        left = _shifted(group, removed)
        found = given[group.name] if given else scores(network, left, criterion, seed=seed)
        pruned[group.name] = tuple(found.argsort()[:count].tolist())
        cut_in_place(network, [left], pruned)
        for part in group.parts:
            key = (part.layer, part.side)
            now = part.channels_of(pruned[group.name])
            removed[key] = np.sort(np.concatenate([removed.get(key, now[:0]), now]))
    return pruned


def narrow(network: nn.Module, width: float, input_shape: tuple[int, ...]) -> nn.Module:
    """Return a copy with a share ``width`` of the channels in every layer, in blocks of 16."""
    network = copy.deepcopy(network).cpu().eval()
    groups = channel_groups(network, input_shape)
    prunables = [
        PrunableGroup(group=g, channels=g.channels, round_to=16) for g in groups if g.prunable
    ]
    kept = uniform(prunables)(1 - width)
    pruned = least_important(copy.deepcopy(network), groups, kept, Criterion.L2, seed=0)
    return cut(network, groups, pruned)


def reset_parameters_of(network: nn.Module, *, seed: int) -> nn.Module:
    """Return a copy of the same shapes with new random weights, as its layers initialise them."""
    network = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear | nn.modules.batchnorm._BatchNorm):
                module.reset_parameters()
    return network


def _scores(network: nn.Module, group: ChannelGroup, step: Prune, seed: int) -> torch.Tensor:
    return comparable(scores(network, group, step.criterion, seed=seed), step.criterion)


def _prunable_groups(
    network: nn.Module,
    groups: tuple[ChannelGroup, ...],
    original: nn.Module,
    round_to: int,
    examples: np.ndarray,
) -> tuple[PrunableGroup, ...]:
    """Return how far each group can shrink, with its width in the original network."""
    state = network.state_dict()
    wide = {name: len(tensor) for name, tensor in original.state_dict().items() if tensor.dim()}
    widths = {group.name: group.channels for group in groups}
    if any(len(tensor) != wide.get(name) for name, tensor in state.items() if tensor.dim()):
        shape = examples.shape[1:]
        before = channel_groups(bypassed(original, state), shape, examples=examples)
        widths = {group.name: group.channels for group in before}
    return tuple(
        PrunableGroup(group=group, channels=widths[group.name], round_to=round_to)
        for group in groups
        if group.prunable
    )


def _kept(
    network: nn.Module,
    step: Prune,
    groups: tuple[ChannelGroup, ...],
    prunables: tuple[PrunableGroup, ...],
    given: Mapping[str, torch.Tensor],
    original: nn.Module,
    shape: tuple[int, ...],
) -> KeptUnits:
    """Return the number of units that each group keeps."""
    own = named(step.layers, groups)
    fixed = {r.group.name: r.units_at(own[r.group.name]) for r in prunables if r.group.name in own}
    free = tuple(prunable for prunable in prunables if prunable.group.name not in own)
    if step.ratio == 0 or not free:
        return fixed
    schedule: RatioSchedule = uniform(free)
    if step.scope is Scope.GLOBAL:
        schedule = ranked(free, {name: found.numpy() for name, found in given.items()})
    if step.unit is PruningUnit.CHANNELS and step.scope is Scope.UNIFORM:
        return fixed | schedule(step.ratio)
    counted = tuple(prunable.group for prunable in free)
    cost = cost_of(network, counted, shape, step.unit)
    whole = float(sum(prunable.channels for prunable in free))
    if step.unit is not PruningUnit.CHANNELS:
        whole = cost_of(copy.deepcopy(original).cpu().eval(), (), shape, step.unit)({})
    order = [group.name for group in groups]
    return fixed | nearest_to(
        step.ratio, schedule, cost, whole=whole, of=UNITS[step.unit], order=order
    )


def _shifted(group: ChannelGroup, removed: Mapping[tuple[str, Side], np.ndarray]) -> ChannelGroup:
    """Return the group where its channels are after others have left the same layers."""
    parts = tuple(
        replace(part, channel=part.channel - removed[key].searchsorted(part.channel))
        if (key := (part.layer, part.side)) in removed
        else part
        for part in group.parts
    )
    return replace(group, parts=parts)
