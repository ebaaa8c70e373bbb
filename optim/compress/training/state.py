"""The state of a training between two steps: all that must outlive a kill.

It is written after each epoch. What is read back belongs to one training only: the file carries a
fingerprint of schedule, seed and shapes, and one that is damaged or carries another is ignored.
"""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from optim.compress.training.batches import device, network_on
from optim.compress.training.schedule import Schedule
from optim.progress import Epoch

UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError)
"""What ``torch.load`` raises for a file that is cut off, or no checkpoint at all."""


class TrainingState:
    """Network, averaged network, optimizer, and what happened so far.

    Args:
        network: the start; it is left alone.
        steps_per_epoch: steps of the optimizer in one pass over the examples.
        regressors: learn beside the network and are no part of it.
        told: what else tells this training from others.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule,
        seed: int,
        *,
        steps_per_epoch: int,
        regressors: nn.Module | None = None,
        told: str = "",
    ) -> None:
        self.schedule = schedule
        self.seed = seed
        self.where = device()
        self.network = network_on(copy.deepcopy(network), self.where)
        self.average = copy.deepcopy(self.network) if schedule.ema_decay else None
        self.regressors = nn.ModuleList() if regressors is None else regressors
        self.optimizer = schedule.optimizer_of(self.network)
        if regressors is not None:
            self.optimizer.add_param_group({"params": list(regressors.parameters())})
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = max(1, round(schedule.epochs * steps_per_epoch))
        self.step = 0
        self.history: tuple[Epoch, ...] = ()
        self.best = copy.deepcopy(self.network.state_dict())
        shapes = {name: tuple(value.shape) for name, value in self.best.items()}
        text = repr((schedule, seed, steps_per_epoch, shapes, told))
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()

    @property
    def finished(self) -> bool:
        """True if every step is done, or too many epochs brought nothing."""
        patience, counting = self.schedule.patience, self._counting()
        if self.step >= self.total_steps or not (patience and counting):
            return self.step >= self.total_steps
        best = max(counting, key=lambda epoch: epoch.score)  # of equal ones the first
        return self.history[-1].epoch - best.epoch >= patience

    @property
    def best_epoch(self) -> Epoch:
        """The most accurate epoch of those that count; of equal ones the last."""
        counting = self._counting() or self.history[-1:]
        return max(counting, key=lambda epoch: (epoch.score, epoch.epoch))

    def candidate(self) -> nn.Module:
        """Return the network that validation judges."""
        return self.network if self.average is None else self.average

    def update_average(self, *, keep_zeros: bool) -> None:
        """Let the averaged weights follow."""
        if self.average is None:
            return
        decay = min(self.schedule.ema_decay, (1 + self.step) / (10 + self.step))
        ours, theirs = self.average.state_dict(), self.network.state_dict()
        for name, value in ours.items():
            if value.dtype.is_floating_point:
                value.lerp_(theirs[name], 1 - decay)
                if keep_zeros:
                    value.masked_fill_(theirs[name] == 0, 0.0)
            else:
                value.copy_(theirs[name])

    def finish_epoch(self, loss: float, accuracy: float, seconds: float) -> None:
        """Note an epoch, and keep its network if it is the best."""
        line = Epoch(epoch=len(self.history) + 1, loss=loss, score=accuracy, seconds=seconds)
        self.history += (line,)
        if self.best_epoch is line:
            self.best = copy.deepcopy(self.candidate().state_dict())

    def best_network(self) -> nn.Module:
        """Return a copy on the CPU, in evaluation mode."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.best)
        return network.cpu().eval()

    def save(self, path: Path | None) -> None:
        """Write the state; a kill in between leaves the file of the epoch before."""
        if path is None:
            return
        state = {
            "fingerprint": self.fingerprint,
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "regressors": self.regressors.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "step": self.step,
            "history": [epoch.to_dict() for epoch in self.history],
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path | None) -> None:
        """Go on where the file stops, if it is there and of this very training."""
        state = None if path is None else _read(path)
        if state is None or state.get("fingerprint") != self.fingerprint:
            return
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.regressors.load_state_dict(state["regressors"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.step = state["best"], state["step"]
        self.history = tuple(Epoch.from_dict(line) for line in state["history"])

    def _counting(self) -> tuple[Epoch, ...]:
        """Return the epochs that may be the best."""
        first = self.schedule.keep_from * self.total_steps
        return tuple(e for e in self.history if e.epoch * self.steps_per_epoch >= first)


def _read(path: Path) -> Mapping[str, Any] | None:
    """Return the content of a checkpoint; None if there is none that can be read."""
    try:
        state = torch.load(path, weights_only=True, map_location=device())
    except UNREADABLE:
        return None
    return state if isinstance(state, dict) else None
