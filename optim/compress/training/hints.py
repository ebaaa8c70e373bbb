"""Hints: the student's features are pulled towards those of its teacher (FitNets).

Romero et al. 2015 let a regressor predict the teacher's features at one depth from the student's
and train it away (equation 3). Here a regressor is a 1x1 convolution, at the deepest places where
both networks have the same resolution, and everything is trained in one stage, beside the softened
answers. The teacher's features are standardised per channel, so that the distance

    mean over depths, channels and places of (regressor(student's) - standardised teacher's)^2

is the share of the teacher's features that the student's do not explain: 1 for a student that knows
nothing, whatever the networks' scales (after Cao et al. 2022, "PKD"). The teacher runs beside the
student, on the very batch. The regressors are thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

HINT_WEIGHT = 1.0
"""Of the distance, beside the softened answers."""
DEPTHS = 3
"""So many places at most, the deepest."""
EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class Hints:
    """A teacher, and where in it the student looks.

    Attributes:
        teacher: in evaluation mode, on the student's device; it does not learn.
        places: names of modules, the student's and the teacher's.
        regressors: one for each place.
    """

    teacher: nn.Module
    places: tuple[tuple[str, str], ...]
    regressors: nn.ModuleList

    @property
    def student_places(self) -> tuple[str, ...]:
        """Names of the student's modules whose outputs are needed."""
        return tuple(ours for ours, _ in self.places)

    def distance(self, features: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Return how far the student's features are from the teacher's, one number.

        Args:
            features: the student's, by place, from ``x``.
            x: the batch, (N, C, H, W) or (N, C, L).
        """
        theirs_at = tuple(theirs for _, theirs in self.places)
        with torch.no_grad(), watched(self.teacher, theirs_at) as seen:
            self.teacher(x)
        distances = []
        for (ours, theirs), regressor in zip(self.places, self.regressors, strict=True):
            mine = regressor(features[ours]).float()
            wanted = _standardised(_at_size(seen[theirs].float(), mine.shape[2:]))
            distances.append(F.mse_loss(mine, wanted))
        return torch.stack(distances).mean()


def hints_for(student: nn.Module, teacher: nn.Module, example: torch.Tensor, *, seed: int) -> Hints:
    """Match the places of two networks by resolution, and make the regressors.

    Where no resolution is the same, the deepest places are matched, and features are averaged down
    to the student's size.

    Args:
        student, teacher: on the same device, left alone but for the mode: evaluation.
        example: a batch that both take.
        seed: of the regressors' weights.
    """
    ours, theirs = _last_at_each_size(student, example), _last_at_each_size(teacher, example)
    common = sorted(ours.keys() & theirs.keys(), key=math.prod)[:DEPTHS]
    pairs = [(ours[size], theirs[size]) for size in common]
    if not pairs:
        pairs = [(ours[min(ours, key=math.prod)], theirs[min(theirs, key=math.prod)])]
    convolution = nn.Conv2d if example.ndim == 4 else nn.Conv1d
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        regressors = [convolution(mine.channels, his.channels, 1) for mine, his in pairs]
    return Hints(
        teacher=teacher.eval(),
        places=tuple((mine.name, his.name) for mine, his in pairs),
        regressors=nn.ModuleList(regressors).to(example.device),
    )


@contextmanager
def watched(network: nn.Module, places: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Collect what modules put out while the block runs; no hook stays behind."""
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, torch.Tensor):
                seen.pop(name, None)  # a module that runs twice counts where it ran last
                seen[name] = output

        return hook

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in places]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, kw_only=True)
class _Place:
    name: str
    channels: int


@torch.no_grad()
def _last_at_each_size(network: nn.Module, example: torch.Tensor) -> dict[tuple[int, ...], _Place]:
    """Return the last module with features of each resolution; none for pooled ones."""
    names = [name for name, _ in network.named_modules() if name]
    with watched(network.eval(), names) as seen:
        network(example)
    features = {name: x for name, x in seen.items() if x.ndim == example.ndim}
    return {
        tuple(x.shape[2:]): _Place(name=name, channels=x.shape[1])
        for name, x in features.items()
        if math.prod(x.shape[2:]) > 1
    }


def _standardised(x: torch.Tensor) -> torch.Tensor:
    """Scale each channel to mean 0 and variance 1 over the batch; a constant channel becomes 0."""
    over = (0, *range(2, x.ndim))
    centred = x - x.mean(over, keepdim=True)
    return centred / (centred.square().mean(over, keepdim=True) + EPSILON).sqrt()


def _at_size(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Average features to a resolution; leave them if they have it."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    if x.ndim == 4:
        return F.adaptive_avg_pool2d(x, (size[0], size[1]))
    return F.adaptive_avg_pool1d(x, size[0])
