"""A tiny task for tests: the Motion network with random weights, and a few of its real windows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from optim.task.architectures import build
from optim.task.card import read_card
from optim.task.datasets import MOTION
from optim.task.task import Task


@dataclass(frozen=True, kw_only=True)
class SmallTask(Task):
    """The first windows of each split."""

    windows: int

    def split(self, name):
        return super().split(name).first(self.windows)


def small_task(
    folder: Path,
    *,
    windows: int = 96,
    batch_size: int = 32,
    prepared: Callable[[nn.Module], nn.Module] = lambda network: network,
) -> SmallTask:
    """Write random weights, with activations of ordinary size, and a card."""
    torch.manual_seed(0)
    network = prepared(build("motion_cnn", in_channels=6, classes=len(MOTION.labels)))
    save_file(network.state_dict(), folder / "weights.safetensors")
    schedule = {"epochs": 1, "max_lr": 1e-3, "batch_size": batch_size, "optimizer": "adamw"}
    card = {
        "title": "Tiny",
        "architecture": "motion_cnn",
        "dataset": MOTION.name,
        "training": {"schedule": schedule, "seed": 0},
        "results": {"parameters": 1, "validation_accuracy": 0.2},
        "fine_tuning_epochs": 1.0,
    }
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return SmallTask(name="tiny", folder=folder, card=read_card(folder), windows=windows)
