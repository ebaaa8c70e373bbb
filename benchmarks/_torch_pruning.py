"""The peer: Torch-Pruning as its own CIFAR script runs it, on one of our tasks.

Its defaults: group magnitude importance (p = 2), the same ratio in every layer, no rounding; then
fine-tuning on the labels by SGD (rate 0.01, momentum 0.9, weight decay 5e-4, batch 128), the rate
cut to a tenth after 60 % and 80 % of the epochs (benchmarks/main.py of Torch-Pruning). Random
changes are its flips and shifts. The best epoch on validation is kept, as ours is, and batch norms
are *not* estimated anew, because it does not do so.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
import torch_pruning as tp
from torch import nn

from optim.compress.training.augment import augment
from optim.compress.training.evaluation import accuracy_of
from optim.task.task import Task

RATE, MOMENTUM, DECAY, BATCH = 0.01, 0.9, 5e-4, 128
MILESTONES = (0.6, 0.8)


def pruned_by_default(network: nn.Module, task: Task, *, macs_removed: float) -> nn.Module:
    """Remove channels uniformly until so large a share of the MACs is gone.

    Args:
        macs_removed: 0..1; the ratio of channels is found by bisection.
    """
    example = torch.zeros(2, *task.input_shape)
    whole, _ = tp.utils.count_ops_and_params(network, example)
    low, high, best = 0.0, 0.99, network
    for _ in range(12):
        ratio = (low + high) / 2
        best = _pruned(network, example, ratio)
        macs, _ = tp.utils.count_ops_and_params(best, example)
        low, high = (ratio, high) if macs > (1 - macs_removed) * whole else (low, ratio)
    return best


def _pruned(network: nn.Module, example: torch.Tensor, ratio: float) -> nn.Module:
    network = copy.deepcopy(network).eval()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    tp.pruner.BasePruner(
        network,
        example,
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=[layers[-1]],
    ).step()
    return network


def fine_tuned_by_default(
    network: nn.Module, task: Task, *, epochs: float, seed: int, bfloat16: bool
) -> nn.Module:
    """Train on the labels, and keep the best epoch on validation."""
    training, validation = task.split("train"), task.split("validation")
    inputs, targets = torch.from_numpy(training.inputs), torch.from_numpy(training.targets)
    network = copy.deepcopy(network).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY
    )
    per_epoch = math.ceil(len(targets) / BATCH)
    total = max(1, round(epochs * per_epoch))
    generator = torch.Generator().manual_seed(seed)
    best, best_accuracy, step = copy.deepcopy(network.state_dict()), 0.0, 0
    while step < total:
        network.train()
        for rows in torch.split(torch.randperm(len(targets), generator=generator), BATCH):
            if step >= total:
                break
            passed = sum(step >= share * total for share in MILESTONES)
            optimizer.param_groups[0]["lr"] = RATE * 0.1**passed
            x, _ = augment(
                inputs[rows], task.dataset.kind, weak_augmentation=True, generator=generator
            )
            if x.ndim == 4:
                x = x.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                logits = network(x).float()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(F.cross_entropy(logits, targets[rows]))
            optimizer.step()
            step += 1
        accuracy = accuracy_of(network, validation)
        if accuracy >= best_accuracy:
            best, best_accuracy = copy.deepcopy(network.state_dict()), accuracy
    network.load_state_dict(best)
    return network.eval()
