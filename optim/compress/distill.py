"""Knowledge distillation as a step of its own: any teacher, three losses, few or no labels."""

from __future__ import annotations

from torch import nn

from optim.compress.training import Follow
from optim.recipe import Distill
from optim.task import Task


def distill(
    task: Task, network: nn.Module, step: Distill, *, seed: int, fresh: bool, follow: Follow
) -> nn.Module:
    """Train a network from its teacher's answers.

    Args:
        network: the student, any device; it is left alone.
        fresh: True if its weights are random: it then trains at the full rate.

    Raises:
        RefusedError: if the teacher has other classes or another input, or no example is left.
        ArithmeticError: if the loss stops being a finite number.
    """
    raise NotImplementedError
