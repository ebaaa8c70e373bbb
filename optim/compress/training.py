"""The one training loop: base networks, fine-tuning and distillation all run through it.

The learning rate rises linearly over the first steps and falls to zero along a cosine (Loshchilov
and Hutter 2017). With a teacher the loss is that of Hinton, Vinyals and Dean 2015,

    alpha * T^2 * KL(teacher / T || student / T) + (1 - alpha) * cross-entropy,

and the teacher's logits come from a table, computed once. Long runs average the weights over time
(EMA, Polyak and Juditsky 1992). The network of the best epoch on *validation* is returned.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from optim.compress.augment import augment, views
from optim.datasets import Split
from optim.store.training_log import Epoch

Progress = Callable[[float, str], None]
AfterStep = Callable[[float, nn.Module], None]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how hard to train.

    Attributes:
        epochs: passes over the training split; a fraction is allowed.
        max_lr: the peak of the learning rate.
        optimizer: ``sgd`` (Nesterov momentum 0.9) or ``adamw``.
        warm_up: share of the steps in which the rate rises.
        ema_decay: decay of the averaged weights per step; 0 turns averaging off.
        keep_from: share of the training before whose end no epoch counts as the best, 0 to 1: for
            networks that become smaller or sparser on the way. The last epoch always counts.
        bfloat16: compute in bfloat16 where that is faster. It is not for depthwise convolutions.
        temperature, alpha: of the distillation loss, used when there is a teacher.
    """

    epochs: float
    max_lr: float = 0.1
    batch_size: int = 256
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = 5e-4
    warm_up: float = 0.2
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    keep_from: float = 0.0
    bfloat16: bool = False
    temperature: float = 4.0
    alpha: float = 0.7

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise ValueError(f"epochs must be above 0, got {self.epochs}.")


@dataclass(frozen=True, kw_only=True)
class Follow:
    """Who follows a training, and where it is kept in case it is interrupted.

    Attributes:
        progress: called with the share done, 0..1, and a sentence.
        on_epoch: called after each epoch.
        checkpoint: a file to resume from and to write after each epoch.
    """

    progress: Progress = lambda share, words: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    checkpoint: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The network of the best epoch, in evaluation mode, and the log.

    Attributes:
        network: on the CPU.
        history: every epoch in order.
        best: the epoch whose network this is: of equally good ones the last.
    """

    network: nn.Module
    history: tuple[Epoch, ...]
    best: Epoch

    @property
    def accuracy(self) -> float:
        """The best accuracy on validation, 0..1."""
        return self.best.accuracy


def device() -> torch.device:
    """The GPU where torch finds one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    network: nn.Module,
    training: Split,
    validation: Split,
    *,
    kind: Literal["image", "series"],
    schedule: Schedule,
    seed: int,
    teacher_logits: np.ndarray | None = None,
    after_step: AfterStep | None = None,
    follow: Follow = Follow(),
) -> Trained:
    """Train a copy of ``network``; the argument is left alone.

    Args:
        network: the start, any device.
        training, validation: validation picks the epoch to keep.
        kind: the family of augmentations.
        schedule: length, rate, loss.
        seed: order of the examples and every random change.
        teacher_logits: (V, n, classes) from ``label_views``; None trains on the labels alone.
        after_step: called after each step of the optimizer with the share of the training that is
            done, above 0 to 1, and the network in training, whose weights it may change in place.
            What it makes exactly zero is zero in the averaged weights too.
        follow: who is told, and where the state is kept after each epoch.

    Raises:
        ArithmeticError: if the loss stops being a finite number.
    """
    run = _Run(
        network, schedule, seed, steps_per_epoch=math.ceil(len(training) / schedule.batch_size)
    )
    run.resume(follow.checkpoint)
    examples = torch.from_numpy(training.inputs), torch.from_numpy(training.targets)
    teacher = None if teacher_logits is None else torch.from_numpy(teacher_logits).float()
    while run.step < run.total_steps:
        started = time.monotonic()
        loss = _one_epoch(run, examples, teacher, kind, after_step, follow.progress)
        accuracy = accuracy_of(run.candidate(), validation)
        run.finish_epoch(loss, accuracy, time.monotonic() - started)
        run.save(follow.checkpoint)
        follow.on_epoch(run.history[-1])
        left = (time.monotonic() - started) * (run.total_steps - run.step) / run.steps_per_epoch
        follow.progress(
            run.step / run.total_steps,
            f"epoch {len(run.history)} of {math.ceil(schedule.epochs)}: "
            f"{accuracy:.2%} on validation, about {left:.0f} s left",
        )
    return run.result()


def label_views(
    network: nn.Module, inputs: np.ndarray, kind: Literal["image", "series"]
) -> np.ndarray:
    """A teacher's logits for every example and view, (V, n, classes) float16."""
    x = torch.from_numpy(inputs)
    return np.stack([logits_of(network, view.numpy()) for view in views(x, kind)]).astype(
        np.float16
    )


@torch.inference_mode()
def logits_of(network: nn.Module, inputs: np.ndarray, *, batch_size: int = 512) -> np.ndarray:
    """Logits in evaluation mode, (n, classes) float32."""
    network = network.eval()
    where = next(network.parameters()).device
    batches = _batches(torch.from_numpy(inputs), batch_size)
    return torch.cat([network(_place(batch, where)).cpu() for batch in batches]).numpy()


def accuracy_of(network: nn.Module, split: Split) -> float:
    """Share of correct answers, 0..1, computed in torch: for choosing, not for reporting."""
    return float((logits_of(network, split.inputs).argmax(1) == split.targets).mean())


