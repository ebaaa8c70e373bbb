"""A tiny task for tests: the Motion network with random weights, and a few of its real windows."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from optim.architectures import build
from optim.datasets import MOTION
from optim.task import Task

WINDOWS = 96


class SmallTask(Task):
    """The first windows of each split."""

    def split(self, name):
        return super().split(name).first(WINDOWS)


def small_task(folder: Path) -> SmallTask:
    """Write random weights, with activations of ordinary size, and a card."""
    torch.manual_seed(0)
    network = build("motion_cnn", in_channels=6, classes=len(MOTION.labels))
    save_file(network.state_dict(), folder / "weights.safetensors")
    card = {"results": {"parameters": 1}, "fine_tuning_epochs": 1.0}
    (folder / "card.json").write_text(json.dumps(card))
    return SmallTask(
        name="tiny", title="Tiny", summary="", architecture="motion_cnn",
        dataset=MOTION, folder=folder, card=card,
    )  # fmt: skip
