"""A teacher's answers: asked for at first need, kept in the workspace part by part.

A teacher answers each training example once, as it is and mirrored; the student then learns from a
table of logits, which costs no more than learning from labels ("consistent teaching", see
``augment.py``). Several teachers speak as one: their logits are averaged, which is the geometric
mean of their softened probabilities at every temperature (Hinton, Vinyals and Dean 2015 name
arithmetic and geometric mean alike). The arithmetic one would need a table for each temperature.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from optim.artifact import write_atomically
from optim.compress.training.augment import views
from optim.compress.training.batches import device, network_on
from optim.compress.training.evaluation import logits_of
from optim.compress.training.loop import Follow
from optim.task.datasets import Kind, Split
from optim.task.task import Task

PART = 2560
"""Examples in a file: whole batches of ``logits_of``, a few seconds on two cores."""


def answers_of(teachers: Sequence[Task], training: Split, *, follow: Follow) -> np.ndarray:
    """Return the mean of the teachers' logits on a training split, (views, n, classes).

    Args:
        teachers: at least one.
        training: the examples that are asked about.
        follow: who is told how far it is, and where answers are kept: what is there already is
            read, so that an interrupted run goes on where it stopped.

    Returns:
        float16 from one teacher, float32 from several.

    Raises:
        WorkspaceError: if the answers cannot be written.
    """
    tables = [_table(teacher, training, follow) for teacher in teachers]
    if len(tables) == 1:
        return tables[0]
    return np.asarray(np.mean([table.astype(np.float32) for table in tables], axis=0))


def teacher_answers(task: Task, follow: Follow) -> np.ndarray:
    """Return the original network's logits on the training split, (views, n, classes) float16."""
    return answers_of((task,), task.split("train"), follow=follow)


def label_views(network: nn.Module, inputs: np.ndarray, kind: Kind) -> np.ndarray:
    """Return a teacher's logits for every example and view, (V, n, classes) float16."""
    x = torch.from_numpy(inputs)
    return np.stack([logits_of(network, view.numpy()) for view in views(x, kind)]).astype(
        np.float16
    )


def _table(teacher: Task, training: Split, follow: Follow) -> np.ndarray:
    """Return one teacher's logits, from the kept parts where they are there."""
    folder = None if follow.answers is None else follow.answers / _question(teacher, training)
    network: nn.Module | None = None
    parts, started, asked = [], time.monotonic(), 0
    for start in range(0, len(training), PART):
        path = None if folder is None else folder / f"{start:08d}.npy"
        inputs = training.inputs[start : start + PART]
        part = None if path is None else _kept(path, examples=len(inputs))
        if part is None:
            follow.progress(0.0, _words(teacher, training, start, asked, started))
            network = network or network_on(teacher.network(), device())
            part = label_views(network, inputs, teacher.dataset.kind)
            asked += len(inputs)
            if path is not None:
                write_atomically(path, _npy(part))
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _question(teacher: Task, training: Split) -> str:
    """Return a key for the teacher, the examples and their order."""
    examples = hashlib.sha256(training.inputs.tobytes()).hexdigest()[:16]
    return f"{teacher.fingerprint}-{examples}"


def _words(teacher: Task, training: Split, done: int, asked: int, started: float) -> str:
    """Return how far it is, and how long it will take once that can be told."""
    words = f"asking {teacher.title} for its answers: {done:,} of {len(training):,} examples"
    if not asked:
        return words
    left = (time.monotonic() - started) / asked * (len(training) - done)
    return f"{words}, about {left:.0f} s left"


def _kept(path: Path, *, examples: int) -> np.ndarray | None:
    """Return a part that was asked for before; None if there is none, or it is damaged."""
    try:
        part = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(part, np.ndarray) and part.dtype == np.float16 and part.ndim == 3
    return part if fits and part.shape[1] == examples else None


def _npy(part: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, part, allow_pickle=False)
    return file.getvalue()
