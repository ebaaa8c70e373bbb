"""Teachers of a task: the original network, other sample networks, or several of them."""

from __future__ import annotations

from collections.abc import Sequence

from optim.errors import Refusal, RefusedError, UnknownTaskError
from optim.task.task import Task, load_task, same_question, sample_tasks


def teachers_of(task: Task, names: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks whose networks teach; without a name it is the task itself.

    Raises:
        RefusedError: if there is no such task, or it has other classes or another input.
    """
    return tuple(_teacher(task, name) for name in names) or (task,)


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
