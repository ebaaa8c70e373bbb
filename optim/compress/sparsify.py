"""Unstructured and semi-structured pruning: single weights become zero, shapes stay."""

from __future__ import annotations

from torch import nn

from optim.compress.training import Follow
from optim.recipe import Sparsify
from optim.task import Task


def sparsify(
    task: Task, network: nn.Module, step: Sparsify, *, seed: int, follow: Follow
) -> nn.Module:
    """Make weights zero, and train the others if the step says so.

    Args:
        network: any device; it is left alone.

    Raises:
        RefusedError: if a layer cannot have the pattern.
        ArithmeticError: if the loss stops being a finite number.
    """
    raise NotImplementedError
