"""Quantization-aware training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import nn

from optim.recipe import QuantizeAware
from optim.task import Task

Progress = Callable[[float, str], None]


def train_quantized(
    task: Task, network: nn.Module, step: QuantizeAware, *, seed: int, progress: Progress
) -> nn.Module:
    """Train on the grid of the file."""
    raise NotImplementedError


def with_scales(network: nn.Module, step: QuantizeAware) -> nn.Module:
    """The network with the buffers that hold its scales."""
    raise NotImplementedError


def scales_of(network: nn.Module, step: QuantizeAware) -> dict[str, np.ndarray]:
    """The trained scales by layer."""
    raise NotImplementedError
