"""Accuracy of a network computed in torch: for choosing while training, not for reporting."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from optim.compress.training.batches import batch_on, batches
from optim.task.datasets import Split


@torch.inference_mode()
def logits_of(network: nn.Module, inputs: np.ndarray, *, batch_size: int = 512) -> np.ndarray:
    """Return the logits in evaluation mode, (n, classes) float32."""
    network = network.eval()
    where = next(network.parameters()).device
    parts = batches(torch.from_numpy(inputs), batch_size)
    return torch.cat([network(batch_on(part, where)).cpu() for part in parts]).numpy()


def accuracy_of(network: nn.Module, split: Split) -> float:
    """Return the share of correct answers, 0..1."""
    return float((logits_of(network, split.inputs).argmax(1) == split.targets).mean())


def reestimate_batchnorm(
    network: nn.Module, inputs: np.ndarray, *, batch_size: int = 256
) -> nn.Module:
    """Return a copy whose batch-norm statistics are the plain averages over ``inputs``.

    After channels are removed, the old statistics describe a network that no longer exists.

    Source: Li et al. 2020, "EagleEye", section 3.3.
    """
    network = copy.deepcopy(network)
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    network.train()
    where = next(network.parameters()).device
    with torch.inference_mode():
        for batch in batches(torch.from_numpy(inputs), batch_size):
            network(batch_on(batch, where))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()
