"""Sparsity masks: which weights become zero, and how they stay zero while others learn.

Three kinds of layers stay dense. The first one sees the input itself and has a hundredth of the
weights; depthwise convolutions have nine weights a channel (Zhu and Gupta 2017 leave both dense in
MobileNet); and with a pattern of N:M, layers whose input channels do not fill groups of M. The
output layer is made sparse like any other.

N:M counts along the input channels of one output channel, at one place of the kernel: that is how
sparse engines read it (TensorRT, cuSPARSELt, Ascend: along C), and how a matrix product over
channels-last patches sees it. With a kernel of 1 it is the same as counting in the stored order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from optim.errors import Refusal, RefusedError
from optim.recipe import Pattern, Scope

Layer = nn.Conv1d | nn.Conv2d | nn.Linear
SparsityMask = Mapping[str, torch.Tensor]
"""By the name of a parameter: bool, its shape, true where it is to be zero."""

GROUP = {Pattern.TWO_OF_FOUR: 4, Pattern.FOUR_OF_EIGHT: 8}
"""So many neighbours share a pattern; half of them may be other than zero."""
KEPT_SHARE = 0.01
"""This share of a layer, its largest weights, stays under global scope: no layer runs dry."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Names of the layers that become sparse and of those that stay dense, as they run."""

    sparse: tuple[str, ...]
    dense: tuple[str, ...]

    def words(self) -> str:
        """Return both counts in words."""
        return f"{len(self.sparse)} layers become sparse, {len(self.dense)} stay dense"

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the sparse layers' weights."""
        return tuple(f"{name}.weight" for name in self.sparse)


def places(network: nn.Module, pattern: Pattern, input_shape: tuple[int, ...]) -> Places:
    """Return the weights in which zeros may be made.

    Args:
        network: on the CPU; it is left alone.
        input_shape: of one example.

    Raises:
        RefusedError: if every layer must stay dense.
    """
    names = layers_as_they_run(network, torch.zeros(1, *input_shape))
    fits = {
        name: position > 0 and _fits(network.get_submodule(name), pattern)
        for position, name in enumerate(names)
    }
    found = Places(
        sparse=tuple(name for name in names if fits[name]),
        dense=tuple(name for name in names if not fits[name]),
    )
    if not found.sparse:
        group = GROUP.get(pattern)
        reason = (
            "None of its layers can be made sparse: the first layer and depthwise convolutions "
            "stay dense"
        )
        multiple = f", and no other has a multiple of {group} input channels" if group else ""
        raise RefusedError(
            Refusal(
                reason=f"{reason}{multiple}.",
                remedy="Choose the pattern unstructured." if group else "Prune channels instead.",
            )
        )
    return found


def layers_as_they_run(network: nn.Module, example: torch.Tensor) -> tuple[str, ...]:
    """Return the names of convolutions and linear layers in the order of their first call."""
    called: dict[str, None] = {}
    layers = {name: m for name, m in network.named_modules() if isinstance(m, Layer)}
    hooks = [
        layer.register_forward_pre_hook(lambda module, inputs, name=name: called.setdefault(name))
        for name, layer in layers.items()
    ]
    was_training = network.training
    try:
        with torch.inference_mode():
            network.eval()(example)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return tuple(called)


def lowest(
    scores: Mapping[str, torch.Tensor], share: float, pattern: Pattern, scope: Scope
) -> dict[str, torch.Tensor]:
    """Return the weights with the lowest scores, as many as asked to one.

    Args:
        scores: by the parameter's name, its shape, float; the lowest become zero first.
        share: of zeros. Under a pattern at most 0.5; below it the lowest of those that the pattern
            would make zero are taken.
        scope: in each tensor, or in all of them together.
    """
    marked = {name: _marked(score, pattern) for name, score in scores.items()}
    if scope is Scope.UNIFORM:
        return {
            name: _lowest(score, round(share * score.numel())) for name, score in marked.items()
        }
    kept = {name: _largest_marked(score) for name, score in marked.items()}
    together = torch.cat([score.flatten() for score in kept.values()])
    zero = _lowest(together, round(share * together.numel()))
    parts = torch.split_with_sizes(zero, [score.numel() for score in kept.values()])
    return {
        name: part.reshape(score.shape)
        for (name, score), part in zip(kept.items(), parts, strict=True)
    }


def magnitudes(network: nn.Module, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Return the magnitude of each weight, by the parameter's name."""
    return {name: network.get_parameter(name).detach().abs() for name in names}


def mask_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return where weights are zero now; matrices and kernels without a zero are left out."""
    found = {name: p.detach() == 0 for name, p in network.named_parameters() if p.ndim > 1}
    return {name: zero for name, zero in found.items() if zero.any()}


def with_mask(network: nn.Module, zeros: SparsityMask) -> nn.Module:
    """Return a copy with zeros in these places."""
    network = copy.deepcopy(network)
    apply_mask(network, zeros)
    return network


@torch.no_grad()
def apply_mask(network: nn.Module, zeros: SparsityMask) -> None:
    """Write zeros in these places, in the network itself."""
    for name, zero in zeros.items():
        parameter = network.get_parameter(name)
        parameter.masked_fill_(zero.to(parameter.device), 0.0)


def keep_masked(zeros: SparsityMask) -> Callable[[float, nn.Module], None]:
    """Return a function that a training calls after each step to keep these places zero."""
    return lambda done, network: apply_mask(network, zeros)


def _fits(layer: nn.Module, pattern: Pattern) -> bool:
    assert isinstance(layer, Layer)
    inputs = layer.weight.shape[1]
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.groups > 1 and inputs == 1:
        return False
    return inputs % GROUP.get(pattern, 1) == 0


def _marked(score: torch.Tensor, pattern: Pattern) -> torch.Tensor:
    """Return the scores, infinite where the pattern asks a weight to stay."""
    if pattern is Pattern.UNSTRUCTURED:
        return score
    size = GROUP[pattern]
    by_input = score.movedim(1, -1)  # (O, I, K...) -> (O, K..., I)
    groups = by_input.reshape(*by_input.shape[:-1], -1, size)
    order = torch.argsort(groups, dim=-1, stable=True)
    rank = torch.argsort(order, dim=-1)
    marked = groups.masked_fill(rank >= size // 2, torch.inf)
    return marked.reshape(by_input.shape).movedim(-1, 1)


def _largest_marked(score: torch.Tensor) -> torch.Tensor:
    count = max(1, int(KEPT_SHARE * score.numel()))
    flat = score.flatten().clone()
    flat[flat.topk(count).indices] = torch.inf
    return flat.reshape(score.shape)


def _lowest(score: torch.Tensor, count: int) -> torch.Tensor:
    zero = torch.zeros(score.numel(), dtype=torch.bool, device=score.device)
    zero[score.flatten().argsort(stable=True)[:count]] = True
    return zero.reshape(score.shape)
