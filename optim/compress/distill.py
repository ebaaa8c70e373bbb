"""Knowledge distillation as a step of its own: any teacher, three losses, few or no labels.

Without labels the teacher's first choice stands in for the right class, and no label of the
training split is read, not even to draw a share of it. Validation still picks the epoch to keep by
its own labels, as everywhere.

With a share of the data an epoch is a pass over that share. So that few examples do not mean few
steps, the batch shrinks until an epoch has ``STEPS`` of them, down to ``SMALLEST_BATCH`` examples;
the learning rate shrinks with it, in proportion for SGD (Goyal et al. 2017) and by the square root
for Adam (Malladi et al. 2022). Who wants as many steps as with all the data asks for more epochs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from optim.compress.training.answers import answers_of
from optim.compress.training.fine_tune import fine_tuning_schedule
from optim.compress.training.loop import Follow, train
from optim.compress.training.schedule import Schedule
from optim.compress.training.teachers import teachers_of
from optim.errors import Refusal, RefusedError
from optim.recipe import Distill, DistillationLoss
from optim.task.datasets import Split
from optim.task.task import Task

STEPS = 20
"""An epoch over a share of the data has at least so many, while batches are not too small."""
SMALLEST_BATCH = 16


def distill(
    task: Task, network: nn.Module, step: Distill, *, seed: int, from_scratch: bool, follow: Follow
) -> nn.Module:
    """Train a network from its teacher's answers.

    Args:
        network: the student, any device; it is left alone.
        step: 0 epochs train nothing; alpha 0 trains without a teacher, as ``train`` does.
        seed: of the examples' order, the share that is drawn, and every random change.
        from_scratch: True if its weights are random: it then trains at the full rate.

    Returns:
        The network of the best epoch on validation, on the CPU, in evaluation mode.

    Raises:
        RefusedError: if the teacher has other classes or another input, if there is no training
            data, or if a class is left without an example.
        ArithmeticError: if the loss stops being a finite number.
    """
    teachers = teachers_of(task, step.teacher)
    training = task.split("train")
    if len(training) == 0:
        raise RefusedError(_nothing_to_learn_from(task))
    if step.epochs == 0:
        return copy.deepcopy(network).cpu().eval()
    answers = answers_of(teachers, training, follow=follow) if step.distill else None
    if not step.labels:
        assert answers is not None  # a recipe without labels has a teacher
        training = Split(inputs=training.inputs, targets=answers[0].argmax(1))
    rows = share_of(training.targets, step.data_share, seed=seed, labels=task.labels)
    hinted = step.distill and step.loss is DistillationLoss.HINTS
    return train(
        network,
        Split(inputs=training.inputs[rows], targets=training.targets[rows]),
        task.split("validation"),
        kind=task.dataset.kind,
        schedule=distillation_schedule(task, step, from_scratch=from_scratch, examples=len(rows)),
        seed=seed,
        teacher_logits=None if answers is None else answers[:, rows],
        hints_from=teachers[0].network() if hinted else None,
        follow=follow,
    ).network


def distillation_schedule(
    task: Task, step: Distill, *, from_scratch: bool, examples: int
) -> Schedule:
    """Return the schedule of fine-tuning, with what the step says of the loss.

    Args:
        from_scratch: True if the weights are random.
        examples: how many there are to learn from.
    """
    schedule = replace(
        fine_tuning_schedule(task, step, from_scratch=from_scratch),
        patience=step.patience,
        loss=step.loss if step.distill else DistillationLoss.SOFT,
        temperature=step.temperature,
        alpha=step.alpha,
    )
    if step.data_share == 1:
        return schedule
    batch = min(schedule.batch_size, max(SMALLEST_BATCH, examples // STEPS))
    power = 1.0 if schedule.optimizer == "sgd" else 0.5
    rate = schedule.max_lr * (batch / schedule.batch_size) ** power
    return replace(schedule, batch_size=batch, max_lr=rate)


def share_of(classes: np.ndarray, share: float, *, seed: int, labels: Sequence[str]) -> np.ndarray:
    """Draw the same share of each class; a smaller share lies inside a larger one of its seed.

    Args:
        classes: the class of each example, (n,).
        share: above 0 to 1.
        labels: the classes' names.

    Returns:
        Rows in ascending order, (m,) int64.

    Raises:
        RefusedError: if a class that has examples would keep none.
    """
    if share == 1:
        return np.arange(len(classes))
    chance = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(classes):
        rows = chance.permutation(np.flatnonzero(classes == label))
        count = round(len(rows) * share)
        if count == 0:
            raise RefusedError(_class_without_example(str(labels[label]), len(rows), share))
        drawn.append(rows[:count])
    return np.sort(np.concatenate(drawn))


def _nothing_to_learn_from(task: Task) -> Refusal:
    return Refusal(
        reason=f"{task.title} has no training data: there is nothing to learn from.",
        remedy="Make zeros without training (sparsify with method sparsegpt and 0 epochs), or "
        "quantize.",
    )


def _class_without_example(label: str, examples: int, share: float) -> Refusal:
    return Refusal(
        reason=f"{share:.1%} of {examples} examples leaves none of the class {label}.",
        remedy=f"Use a data_share of at least {min(1.0, 1 / examples):.2g}.",
    )
