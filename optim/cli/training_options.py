"""The options of `run` about students and teachers, and the steps that they mean together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import click

from optim.recipe import Architecture, Distill, DistillationLoss, Replace


@dataclass(frozen=True, kw_only=True)
class Student:
    """What the command line says of a student; None is left out."""

    student: str | None
    width: float | None
    stride: int | None
    student_epochs: float | None

    def step(self, *, distill: bool) -> Replace | None:
        """The step that it means.

        Raises:
            ValueError: if a value is out of range, or there is no student.
        """
        own = given_of(self, "width", "stride", "student_epochs")
        if self.student is None:
            for name in own:
                raise ValueError(
                    f"--{name.replace('_', '-')} is about a student. Add --student FAMILY."
                )
            return None
        if "student_epochs" in own:
            own["epochs"] = own.pop("student_epochs")
        return Replace(architecture=Architecture(self.student.lower()), distill=distill, **own)


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """What the command line says of a distillation; None is left out."""

    distill_epochs: float | None
    teacher: tuple[str, ...]
    distill_loss: str | None
    temperature: float | None
    alpha: float | None
    no_labels: bool
    data_share: float | None
    patience: int | None

    def step(self) -> Distill | None:
        """The step that it means.

        Raises:
            ValueError: if a value is out of range, or it is not said how long.
        """
        own = given_of(self, "distill_loss", "temperature", "alpha", "data_share", "patience")
        own |= {"teacher": self.teacher} if self.teacher else {}
        own |= {"no_labels": True} if self.no_labels else {}
        if self.distill_epochs is None:
            for name in own:
                raise ValueError(
                    f"--{name.replace('_', '-')} says how to learn from a teacher. Add "
                    "--distill-epochs 5."
                )
            return None
        if "distill_loss" in own:
            own["loss"] = own.pop("distill_loss")
        return Distill(epochs=self.distill_epochs, labels=not own.pop("no_labels", False), **own)


STUDENT_OPTIONS = tuple(field.name for field in fields(Student))
TEACHING_OPTIONS = tuple(field.name for field in fields(Teaching))


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; the command gets them together, as ``student`` and ``teaching``."""

    @functools.wraps(command)
    def gathering(*args: Any, **values: Any) -> None:
        student = Student(**{name: values.pop(name) for name in STUDENT_OPTIONS})
        teaching = Teaching(**{name: values.pop(name) for name in TEACHING_OPTIONS})
        command(*args, student=student, teaching=teaching, **values)

    for option in reversed((*_OF_STUDENTS, *_OF_TEACHING)):
        gathering = option(gathering)
    return gathering


def given_of(options: object, *names: str) -> dict[str, Any]:
    """Those of the named options that the command line says."""
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def choice(kind: type[StrEnum]) -> click.Choice[str]:
    """One of the words of a closed list, in either case."""
    return click.Choice([str(item) for item in kind], case_sensitive=False)


_OF_STUDENTS = (
    click.option(
        "--student",
        type=choice(Architecture),
        help="Another architecture takes the network's place and learns its answers.",
    ),
    click.option(
        "--width",
        type=float,
        metavar="SHARE",
        help="Of the student's layers, 0.1 to 1. Default: 1.",
    ),
    click.option(
        "--stride",
        type=int,
        metavar="1|2",
        help="Of the student's first layer; 2 halves the resolution. Default: 1.",
    ),
    click.option(
        "--student-epochs",
        type=float,
        help="Training of the student, in passes over the data; 0 leaves it to --distill-epochs. "
        "Default: 10.",
    ),
)
_OF_TEACHING = (
    click.option(
        "--distill-epochs",
        type=float,
        help="Learn from a teacher for so many passes over the data, after everything that is cut.",
    ),
    click.option(
        "--teacher",
        multiple=True,
        metavar="TASK",
        help="A task on the same data whose network teaches; several are an ensemble. Default: the "
        "original.",
    ),
    click.option(
        "--distill-loss",
        type=choice(DistillationLoss),
        help="What of the teacher is imitated. Default: soft.",
    ),
    click.option("--temperature", type=float, help="Softens the answers. Default: 4."),
    click.option(
        "--alpha",
        type=float,
        help="Weight of the teacher against the labels; 0 has no teacher. Default: 0.7.",
    ),
    click.option("--no-labels", is_flag=True, help="Use no label: the teacher gives them."),
    click.option(
        "--data-share", type=float, metavar="SHARE", help="Of the training data. Default: 1."
    ),
    click.option(
        "--patience",
        type=int,
        metavar="N",
        help="Stop after so many epochs without a better accuracy on validation. Default: never.",
    ),
)
