"""The one training loop: base networks, fine-tuning and distillation all run through it.

    schedule.py   how long and how hard        losses.py, hints.py   what is minimised
    augment.py    what the network sees        training_state.py     what outlives a kill

Long runs average the weights over time (EMA, Polyak and Juditsky 1992). The network of the best
epoch on *validation* is returned. Chance comes from the seed and the number of the epoch alone, so
that a training that was killed ends where the whole one would have.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from optim.compress.training.augment import augment
from optim.compress.training.batches import (
    batch_on,
    bfloat16_is_fast,
    device,
    network_on,
    training_batches,
)
from optim.compress.training.evaluation import accuracy_of
from optim.compress.training.hints import HINT_WEIGHT, Hints, hints_for, watched
from optim.compress.training.losses import training_loss
from optim.compress.training.schedule import Schedule
from optim.compress.training.state import TrainingState
from optim.progress import Epoch, Progress
from optim.recipe import DistillationLoss
from optim.task.datasets import Kind, Split

AfterStep = Callable[[float, nn.Module], None]


@dataclass(frozen=True, kw_only=True)
class Follow:
    """Callbacks of a training, and the folder of its checkpoint.

    Attributes:
        progress: called with the share done, 0..1, and a sentence.
        on_epoch: called after each epoch, and for those that a checkpoint brings back.
        checkpoint: a file to resume from and to write after each epoch. One that is damaged or of
            another training is written over.
        answers: a folder that keeps teachers' answers for every later training; without one they
            are asked for each time.
    """

    progress: Progress = lambda share, words: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    checkpoint: Path | None = None
    answers: Path | None = None


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
    def score(self) -> float:
        """The best accuracy on validation, 0..1."""
        return self.best.score


@dataclass(frozen=True, kw_only=True)
class _TrainingSet:
    """Inputs, targets and teacher of a training, the same in every epoch."""

    inputs: torch.Tensor  # (n, ...)
    targets: torch.Tensor  # (n,)
    answers: torch.Tensor | None  # the teacher's, (V, n, classes)
    hints: Hints | None
    kind: Kind
    after_step: AfterStep | None


def train(
    network: nn.Module,
    training: Split,
    validation: Split,
    *,
    kind: Kind,
    schedule: Schedule,
    seed: int,
    teacher_logits: np.ndarray | None = None,
    hints_from: nn.Module | None = None,
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
        hints_from: the teacher itself; needed for ``schedule.loss`` hints, else not used.
        after_step: called after each step of the optimizer with the share of the training that is
            done, above 0 to 1, and the network in training, whose weights it may change in place.
            What it makes exactly zero is zero in the averaged weights too.
        follow: who is told, and where the state is kept after each epoch.

    Raises:
        ArithmeticError: if the loss stops being a finite number.
        ValueError: if hints are asked for without a teacher.
    """
    training_set = _TrainingSet(
        inputs=torch.from_numpy(training.inputs),
        targets=torch.from_numpy(training.targets),
        answers=None if teacher_logits is None else torch.from_numpy(teacher_logits).float(),
        hints=_hints(network, training, schedule, hints_from, seed),
        kind=kind,
        after_step=after_step,
    )
    rows = torch.arange(len(training))
    state = TrainingState(
        network,
        schedule,
        seed,
        steps_per_epoch=len(training_batches(rows, schedule.batch_size)),
        regressors=None if training_set.hints is None else training_set.hints.regressors,
        told=repr((kind, None if teacher_logits is None else teacher_logits.shape)),
    )
    _all_epochs(state, training_set, validation, follow)
    return Trained(network=state.best_network(), history=state.history, best=state.best_epoch)


def _all_epochs(
    state: TrainingState, training_set: _TrainingSet, validation: Split, follow: Follow
) -> None:
    state.resume(follow.checkpoint)
    for epoch in state.history:
        follow.on_epoch(epoch)  # a kill may have come between the checkpoint and the log
    while not state.finished:
        started = time.monotonic()
        loss = _one_epoch(state, training_set, follow.progress)
        accuracy = accuracy_of(state.candidate(), validation)
        seconds = time.monotonic() - started
        state.finish_epoch(loss, accuracy, seconds)
        state.save(follow.checkpoint)
        follow.on_epoch(state.history[-1])
        left = seconds * (state.total_steps - state.step) / state.steps_per_epoch
        follow.progress(
            state.step / state.total_steps,
            f"epoch {len(state.history)} of {math.ceil(state.schedule.epochs)}: "
            f"{accuracy:.2%} on validation, about {left:.0f} s left",
        )


def _one_epoch(state: TrainingState, training_set: _TrainingSet, progress: Progress) -> float:
    seed = state.seed * 1000 + len(state.history)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(training_set.targets), generator=generator)
    state.network.train()
    losses = []
    devices = [] if state.where.type == "cpu" else [torch.cuda.current_device()]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)  # of dropout, which knows no generator
        for rows in training_batches(order, state.schedule.batch_size):
            if state.step >= state.total_steps:
                break
            losses.append(_one_step(state, training_set, rows, generator))
            if state.step % 20 == 0:
                progress(
                    state.step / state.total_steps,
                    f"training, step {state.step} of {state.total_steps}",
                )
    return float(np.mean(losses))


def _one_step(
    state: TrainingState, training_set: _TrainingSet, rows: torch.Tensor, generator: torch.Generator
) -> float:
    weak_augmentation = state.schedule.weak_augmentation or training_set.answers is not None
    x, view = augment(
        training_set.inputs[rows],
        training_set.kind,
        weak_augmentation=weak_augmentation,
        generator=generator,
    )
    for group in state.optimizer.param_groups:
        group["lr"] = state.schedule.learning_rate(state.step, state.total_steps)
    loss = _loss(state, training_set, rows, x, view)
    if not torch.isfinite(loss):
        raise ArithmeticError(
            f"the training loss became {loss.item()} at step {state.step}. Lower max_lr "
            f"(now {state.schedule.max_lr})."
        )
    state.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
    state.optimizer.step()
    state.step += 1
    if training_set.after_step is not None:
        training_set.after_step(state.step / state.total_steps, state.network)
    state.update_average(keep_zeros=training_set.after_step is not None)
    return loss.item()


def _loss(
    state: TrainingState,
    training_set: _TrainingSet,
    rows: torch.Tensor,
    x: torch.Tensor,
    view: torch.Tensor,
) -> torch.Tensor:
    where, schedule, hints = state.where, state.schedule, training_set.hints
    answers = None if training_set.answers is None else training_set.answers[view, rows].to(where)
    x = batch_on(x, where)
    bfloat16 = schedule.bfloat16 and bfloat16_is_fast(where)
    with torch.autocast(where.type, torch.bfloat16, enabled=bfloat16):
        with watched(state.network, hints.student_places if hints else ()) as features:
            logits = state.network(x).float()
        distance = hints.distance(features, x) if hints else None
    loss = training_loss(logits, training_set.targets[rows].to(where), answers, schedule)
    return loss if distance is None else loss + schedule.alpha * HINT_WEIGHT * distance


def _hints(
    network: nn.Module, training: Split, schedule: Schedule, teacher: nn.Module | None, seed: int
) -> Hints | None:
    if schedule.loss is not DistillationLoss.HINTS:
        return None
    if teacher is None:
        raise ValueError("the loss hints needs hints_from, the teacher; got None.")
    where = device()
    example = batch_on(torch.from_numpy(training.inputs[:2]), where)
    student = network_on(copy.deepcopy(network), where)
    return hints_for(student, network_on(copy.deepcopy(teacher), where), example, seed=seed)
