"""Channel groups: what shrinks together, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import nn

Side = Literal["inputs", "outputs", "both"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """Place of a group's channels in one layer.

    Attributes:
        layer: its name in the network.
        side: which of its channels they are; ``both`` in a layer that treats each for itself.
        channel, unit: int64, shape (k,): ``channel[i]`` of the layer belongs to ``unit[i]``.
    """

    layer: str
    side: Side
    channel: np.ndarray
    unit: np.ndarray

    def channels_of(self, units: Any) -> np.ndarray:
        """Return the channels of some units, in their order in the layer."""
        return np.sort(self.channel[np.isin(self.unit, np.fromiter(units, int))])


@dataclass(frozen=True, eq=False, kw_only=True)
class ChannelGroup:
    """Channels that can only leave together with their like in other layers.

    Attributes:
        name: of the group's first layer in the network: a key of ``Prune.layers``.
        layers: every layer whose output channels shrink, that one included.
        channels: of the first layer.
        granularity: channels of the first layer that leave at once: a unit.
        parts: what is cut, layer by layer.
        unprunable_reason: why no channel can be pruned; empty if some can.
        order: when it is cut: from the output back, as the graph is walked. Scores of later groups
            no longer count what has left.
    """

    name: str
    layers: tuple[str, ...]
    channels: int
    order: int
    granularity: int = 1
    parts: tuple[Part, ...] = ()
    unprunable_reason: str = ""

    @property
    def units(self) -> int:
        """Number of sets of channels that can be pruned one by one."""
        return self.channels // self.granularity

    @property
    def prunable(self) -> bool:
        """True if channels can be pruned."""
        return not self.unprunable_reason


def is_attention(module: nn.Module) -> bool:
    """True for multi-head attention that reads queries, keys and values from one layer ``qkv``."""
    qkv, out = getattr(module, "qkv", None), getattr(module, "proj", None)
    return (
        isinstance(qkv, nn.Linear)
        and isinstance(out, nn.Linear)
        and isinstance(getattr(module, "num_heads", None), int)
        and isinstance(getattr(module, "head_dim", None), int)
    )
