"""Losses of a student: against the labels, and against its teacher's outputs.

With a teacher the loss of a batch is

    alpha * imitation + (1 - alpha) * cross-entropy,

where p and q are the teacher's and the student's softmax at temperature T, and the imitation is

    soft        T^2 * KL(p || q)                          Hinton, Vinyals and Dean 2015, section 2
    decoupled   T^2 * (KL(b(p) || b(q)) + BETA * KL(p' || q'))       Zhao et al. 2022, equation 7
    hints       soft, and HINT_WEIGHT times the distance of features inside   ``hints.py``

Here b(p) = (p_t, 1 - p_t) is the answer to "is it the right class t?", and p' the answers among
the other classes alone. KL(p || q) itself is KL(b(p) || b(q)) + (1 - p_t) * KL(p' || q'): a teacher
that is sure of itself hardly tells how the wrong classes differ, and a fixed BETA makes it.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F

from optim.compress.training.schedule import Schedule
from optim.recipe import DistillationLoss

BETA = 2.0
"""Weight of the wrong classes. The paper takes 0.5 to 10, more the surer the teacher is."""


def training_loss(
    logits: torch.Tensor, targets: torch.Tensor, teacher: torch.Tensor | None, schedule: Schedule
) -> torch.Tensor:
    """Return the loss of a batch from its logits; what hints add stands in ``hints.py``.

    Args:
        logits: of the student, (N, classes).
        targets: the right classes, (N,) int64.
        teacher: its logits, (N, classes); None trains on the labels alone.

    Returns:
        One number, the mean over the batch.
    """
    hard = label_loss(logits, targets, smoothing=schedule.label_smoothing)
    if teacher is None:
        return hard
    temperature = schedule.temperature
    if schedule.loss is DistillationLoss.DECOUPLED:
        imitation = decoupled(logits, teacher, targets, temperature=temperature)
    else:
        imitation = soft(logits, teacher, temperature=temperature)
    return schedule.alpha * imitation + (1 - schedule.alpha) * hard


def label_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    smoothing: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
) -> torch.Tensor:
    """The cross-entropy of logits (N, classes) with the right classes, over the batch."""
    return F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction=reduction)


def soft(student: torch.Tensor, teacher: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """Return T^2 * KL of the softened outputs, mean over the batch.

    T^2 keeps the gradient as large as that of the labels, whatever the temperature.

    Args:
        student, teacher: logits (N, classes).
    """
    divergence = F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return temperature * temperature * divergence


def decoupled(
    student: torch.Tensor,
    teacher: torch.Tensor,
    targets: torch.Tensor,
    *,
    temperature: float,
    beta: float = BETA,
) -> torch.Tensor:
    """T^2 * (KL of "is it the right class" + beta * KL among the wrong ones), mean over the batch.

    Args:
        student, teacher: logits (N, classes), at least 2 classes.
        targets: the right classes, (N,).
        beta: weight of the wrong classes.
    """
    right_student, others_student = _split(student / temperature, targets)
    right_teacher, others_teacher = _split(teacher / temperature, targets)
    right = F.kl_div(right_student, right_teacher, reduction="batchmean", log_target=True)
    others = F.kl_div(others_student, others_teacher, reduction="batchmean", log_target=True)
    return temperature * temperature * (right + beta * others)


def _split(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logarithms of (p_t, 1 - p_t), (N, 2), and of the other classes, (N, classes - 1).

    From sums of logits, never from 1 - p_t: it rounds to 0 for a teacher that is sure.
    """
    n, classes = logits.shape
    is_right = F.one_hot(targets, classes).bool()
    others = logits[~is_right].view(n, classes - 1)
    pair = torch.stack([logits[is_right], others.logsumexp(1)], 1)
    return F.log_softmax(pair, 1), F.log_softmax(others, 1)
