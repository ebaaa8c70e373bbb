"""Pruning in depth: whole blocks leave a network, and the signal goes past them.

A block can be removed if its output has the shape of its input: in a residual network that is every
block with an identity shortcut. Blocks leave one at a time, the cheapest loss first,

    influence / cost,     influence = 1 - cos(input, output),

where the influence of a block on the signal that runs through it is measured on real examples (Men
et al. 2024, "ShortGPT", equation 1; Chen and Zhao 2018, "Shallowing deep networks"), and its cost
is the number of activations that its layers write, which predicts time better than MACs do
(Radosavovic et al. 2020, "Designing network design spaces", section 3.3).
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from optim.errors import Refusal, RefusedError

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block that can be removed.

    Attributes:
        name: of the module.
        influence: 0 for a block that passes its input on, up to 2.
        activations: numbers that its layers write for one example.
    """

    name: str
    influence: float
    activations: int

    @property
    def score(self) -> float:
        """Importance; the block with the least is removed first."""
        return self.influence / max(1, self.activations)


def remove_blocks(network: nn.Module, count: int, examples: np.ndarray) -> nn.Module:
    """Take blocks out of a network; nothing is trained here.

    Args:
        network: it is left alone.
        count: how many leave.
        examples: float32, shape (n, ...): what the influence is measured on.

    Returns:
        A shallower copy on the CPU, in evaluation mode, with the same inputs and outputs.

    Raises:
        RefusedError: if fewer blocks can be removed.
    """
    network = copy.deepcopy(network).cpu().eval()
    for removed in range(count):
        blocks = removable_blocks(network, examples)
        if not blocks:
            raise RefusedError(
                Refusal(
                    reason=f"{_blocks(count)} cannot be removed: only {removed} of this network "
                    "give their output the shape of their input.",
                    remedy="Ask for fewer, and remove channels instead.",
                )
            )
        _bypass(network, min(blocks, key=lambda block: block.score).name)
    return network


def removable_blocks(network: nn.Module, examples: np.ndarray) -> tuple[Block, ...]:
    """Return every block that can be removed, in the network's order.

    Args:
        network: in evaluation mode.
        examples: float32, shape (n, ...).
    """
    passes: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    written: dict[str, int] = {}

    def watch(name: str, module: nn.Module, x: object, y: object) -> None:
        if isinstance(module, LAYERS) and isinstance(y, torch.Tensor):
            written[name] = y[0].numel()
        elif isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) and x.shape == y.shape:
            passes[name] = (x, y)

    hooks = [
        module.register_forward_hook(
            lambda module, x, y, name=name: watch(name, module, x[0] if x else None, y)
        )
        for name, module in network.named_modules()
        if isinstance(module, LAYERS) or (name and _is_block(module))
    ]
    with torch.inference_mode():
        network(torch.from_numpy(examples))
    for hook in hooks:
        hook.remove()
    return tuple(
        Block(
            name=name,
            influence=_influence(*passes[name]),
            activations=sum(n for layer, n in written.items() if layer.startswith(f"{name}.")),
        )
        for name in _whole(network, passes)
    )


def bypassed(network: nn.Module, state: Collection[str]) -> nn.Module:
    """Return a copy without the blocks of which the names of a state know no weight."""
    network = copy.deepcopy(network)
    for name in missing_blocks(network, state):
        _bypass(network, name)
    return network


def missing_blocks(network: nn.Module, state: Collection[str]) -> tuple[str, ...]:
    """Return the names of the modules of which a state knows no weight, the outermost of each."""
    gone = [
        name
        for name, module in network.named_modules()
        if any(True for _ in module.parameters())
        and not any(key.startswith(f"{name}.") for key in state)
        and name
    ]
    return tuple(name for name in gone if not any(name.startswith(f"{other}.") for other in gone))


def _bypass(network: nn.Module, name: str) -> None:
    """Put the identity in a block's place, in the network itself."""
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, nn.Identity())


def _is_block(module: nn.Module) -> bool:
    """True for a module with layers in it that is more than a list of others."""
    layers = sum(isinstance(part, LAYERS) for part in module.modules())
    return layers >= 2 and not isinstance(module, nn.Sequential)


def _whole(network: nn.Module, passes: Collection[str]) -> list[str]:
    """Return the outermost of nested modules, unless it is a stage of several of a kind."""
    chosen: list[str] = []
    for name in (n for n, _ in network.named_modules() if n in passes):
        inside = [other for other in passes if other.startswith(f"{name}.")]
        kinds = [type(network.get_submodule(other)) for other in inside]
        is_stage = len(set(kinds)) < len(kinds)
        if not is_stage and not any(name.startswith(f"{other}.") for other in chosen):
            chosen.append(name)
    return chosen


def _influence(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return 1 minus the mean cosine between input and output, example by example."""
    return float(1 - nn.functional.cosine_similarity(x.flatten(1), y.flatten(1)).mean())


def _blocks(count: int) -> str:
    return "1 block" if count == 1 else f"{count} blocks"
