"""Pruning a network on examples of noise, as the tests of compress do it."""

from __future__ import annotations

import numpy as np
from torch import nn

from optim.compress.prune import prune
from optim.datasets import Split
from optim.recipe import Prune


def noise(shape: tuple[int, ...], *, n: int = 4, classes: int = 5) -> Split:
    """Examples without meaning, with a class each."""
    inputs = np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)
    return Split(inputs=inputs, targets=np.arange(n) % classes)


def pruned(network: nn.Module, step: Prune, shape: tuple[int, ...], *, seed: int = 0) -> nn.Module:
    """The network after the step, of which it is the original."""
    return prune(network, step, examples=noise(shape), seed=seed, original=network)
