"""One group of channels is cut, the rest of the network is whole: what does it answer then?

Channels leave by their L2 magnitude over the whole group, as ``Prune`` removes them by default. The
statistics of the batch norms are re-estimated after each cut, nothing else is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from optim.compress.pruning.cutting import cut
from optim.compress.pruning.groups import ChannelGroup
from optim.compress.pruning.importance import scores
from optim.compress.pruning.ratios import block_of, channels_to_keep
from optim.compress.training.evaluation import logits_of, reestimate_batchnorm
from optim.compress.training.losses import label_loss
from optim.progress import Progress
from optim.recipe import Criterion
from optim.recipe.fields import MAX_RATIO
from optim.task.datasets import Split

ROUND_TO = 16
"""The block of ``Prune.round_to`` as it is by default."""
MOST_WIDTHS = 6
BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class CutScore:
    """Accuracy of a network with one group pruned.

    Attributes:
        kept: channels that stay in the group.
        score: 0..1.
        loss: mean cross-entropy.
    """

    kept: int
    score: float
    loss: float


def widths(group: ChannelGroup) -> tuple[int, ...]:
    """Return the numbers of channels that a group may keep, from all down to one block.

    They lie closer where few are left: their square roots are even, as costs fall with the square.
    ``Prune.layers`` gives these very numbers for the ratio ``1 - kept / channels``.
    """
    if not group.prunable:
        return (group.channels,)
    block = block_of(group.channels, ROUND_TO, group.granularity)
    least = channels_to_keep(group.channels, MAX_RATIO, ROUND_TO, group.granularity)
    while 1 - least / group.channels > MAX_RATIO:
        least += block
    roots = np.linspace(group.channels**0.5, least**0.5, MOST_WIDTHS)
    rounded = {round(float(root) ** 2 / block) * block for root in roots}
    kept = {max(least, number) for number in rounded if number < group.channels} | {least}
    return (group.channels, *sorted(kept - {group.channels}, reverse=True))


def cut_alone(
    network: nn.Module,
    groups: tuple[ChannelGroup, ...],
    split: Split,
    norm_inputs: np.ndarray,
    *,
    progress: Progress = lambda share, words: None,
) -> dict[str, tuple[CutScore, ...]]:
    """Cut each group alone to each of its widths.

    Args:
        network: on the CPU, in evaluation mode; it is left alone.
        groups: of this network.
        split: what is answered.
        norm_inputs: float32, shape (n, ...): what batch norms are re-estimated on.

    Returns:
        By the name of the group, whole first.
    """
    whole = _accuracy_and_loss(network, split)
    total = sum(len(widths(group)) - 1 for group in groups)
    done, found = 0, {}
    for group in groups:
        order = scores(network, group, Criterion.L2, seed=0).argsort().tolist()
        rows = [CutScore(kept=group.channels, score=whole[0], loss=whole[1])]
        for kept in widths(group)[1:]:
            progress(done / total, f"{group.name} alone with {kept} of {group.channels} channels")
            pruned = tuple(order[: group.units - kept // group.granularity])
            narrow = with_norms(cut(network, [group], {group.name: pruned}), norm_inputs)
            accuracy, loss = _accuracy_and_loss(narrow, split)
            rows.append(CutScore(kept=kept, score=accuracy, loss=loss))
            done += 1
        found[group.name] = tuple(rows)
    return found


def narrowest(network: nn.Module, groups: tuple[ChannelGroup, ...]) -> nn.Module:
    """Return a copy with the least channels in every group."""
    pruned = {
        group.name: tuple(range(widths(group)[-1] // group.granularity, group.units))
        for group in groups
    }
    return cut(network, groups, pruned)


def with_norms(network: nn.Module, inputs: np.ndarray) -> nn.Module:
    """Return the network with its present batch-norm statistics; itself if it has no batch norm."""
    if not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules()):
        return network
    return reestimate_batchnorm(network, inputs, batch_size=BATCH_SIZE)


def _accuracy_and_loss(network: nn.Module, split: Split) -> tuple[float, float]:
    logits = torch.from_numpy(logits_of(network, split.inputs, batch_size=BATCH_SIZE))
    targets = torch.from_numpy(split.targets)
    right = (logits.argmax(1) == targets).float().mean()
    return float(right), float(label_loss(logits, targets))
