"""Coupled channels: found by a walk along a network's dependency graph.

torch-pruning draws the graph (``dependencies.py``). We walk it ourselves, because the library keeps
one origin per channel where several meet: in a network that joins a half with another made from it
(GhostNet), two channels of one layer leave together, and a channel of a grouped convolution takes
its whole group with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from optim.compress.pruning.dependencies import Pairs, across

MOST_PAIRS = 500_000
"""Pairs of channels that are followed from one layer; published networks need below 100,000."""
MOST_PAIRS_OF_ALL = 8_000_000
"""Pairs that are followed in one network, from all of its layers."""
Step = tuple[Any, Any, Pairs]
"""A node of the graph, how it is cut, and pairs of a channel there and one of the origin."""


@dataclass(frozen=True)
class Reached:
    """A node that loses channels.

    Attributes:
        node: of the graph.
        inputs: True if its input channels leave, False for the output channels or both.
        channel, origin: int64, shape (k,): channel ``channel[i]`` leaves with ``origin[i]`` of the
            layer that the walk set out from.
    """

    node: Any
    inputs: bool
    channel: np.ndarray
    origin: np.ndarray


@dataclass(frozen=True)
class Walk:
    """Everything that the channels of one layer reach.

    Attributes:
        reached: in the order of the walk.
        unit: int64, shape (channels,): origins with the same number leave together; numbered by
            their first channel.
    """

    reached: tuple[Reached, ...]
    unit: np.ndarray


class EndlessWalkError(Exception):
    """The channels of a layer are moved about so often that following them does not end."""


@dataclass
class WalkBudget:
    """Number of pairs of channels that may still be followed in a network."""

    left: int = MOST_PAIRS_OF_ALL


@dataclass
class _Pairs:
    """Pairs of one node, each channel with the first origin that reached it."""

    node: Any
    inputs: bool
    origin_of: dict[int, int] = field(default_factory=dict)


def walk(graph: Any, layer: nn.Module, budget: WalkBudget) -> Walk:
    """Follow every output channel of a layer through the graph.

    Args:
        graph: of the network.
        layer: one of its layers.
        budget: of the network; it shrinks by what is followed.

    Raises:
        EndlessWalkError: if more pairs of channels than ``MOST_PAIRS`` or the budget are met.
    """
    followed, most = 0, min(MOST_PAIRS, budget.left)
    pruner = graph.get_pruner_of_module(layer)
    channels = pruner.get_out_channels(layer)
    leader = np.arange(channels)
    pairs: dict[tuple[int, bool], _Pairs] = {}
    root = graph.module2node[layer]
    stack: list[Step] = [(root, pruner.prune_out_channels, tuple((i, i) for i in range(channels)))]
    _keep(pairs, leader, graph, stack[0])
    visited: set[int] = set()
    while stack:
        step = stack.pop()
        visited.add(id(step[0]))
        for node, side, found in _next_steps(graph, step):
            followed += len(found)
            budget.left -= len(found)
            if followed > most:
                raise EndlessWalkError
            fresh = _keep(pairs, leader, graph, (node, side, found))
            if id(node) not in visited:
                stack.append((node, side, found))
            elif fresh:  # what goes on from a known channel goes on together with its first origin
                stack.append((node, side, fresh))
    _, unit = np.unique([_leader(leader, i) for i in range(channels)], return_inverse=True)
    reached = tuple(
        Reached(p.node, p.inputs, np.array([*p.origin_of]), np.array([*p.origin_of.values()]))
        for p in pairs.values()
    )
    return Walk(reached, unit)


def _next_steps(graph: Any, step: Step) -> Iterator[Step]:
    """Yield where a node's channels go on to: its neighbours, and the other side of its groups."""
    node, cut, pairs = step
    for edge in node.dependencies:
        if edge.is_triggered_by(cut) and (found := across(edge, pairs)):
            yield edge.target, edge.handler, found
    if is_grouped(node.module):
        pruner = graph.get_pruner_of_module(node.module)
        inputs = cut == pruner.prune_in_channels
        here, there = _group_sizes(node.module, inputs=inputs)
        firsts: dict[int, int] = {}
        for i, origin in pairs:
            firsts.setdefault(i // here, origin)
        other = pruner.prune_out_channels if inputs else pruner.prune_in_channels
        grouped = ((g * there + k, origin) for g, origin in firsts.items() for k in range(there))
        yield node, other, tuple(grouped)


def _group_sizes(module: Any, *, inputs: bool) -> tuple[int, int]:
    """Return channels in a group of a grouped convolution, on this side and on the other."""
    sizes = (module.in_channels // module.groups, module.out_channels // module.groups)
    return sizes if inputs else sizes[::-1]


def is_grouped(module: Any) -> bool:
    """True for a convolution in groups that is not depthwise."""
    if not isinstance(module, nn.modules.conv._ConvNd):
        return False
    return 1 < module.groups != module.out_channels


def _keep(
    pairs: dict[tuple[int, bool], _Pairs], leader: np.ndarray, graph: Any, step: Step
) -> Pairs:
    """Note the pairs, and that the origins which meet in one channel leave together.

    Returns:
        The pairs of channels that nothing had reached before.
    """
    node, cut, reached = step
    pruner = graph.get_pruner_of_module(node.module)
    one_side = pruner.prune_in_channels != pruner.prune_out_channels
    inputs = one_side and cut == pruner.prune_in_channels
    known = pairs.setdefault((id(node), inputs), _Pairs(node, inputs)).origin_of
    fresh = tuple(pair for pair in reached if pair[0] not in known)
    for channel, origin in reached:
        _join(leader, known.setdefault(channel, origin), origin)
    if is_grouped(node.module):
        size, _ = _group_sizes(node.module, inputs=inputs)
        firsts: dict[int, int] = {}
        for channel, origin in known.items():
            _join(leader, firsts.setdefault(channel // size, origin), origin)
    return fresh


def _join(leader: np.ndarray, one: int, other: int) -> None:
    """Couple two origins: they are pruned together from now on."""
    if one != other:
        first, second = sorted((_leader(leader, one), _leader(leader, other)))
        leader[second] = first


def _leader(leader: np.ndarray, i: int) -> int:
    """Return the first of the channels that leave together with ``i``."""
    while leader[i] != i:
        leader[i] = leader[leader[i]]
        i = leader[i]
    return i
