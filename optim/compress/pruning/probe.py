"""Trying what a dependency graph promises: cut channels and zero channels must be the same.

    what a layer reads in the cut network = what it reads in the masked one, less the zeros

Code that counts channels by itself, normalises over them or moves them about is not seen by the
graph. So shares of up to half of the units leave every group at once, in several draws, and every
layer's inputs are compared, where the group ends: small weights or zeros behind them hide nothing.
Nor do those before them, for the network is tried with ordinary random weights as well.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from optim.compress.pruning.cutting import PrunedUnits, cut, masked
from optim.compress.pruning.groups import ChannelGroup
from optim.errors import Refusal, RefusedError

DISAGREE = {torch.float64: 1e-5, torch.float32: 5e-5}
"""Share of a tensor, by its norm or by its largest number, from which two are not the same.

Sound groups of published networks differ by up to 1.2e-5 in float32 and by rounding in float64.
"""
MOST_PROBES = 120
"""Sets of groups that are tried in a network that breaks promises; what is left stays whole."""
Reading = tuple[str, torch.Tensor]
"""A tensor that flowed, and the name of the layer that read it; no name for an answer."""


def broken_promises(
    network: nn.Module, groups: Sequence[ChannelGroup], x: torch.Tensor
) -> tuple[ChannelGroup, ...]:
    """Find the groups that cannot be cut together with the others.

    Args:
        network: on the CPU, in evaluation mode; it is left alone.
        groups: of this network, all prunable.
        x: examples on which its answers are finite.
    """
    ordinary = _with_ordinary_weights(network)
    if not _is_finite(ordinary, x):
        ordinary = network
    trial = _in_float64(_Trial((network, ordinary), x))
    return tuple(_broken(trial, [], list(groups)))


def finite_probe(
    network: nn.Module, input_shape: tuple[int, ...], examples: np.ndarray | None
) -> torch.Tensor:
    """Find two inputs on which a network's answers are finite: noise if it can be.

    Args:
        network: on the CPU, in evaluation mode.
        input_shape: of one example.
        examples: of the network's task, float32, shape (n, ...), if there are any.

    Raises:
        RefusedError: if it answers nothing finite, no tensors, or raises.
    """
    noise = torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(0))
    kinds = [noise, noise.abs().clamp(max=1.0) * 0.8 + 0.1]
    if examples is not None:
        kinds.append(torch.from_numpy(np.asarray(examples[:2], np.float32)))
    try:
        for x in kinds:
            if _is_finite(network, x):
                return x
    except RefusedError:
        raise
    except Exception as error:  # whatever the network's own code raises
        raise RefusedError(_cannot_run(error)) from error
    raise RefusedError(
        Refusal(
            reason="channels can only leave a network whose answers are finite numbers; this one "
            "answers nan or infinity to noise and to positive noise.",
            remedy="Quantize it, or make single weights zero.",
        )
    )


def _is_finite(network: nn.Module, x: torch.Tensor) -> bool:
    """True if everything that its layers read and that it answers is finite."""
    return all(bool(torch.isfinite(value).all()) for _, value in _readings(network, x))


def tensors_of(answer: Any) -> Iterator[torch.Tensor]:
    """Yield every tensor of an answer, in its order, out of lists, mappings and dataclasses."""
    match answer:
        case torch.Tensor():
            yield answer
        case Mapping():
            for value in answer.values():
                yield from tensors_of(value)
        case list() | tuple():
            for value in answer:
                yield from tensors_of(value)
        case _ if is_dataclass(answer):
            for each in fields(answer):
                yield from tensors_of(getattr(answer, each.name))


@dataclass
class _Trial:
    """The networks that are tried, and how often that may still be."""

    networks: tuple[nn.Module, ...]
    x: torch.Tensor
    left: int = MOST_PROBES

    def holds(self, groups: Sequence[ChannelGroup]) -> bool:
        """True if the groups can be cut together, in every draw and network."""
        self.left -= 1
        return self.left >= 0 and all(
            _agree(network, groups, {g.name: draw(g, seed) for g in groups}, self.x)
            for network, draw, seed in (
                (self.networks[1], _first_half, 0),
                (self.networks[0], _random_third, 1),
                (self.networks[1], _random_half, 2),
            )
        )


def _in_float64(trial: _Trial) -> _Trial:
    """Return the trial with twice the digits; as it is if code insists on float32."""
    double = _Trial(tuple(copy.deepcopy(n).double() for n in trial.networks), trial.x.double())
    try:
        finite = all(_is_finite(network, double.x) for network in double.networks)
    except Exception:  # whatever the network's own code raises
        return trial
    return double if finite else trial


def _broken(
    trial: _Trial, sound: list[ChannelGroup], groups: list[ChannelGroup]
) -> Iterator[ChannelGroup]:
    """Halve what fails until single groups are left; ``sound`` grows by those that hold."""
    if not groups:
        return
    if trial.holds([*sound, *groups]):
        sound.extend(groups)
    elif len(groups) == 1:
        yield groups[0]
    else:
        half = len(groups) // 2
        yield from _broken(trial, sound, groups[:half])
        yield from _broken(trial, sound, groups[half:])


def _first_half(group: ChannelGroup, seed: int) -> tuple[int, ...]:
    return tuple(range(group.units // 2))


def _random_half(group: ChannelGroup, seed: int) -> tuple[int, ...]:
    return _random(group, group.units // 2, seed)


def _random_third(group: ChannelGroup, seed: int) -> tuple[int, ...]:
    return _random(group, max(1, group.units // 3), seed)


def _random(group: ChannelGroup, count: int, seed: int) -> tuple[int, ...]:
    chosen = np.random.default_rng(seed + group.order).permutation(group.units)[:count]
    return tuple(sorted(chosen.tolist()))


def _agree(
    network: nn.Module, groups: Sequence[ChannelGroup], pruned: PrunedUnits, x: torch.Tensor
) -> bool:
    """True if a network without some units flows like one in which they are zero."""
    gone = _gone(groups, pruned)
    try:
        expected = _readings(masked(network, groups, pruned), x)
        found = _readings(cut(network, groups, pruned), x)
        return len(found) == len(expected) and all(
            name == other and _same(network, name, gone, whole, narrow, DISAGREE[x.dtype])
            for (name, whole), (other, narrow) in zip(expected, found, strict=True)
        )
    except Exception:  # whatever code raises when its width changes means the same
        return False


def _gone(groups: Sequence[ChannelGroup], pruned: PrunedUnits) -> dict[str, np.ndarray]:
    """Return the pruned input channels of each layer, by its name."""
    gone: dict[str, list[np.ndarray]] = {}
    for group in groups:
        for part in group.parts:
            if part.side != "outputs":
                gone.setdefault(part.layer, []).append(part.channels_of(pruned[group.name]))
    return {layer: np.concatenate(several) for layer, several in gone.items()}


def _same(
    network: nn.Module,
    name: str,
    gone: Mapping[str, np.ndarray],
    whole: torch.Tensor,
    narrow: torch.Tensor,
    off: float,
) -> bool:
    """True if what a layer reads, or the network answers, is the same but for zeros that left."""
    if name in gone and len(gone[name]):
        layer = network.get_submodule(name)
        axis = whole.dim() - 1 if isinstance(layer, nn.Linear) else 1
        stays = np.setdiff1d(np.arange(whole.shape[axis]), gone[name])
        zeros = whole.index_select(axis, torch.from_numpy(gone[name]))
        if _reads(layer) and not _close(torch.zeros_like(zeros), zeros, off * whole):
            return False
        whole = whole.index_select(axis, torch.from_numpy(stays))
    return narrow.shape == whole.shape and _close(narrow, whole, off * whole)


def _reads(layer: nn.Module) -> bool:
    """True for a layer that mixes all that it reads, so that only zeros can leave unseen."""
    kinds = nn.modules.conv._ConvNd | nn.Linear
    return isinstance(layer, kinds) and getattr(layer, "groups", 1) == 1


def _close(found: torch.Tensor, expected: torch.Tensor, allowed: torch.Tensor) -> bool:
    """True if two tensors differ by no more than a third is, both at most and altogether."""
    if not found.numel():
        return True
    apart = (found - expected).abs()
    # a nan in either compares false
    return bool(apart.max() <= allowed.abs().max() and apart.norm() <= allowed.norm())


@torch.no_grad()
def _readings(network: nn.Module, x: torch.Tensor) -> list[Reading]:
    """Run a network, and note what its layers read and what it answers.

    Raises:
        RefusedError: if there is no tensor in its answer.
    """
    noted: list[Reading] = []

    def note(name: str, inputs: tuple[Any, ...]) -> None:
        noted.extend((name, value.double().clone()) for value in tensors_of(inputs))

    hooks = [
        module.register_forward_pre_hook(lambda module, inputs, name=name: note(name, inputs))
        for name, module in network.named_modules()
        if name and module._parameters
    ]
    try:
        answers = [value.double() for value in tensors_of(network(x))]
    finally:
        for hook in hooks:
            hook.remove()
    if not answers:
        raise RefusedError(
            Refusal(
                reason="a network must answer with tensors, alone or in a list, a dictionary or a "
                "dataclass; this one answers with none.",
                remedy="Wrap it in a module that returns its tensors.",
            )
        )
    return [*noted, *(("", value) for value in answers)]


@torch.no_grad()
def _with_ordinary_weights(network: nn.Module) -> nn.Module:
    """Copy a network with random weights and statistics of ordinary size."""
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(0)

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator).to(like.dtype)

    for module in network.modules():
        for name, tensor in module._parameters.items():
            if tensor is None or not tensor.is_floating_point():
                continue
            if isinstance(module, nn.modules.conv._ConvNd | nn.Linear) and name == "weight":
                fan_in = max(1, tensor[0].numel())
                tensor.copy_(noise(tensor) * (2.0 / fan_in) ** 0.5)
            elif name == "weight":
                tensor.copy_(1.0 + noise(tensor).clamp(-2, 2) * 0.25)
            else:
                tensor.copy_(noise(tensor) * 0.2)
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_var is not None:
            assert module.running_mean is not None
            module.running_mean.copy_(noise(module.running_mean) * 0.2)
            module.running_var.copy_(1.0 + noise(module.running_var).clamp(-2, 2) * 0.25)
    return network


def _cannot_run(error: Exception) -> Refusal:
    told = " ".join(str(error).split()) or "no message"
    return Refusal(
        reason="channels can only leave a network that runs on a batch of two examples; this one "
        f"raises {type(error).__name__}: {told:.200}",
        remedy="Quantize it, or make single weights zero.",
    )
