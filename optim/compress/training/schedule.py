"""Schedule of a training: its epochs, learning rate and optimizer.

The learning rate rises linearly over the first steps and falls to zero along a cosine (Loshchilov
and Hutter 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from optim.recipe import DistillationLoss


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Epochs, learning rate, regularization and loss of a training.

    Attributes:
        epochs: passes over the training split; a fraction is allowed.
        max_lr: the peak of the learning rate.
        optimizer: ``sgd`` (Nesterov momentum 0.9) or ``adamw``.
        warm_up: share of the steps in which the rate rises.
        ema_decay: decay of the averaged weights per step; 0 turns averaging off.
        patience: stop after so many epochs without a better accuracy on validation; 0 never does.
            The rate falls along the whole of ``epochs`` all the same, and the best epochs are
            often the last: this saves time, it does not gain accuracy.
        keep_from: share of the training before whose end no epoch counts as the best, 0 to 1: for
            networks that become smaller or sparser on the way. The last epoch always counts.
        weak_augmentation: change the examples only a little (``augment.py``), as every teacher
            needs it.
        bfloat16: compute in bfloat16 where the device is fast at it. Depthwise convolutions are
            not, on any.
        loss, temperature, alpha: of the distillation (``losses.py``), used when there is a teacher.
    """

    epochs: float
    max_lr: float = 0.1
    batch_size: int = 256
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = 5e-4
    warm_up: float = 0.2
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    patience: int = 0
    keep_from: float = 0.0
    weak_augmentation: bool = False
    bfloat16: bool = False
    loss: DistillationLoss = DistillationLoss.SOFT
    temperature: float = 4.0
    alpha: float = 0.7

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise ValueError(f"epochs must be above 0, got {self.epochs}.")
        if not 0 <= self.keep_from <= 1:
            raise ValueError(f"keep_from must be a share, 0 to 1, got {self.keep_from}.")
        if self.patience < 0:
            raise ValueError(f"patience must be at least 0, got {self.patience}.")

    def learning_rate(self, step: int, total_steps: int) -> float:
        """Return the rate of one step; steps are counted from 0."""
        warm_up = max(1.0, self.warm_up * total_steps)
        if step < warm_up:
            return self.max_lr * (step + 1) / warm_up
        done = (step - warm_up) / max(1.0, total_steps - warm_up)
        return self.max_lr * 0.5 * (1 + math.cos(math.pi * done))

    def optimizer_of(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of a network's parameters; biases and norms are not decayed."""
        decayed = [p for p in network.parameters() if p.ndim > 1]
        plain = [p for p in network.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        if self.optimizer == "adamw":
            return torch.optim.AdamW(groups, lr=self.max_lr)
        return torch.optim.SGD(groups, lr=self.max_lr, momentum=0.9, nesterov=True)
