"""Pruning ratios: the same share of each group, or the least important of the whole network.

Both are families of widths that shrink as a share x grows from 0 to 1. For a ratio of parameters or
MACs, x is found by bisection; the groups that step down at that very x then step one by one, from
the back, until the cost is nearest to what was asked for.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from optim.compress.pruning.groups import ChannelGroup
from optim.compress.pruning.layer_shapes import layer_shapes, network_macs, network_parameters
from optim.errors import Refusal, RefusedError
from optim.recipe import PruningUnit

MOST = 0.95
"""Of one group at most this share leaves when the whole network is ranked."""
REACHED = 0.005
"""So far from the ratio asked for, widths still count as having it."""

KeptUnits = dict[str, int]
"""By the name of a group: how many of its units stay."""
RatioSchedule = Callable[[float], KeptUnits]
Cost = Callable[[KeptUnits], float]
"""What a network costs when groups keep so many units; those that are not named stay whole."""


def channels_to_keep(channels: int, ratio: float, round_to: int, granularity: int = 1) -> int:
    """Return how many of ``channels`` stay when a share ``ratio`` is to be pruned.

    The block is halved until at least two of it fit, so that a layer of 24 channels is cut in
    blocks of 8 when ``round_to`` is 16. At least one block stays.

    Args:
        channels: of the whole layer.
        ratio: 0 leaves it whole, 1 leaves one block.
        round_to: channels in a block.
        granularity: so many channels are pruned at once; a block is a multiple of it.

    >>> channels_to_keep(64, 0.5, 16), channels_to_keep(24, 0.5, 16), channels_to_keep(64, 0.9, 16)
    (32, 16, 16)
    """
    if ratio == 0:
        return channels
    block = block_of(channels, round_to, granularity)
    kept = round(channels * (1 - ratio) / block) * block
    return min(channels, max(block, kept))


def block_of(channels: int, round_to: int, granularity: int = 1) -> int:
    """Return the number of channels in a block of a layer."""
    block = round_to
    while block > 1 and channels < 2 * block:
        block //= 2
    whole = math.lcm(block, granularity)
    return whole if whole <= channels else granularity


@dataclass(frozen=True, kw_only=True)
class PrunableGroup:
    """A group that can shrink, and how far.

    Attributes:
        group: as it is now.
        channels: of the group in the original network, which ratios are shares of.
        round_to: channels in a block.
    """

    group: ChannelGroup
    channels: int
    round_to: int

    def units_at(self, ratio: float) -> int:
        """Return the units that stay when a share of the original channels is asked to go."""
        kept = channels_to_keep(self.channels, ratio, self.round_to, self.group.granularity)
        return min(self.group.units, kept // self.group.granularity)

    def units_without(self, pruned: int) -> int:
        """Return the units that stay if this many rank last, in blocks, with a least width."""
        if pruned == 0:
            return self.group.units
        size, block = self.group.granularity, self.block
        least = max(block, math.ceil(self.channels * (1 - MOST) / block - 1e-9) * block)
        kept = round((self.group.units - pruned) * size / block) * block
        return min(self.group.units, max(least, kept) // size)

    @property
    def block(self) -> int:
        """Channels in a block."""
        return block_of(self.channels, self.round_to, self.group.granularity)


def uniform(prunables: Iterable[PrunableGroup]) -> RatioSchedule:
    """Remove the same share from every group."""
    prunables = tuple(prunables)
    return lambda share: {prunable.group.name: prunable.units_at(share) for prunable in prunables}


def ranked(prunables: Iterable[PrunableGroup], scores: Mapping[str, np.ndarray]) -> RatioSchedule:
    """Remove the least important units of the whole network.

    Args:
        scores: by the name of the group, shape (units,), comparable between groups.
    """
    prunables = tuple(prunables)
    owner = np.repeat(np.arange(len(prunables)), [prunable.group.units for prunable in prunables])
    every = np.concatenate([scores[prunable.group.name] for prunable in prunables] or [np.zeros(0)])
    owner = owner[every.argsort(kind="stable")]

    def at(share: float) -> KeptUnits:
        pruned = np.bincount(owner[: round(share * len(owner))], minlength=len(prunables))
        return {
            prunable.group.name: prunable.units_without(int(count))
            for prunable, count in zip(prunables, pruned, strict=True)
        }

    return at


def cost_of(
    network: nn.Module,
    groups: Iterable[ChannelGroup],
    input_shape: tuple[int, ...],
    unit: PruningUnit,
) -> Cost:
    """Return the cost of a network, counted layer by layer: nothing is pruned or run for it.

    Args:
        network: on the CPU, in evaluation mode.
        groups: of this network; of channels, those that are counted.
        input_shape: of one example.
        unit: what is counted, as it will be in the file.
    """
    groups = tuple(groups)

    def channels(kept: KeptUnits) -> float:
        return sum(kept.get(group.name, group.units) * group.granularity for group in groups)

    if unit is PruningUnit.CHANNELS:
        return channels
    shapes = layer_shapes(network, groups, input_shape)
    count = network_macs if unit is PruningUnit.MACS else network_parameters
    return lambda kept: count(
        shapes, {g.name: kept[g.name] / g.units for g in groups if g.name in kept}
    )


def nearest_to(
    ratio: float,
    schedule: RatioSchedule,
    cost: Cost,
    *,
    whole: float,
    of: str,
    order: Iterable[str],
) -> KeptUnits:
    """Return the widths of a schedule that come nearest to a share of a cost.

    Args:
        ratio: share of ``whole`` that is to leave.
        schedule: widths by the share of channels that leave.
        cost: of the network as it is.
        whole: cost of the original network.
        of: what is counted, in a word for the refusal.
        order: names of the groups in the network's order: the last step first.

    Raises:
        RefusedError: if every group is down to its least width before.
    """
    goal = (1 - ratio) * whole
    lower, upper = 0.0, 1.0
    if cost(schedule(lower)) <= goal:
        return schedule(lower)
    furthest = 1 - cost(schedule(upper)) / whole
    if furthest < ratio - REACHED:
        raise RefusedError(
            Refusal(
                reason=f"{ratio:.1%} of the {of} cannot be removed: with one block of channels in "
                f"every layer that can shrink, {furthest:.1%} are gone.",
                remedy=f"Ask for at most {math.floor(furthest * 1000) / 10:g} %, or make blocks "
                "smaller with round_to.",
            )
        )
    for _ in range(40):
        middle = (lower + upper) / 2
        if cost(schedule(middle)) > goal:
            lower = middle
        else:
            upper = middle
    wide, narrow = schedule(lower), schedule(upper)
    prunables = [wide]
    for name in [name for name in order if wide.get(name) != narrow.get(name)][::-1]:
        prunables.append({**prunables[-1], name: narrow[name]})
    return min(prunables, key=lambda kept: abs(cost(kept) - goal))


def named(layers: Iterable[tuple[str, float]], groups: Iterable[ChannelGroup]) -> dict[str, float]:
    """Return the ratios of single layers.

    Args:
        layers: pairs of a group's name and its ratio.
        groups: of the network.

    Raises:
        RefusedError: if there is no such group, or it must stay whole.
    """
    known = {group.name: group for group in groups}
    for name, ratio in layers:
        group = known.get(name)
        if group is None:
            raise RefusedError(_unknown(name, known.values()))
        if ratio > 0 and not group.prunable:
            raise RefusedError(
                Refusal(
                    reason=f"{name} cannot lose channels: {group.unprunable_reason}",
                    remedy="Leave it out of the layers.",
                )
            )
    return dict(layers)


def _unknown(name: str, groups: Iterable[ChannelGroup]) -> Refusal:
    groups = tuple(groups)
    leads = next((group.name for group in groups if name in group.layers), None)
    if leads is not None:
        return Refusal(
            reason=f"{name} shrinks together with {leads}, which its group is named after.",
            remedy=f"Name {leads} instead.",
        )
    able = [group.name for group in groups if group.prunable]
    near = difflib.get_close_matches(name, able, n=3, cutoff=0.0)
    return Refusal(
        reason=f"there is no group of channels named {name}.",
        remedy=f"The nearest names are {', '.join(near)}.",
    )
