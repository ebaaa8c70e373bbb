"""Teachers and their answers: the original network, other sample networks, or several of them.

A teacher answers each training example once, as it is and mirrored; the student then learns from a
table of logits, which costs no more than learning from labels ("consistent teaching", see
``augment.py``). Several teachers speak as one: their logits are averaged, which is the geometric
mean of their softened probabilities at every temperature (Hinton, Vinyals and Dean 2015 name
arithmetic and geometric mean alike). The arithmetic one would need a table for each temperature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import nn

from optim.compress.training.augment import views
from optim.compress.training.evaluation import logits_of
from optim.errors import Refusal, RefusedError, UnknownTaskError
from optim.progress import Progress
from optim.task.datasets import Split
from optim.task.task import Task, load_task, same_question, sample_tasks


def teachers_of(task: Task, names: Sequence[str]) -> tuple[Task, ...]:
    """The tasks whose networks teach; without a name it is the task itself.

    Raises:
        RefusedError: if there is no such task, or it has other classes or another input.
    """
    return tuple(_teacher(task, name) for name in names) or (task,)


def answers_of(
    teachers: Sequence[Task], training: Split, *, progress: Progress = lambda share, words: None
) -> np.ndarray:
    """The mean of the teachers' logits on a training split, (views, n, classes).

    Args:
        teachers: at least one.
        training: the whole split, in its own order; answers that ship are rows of it.

    Returns:
        float16 from one teacher, float32 from several.
    """
    tables = [_known_or_asked(teacher, training, progress) for teacher in teachers]
    if len(tables) == 1:
        return tables[0]
    return np.asarray(np.mean([table.astype(np.float32) for table in tables], axis=0))


def teacher_answers(task: Task, progress: Progress) -> np.ndarray:
    """The original network's logits on the training split, (views, n, classes) float16."""
    return answers_of((task,), task.split("train"), progress=progress)


def label_views(
    network: nn.Module, inputs: np.ndarray, kind: Literal["image", "series"]
) -> np.ndarray:
    """A teacher's logits for every example and view, (V, n, classes) float16."""
    x = torch.from_numpy(inputs)
    return np.stack([logits_of(network, view.numpy()) for view in views(x, kind)]).astype(
        np.float16
    )


def _teacher(task: Task, name: str) -> Task:
    fitting = ", ".join(other.name for other in sample_tasks() if same_question(task, other))
    remedy = f"Choose of: {fitting}." if fitting else "Leave the teacher out."
    try:
        teacher = load_task(name)
    except UnknownTaskError as error:
        raise RefusedError(
            Refusal(reason=f"there is no teacher {name!r:.60}.", remedy=remedy)
        ) from error
    if not same_question(task, teacher):
        raise RefusedError(
            Refusal(
                reason=f"{name} cannot teach {task.name}: it answers with {len(teacher.labels)} "
                f"classes ({teacher.labels[0]}, ...) to inputs of shape {teacher.input_shape}, the "
                f"student with {len(task.labels)} ({task.labels[0]}, ...) to {task.input_shape}.",
                remedy=remedy,
            )
        )
    return teacher


def _known_or_asked(teacher: Task, training: Split, progress: Progress) -> np.ndarray:
    known = teacher.teacher_logits()
    if known is not None and known.shape[1] == len(training):
        return known
    examples = hashlib.sha256(training.inputs.tobytes()).hexdigest()
    question = (teacher.fingerprint, examples)
    if question not in _ASKED:
        progress(0.0, f"asking {teacher.title} for its answers")
        _ASKED[question] = label_views(teacher.network(), training.inputs, teacher.dataset.kind)
    return _ASKED[question]


_ASKED: dict[tuple[str, str], np.ndarray] = {}
"""Logits that do not ship, by the hashes of network and examples: asked once per process."""
