"""A student: an untrained network of another architecture, or of another width, for a task.

A narrower network is the published one with the same share of channels taken from every layer, by
the same dependency graph that pruning uses, so that every architecture has a width multiplier
(Howard et al. 2017, "MobileNets", section 3.3).
"""

from __future__ import annotations

import torch
from torch import nn

from optim.compress.pruning.prune import narrow, reset_parameters_of
from optim.errors import Refusal, RefusedError
from optim.recipe import Replace
from optim.task.architectures import FOR_SERIES, build
from optim.task.task import Task


def student(task: Task, step: Replace, *, seed: int) -> nn.Module:
    """Build the network that will learn in the original's place; nothing is trained here.

    Args:
        step: architecture, width and stride.
        seed: of its random weights.

    Returns:
        In evaluation mode, on the CPU.

    Raises:
        RefusedError: if the architecture does not take the task's inputs.
    """
    series = len(task.input_shape) == 2
    if series != (step.architecture in FOR_SERIES):
        kind = "windows of sensor readings" if series else "images"
        raise RefusedError(
            Refusal(
                reason=f"{step.architecture} does not take {kind}, which {task.title} is about.",
                remedy="Choose a student of the same family as the original.",
            )
        )
    if series and step.stride > 1:
        raise RefusedError(
            Refusal(
                reason=f"the first layer of {step.architecture} halves the resolution already.",
                remedy="Leave stride at 1.",
            )
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(
            step.architecture, in_channels=task.input_shape[0], classes=len(task.labels)
        )
    if step.stride > 1:
        first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
        first.stride = (step.stride, step.stride)
    if step.width == 1:
        return network.eval()
    return reset_parameters_of(narrow(network, step.width, task.input_shape), seed=seed)
