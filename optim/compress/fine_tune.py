"""Training after a change: short, gentle, and with the original network as teacher if asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from optim.compress.training import Schedule, label_views, reestimate_batchnorm, train
from optim.recipe import Prune, TrainingStep
from optim.task import Task

Progress = Callable[[float, str], None]


def fine_tune(
    task: Task, network: nn.Module, step: TrainingStep, *, seed: int, progress: Progress
) -> nn.Module:
    """Train a changed network on the training split, from the original's answers if asked."""
    training = task.split("train")
    network = reestimate_batchnorm(network, training.take(2048, seed=seed).inputs)
    if step.epochs == 0:
        return network
    teacher = None
    if step.distill:
        teacher = task.teacher_logits()
        if teacher is None:
            progress(0.0, "asking the original network for its answers")
            teacher = label_views(task.network(), training.inputs, task.dataset.kind)
    return train(
        network,
        training,
        task.split("validation"),
        kind=task.dataset.kind,
        schedule=fine_tuning_schedule(task, step),
        seed=seed,
        teacher_logits=teacher,
        progress=progress,
    ).network


def fine_tuning_schedule(task: Task, step: TrainingStep) -> Schedule:
    """The task's own schedule, shortened; labels stay hard, because the teacher is soft already."""
    base = Schedule(**task.card["training"]["schedule"])
    # Adam scales its steps itself; SGD at the full rate would undo what the weights have learnt.
    fresh = isinstance(step, Prune) and not step.keep_weights
    share = 0.25 if base.optimizer == "sgd" and not fresh else 1.0
    return replace(
        base,
        epochs=step.epochs,
        max_lr=base.max_lr * share,
        batch_size=min(base.batch_size, 128),
        label_smoothing=0.0,
        ema_decay=0.0 if step.epochs < 3 else base.ema_decay,
        weight_decay=base.weight_decay if step.epochs >= 3 else base.weight_decay * 0.2,
    )
