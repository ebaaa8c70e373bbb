"""Fine-tuning after a change: short, weakly augmented, taught by the original if asked."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from optim.compress.training.answers import teacher_answers
from optim.compress.training.evaluation import reestimate_batchnorm
from optim.compress.training.loop import AfterStep, Follow, train
from optim.compress.training.schedule import Schedule
from optim.recipe import Distill, Prune, QuantizeAware, Replace, ReplaceActivation, Sparsify
from optim.task.card import USUAL_RATE_SHARE
from optim.task.task import SHORT, Task

Tuned = Replace | ReplaceActivation | Prune | Sparsify | QuantizeAware
"""Steps whose training is the task's own schedule, shortened."""


def fine_tune(
    task: Task,
    network: nn.Module,
    step: Tuned,
    *,
    seed: int,
    after_step: AfterStep | None = None,
    keep_from: float = 0.0,
    follow: Follow,
) -> nn.Module:
    """Train a changed network on the training split, from the original's answers if asked.

    Args:
        after_step, keep_from: see ``train`` and ``Schedule``.
    """
    training = task.split("train")
    network = reestimate_batchnorm(network, training.take(2048, seed=seed).inputs)
    if step.epochs == 0:
        return network
    if isinstance(step, Prune):
        step = replace(step, epochs=step.epochs_per_round)
    return train(
        network,
        training,
        task.split("validation"),
        kind=task.dataset.kind,
        schedule=replace(fine_tuning_schedule(task, step), keep_from=keep_from),
        seed=seed,
        teacher_logits=teacher_answers(task, follow) if step.distill else None,
        after_step=after_step,
        follow=follow,
    ).network


def fine_tuning_schedule(
    task: Task, step: Tuned | Distill, *, from_scratch: bool = False
) -> Schedule:
    """Return the task's own schedule, shortened; labels stay hard, for the teacher is soft.

    With quantizers it is AdamW for every task: a scale's logarithm needs steps that do not shrink
    with its gradient. MobileNetV2 with 4-bit weights after a tenth of an epoch, on 2,000 validation
    examples (standard error 0.6 points): 88.9 % untrained, 92.5 % by AdamW at 1e-3, 92.2 % at 3e-4,
    92.7 % by SGD at 0.005, 91.7 % at 0.02.

    Under SGD a trained network bears a share of its own training's peak rate. A short training may
    want less than a longer one: the card says so where it was found on validation. The ResNet,
    whose own rate was 0.2, with 70 % fewer MACs after one epoch: 94.15 % at 0.05, 94.31 % at 0.02
    (three seeds each); with 85 % fewer 93.78 % at 0.05, 93.99 % at 0.03, 93.86 % at 0.02 (two
    seeds); without 75 % of its channels after two epochs 93.42 % at 0.05, 93.82 % at 0.02, and
    after four 94.10 % at 0.05, 93.98 % at 0.025 (one seed each). MobileNetV2 without half of its
    channels has 90.04 % at either, so it stays at the usual.

    Examples are changed gently, teacher or not: with holes cut into the pictures, as the originals
    were trained, small students learn less from labels. On validation, one seed each: a student of
    an eighth of the ResNet's weights at half the resolution after ten epochs 92.62 % gently and
    91.56 % else, one of a sixteenth after twenty 93.06 % and 91.68 %. Windows of readings change
    gently in short trainings alone: a quarter of Motion's width with random weights, eight epochs,
    loses 1.1 points by it (three seeds).

    Args:
        from_scratch: True if the weights are random, beside the steps that make them so themselves.
    """
    base = Schedule(**task.training.schedule)
    # Adam scales its steps itself; SGD at the full rate would undo what the weights have learnt.
    from_scratch |= isinstance(step, Replace) or (isinstance(step, Prune) and not step.keep_weights)
    if isinstance(step, QuantizeAware):
        base = replace(base, optimizer="adamw", max_lr=1e-3, weight_decay=0.01)
    short = step.epochs < SHORT
    share = task.short_rate_share if short else USUAL_RATE_SHARE
    if from_scratch or base.optimizer == "adamw":
        share = 1.0
    return replace(
        base,
        epochs=step.epochs,
        max_lr=base.max_lr * share,
        batch_size=min(base.batch_size, 128),
        label_smoothing=0.0,
        ema_decay=0.0 if short else base.ema_decay,
        weak_augmentation=short or task.dataset.kind == "image",
        weight_decay=base.weight_decay * (0.2 if short else 1.0),
    )