def reestimate_batchnorm(
    network: nn.Module, inputs: np.ndarray, *, batch_size: int = 256
) -> nn.Module:
    """A copy whose batch-norm statistics are the plain averages over ``inputs``.

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
        for batch in _batches(torch.from_numpy(inputs), batch_size):
            network(_place(batch, where))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()


class _Run:
    """State of a training run: everything a checkpoint must hold."""

    def __init__(
        self, network: nn.Module, schedule: Schedule, seed: int, *, steps_per_epoch: int
    ) -> None:
        self.schedule = schedule
        self.seed = seed
        self.where = device()
        self.network = _to(copy.deepcopy(network), self.where)
        self.average = copy.deepcopy(self.network) if schedule.ema_decay else None
        self.optimizer = _optimizer(self.network, schedule)
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = max(1, round(schedule.epochs * steps_per_epoch))
        self.step = 0
        self.history: tuple[Epoch, ...] = ()
        self.best = copy.deepcopy(self.network.state_dict())

    def learning_rate(self) -> float:
        warm_up = max(1.0, self.schedule.warm_up * self.total_steps)
        if self.step < warm_up:
            return self.schedule.max_lr * (self.step + 1) / warm_up
        done = (self.step - warm_up) / max(1.0, self.total_steps - warm_up)
        return self.schedule.max_lr * 0.5 * (1 + math.cos(math.pi * done))

    def candidate(self) -> nn.Module:
        return self.network if self.average is None else self.average

    def update_average(self, *, keep_zeros: bool) -> None:
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
        line = Epoch(epoch=len(self.history) + 1, loss=loss, accuracy=accuracy, seconds=seconds)
        self.history += (line,)
        if self.best_epoch() is line:
            self.best = copy.deepcopy(self.candidate().state_dict())

    def best_epoch(self) -> Epoch:
        """The most accurate epoch of those that count; of equal ones the last."""
        first = self.schedule.keep_from * self.total_steps
        counting = [e for e in self.history if e.epoch * self.steps_per_epoch >= first]
        return max(counting or self.history[-1:], key=lambda e: (e.accuracy, e.epoch))

    def result(self) -> Trained:
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.best)
        return Trained(network=network.cpu().eval(), history=self.history, best=self.best_epoch())

    def save(self, path: Path | None) -> None:
        if path is None:
            return
        state = {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "step": self.step,
            "history": [vars(epoch) for epoch in self.history],
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path | None) -> None:
        if path is None or not path.exists():
            return
        state: Mapping[str, Any] = torch.load(path, weights_only=True, map_location=self.where)
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.step = state["best"], state["step"]
        self.history = tuple(Epoch(**line) for line in state["history"])


def _one_epoch(
    run: _Run,
    examples: tuple[torch.Tensor, torch.Tensor],
    teacher: torch.Tensor | None,
    kind: Literal["image", "series"],
    after_step: AfterStep | None,
    progress: Progress,
) -> float:
    inputs, targets = examples
    generator = torch.Generator().manual_seed(run.seed * 1000 + len(run.history))
    order = torch.randperm(len(targets), generator=generator)
    run.network.train()
    losses = []
    for rows in _batches(order, run.schedule.batch_size):
        if run.step >= run.total_steps:
            break
        x, view = augment(inputs[rows], kind, gentle=teacher is not None, generator=generator)
        soft = None if teacher is None else teacher[view, rows].to(run.where)
        for group in run.optimizer.param_groups:
            group["lr"] = run.learning_rate()
        with torch.autocast(run.where.type, torch.bfloat16, enabled=run.schedule.bfloat16):
            logits = run.network(_place(x, run.where)).float()
        loss = _loss(logits, targets[rows].to(run.where), soft, run.schedule)
        if not torch.isfinite(loss):
            raise ArithmeticError(
                f"the training loss became {loss.item()} at step {run.step}. Lower max_lr "
                f"(now {run.schedule.max_lr})."
            )
        run.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
        run.optimizer.step()
        run.step += 1
        if after_step is not None:
            after_step(run.step / run.total_steps, run.network)
        run.update_average(keep_zeros=after_step is not None)
        losses.append(loss.item())
        if run.step % 20 == 0:
            progress(run.step / run.total_steps, f"training, step {run.step} of {run.total_steps}")
    return float(np.mean(losses))


def _loss(
    logits: torch.Tensor, targets: torch.Tensor, soft: torch.Tensor | None, schedule: Schedule
) -> torch.Tensor:
    hard = F.cross_entropy(logits, targets, label_smoothing=schedule.label_smoothing)
    if soft is None:
        return hard
    t = schedule.temperature
    divergence = F.kl_div(
        F.log_softmax(logits / t, 1),
        F.log_softmax(soft / t, 1),
        reduction="batchmean",
        log_target=True,
    )
    return schedule.alpha * t * t * divergence + (1 - schedule.alpha) * hard


def _optimizer(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]  # biases and norms are not decayed
    groups = [
        {"params": decayed, "weight_decay": schedule.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=schedule.max_lr)
    return torch.optim.SGD(groups, lr=schedule.max_lr, momentum=0.9, nesterov=True)


def _to(network: nn.Module, where: torch.device) -> nn.Module:
    """Move to a device, in channels-last order: several times faster for depthwise convolutions."""
    network = network.to(where)
    return network.to(memory_format=torch.channels_last)


def _batches(x: torch.Tensor, size: int) -> list[torch.Tensor]:
    return [x[start : start + size] for start in range(0, len(x), size)]


def _place(x: torch.Tensor, where: torch.device) -> torch.Tensor:
    x = x.to(where)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
