"""Settings of the left column of Distill & train, as one value, and their recipes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dashboard.state.chosen import NOTHING_CHOSEN, Chosen
from optim.recipe import (
    Architecture,
    Distill,
    Precision,
    Prune,
    Quantize,
    Recipe,
    Replace,
    Step,
)
from optim.task.architectures import ARCHITECTURES, FOR_SERIES
from optim.task.task import Task, teachers


class Student(StrEnum):
    """Kind of network that learns."""

    PRUNED = "the pruned network"
    NARROWER = "a narrower network"
    FAMILY = "another family"
    SAME = "the original itself"


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Student, teacher, and how the one learns from the other.

    What has no effect beside the other choices is ignored by ``recipe``, so that two settings
    which train the same network are the same recipe.

    Attributes:
        ratio: percent of the channels removed, of a pruned student.
        rounds: in so many cuts; with more than one the original teaches after each.
        width: percent of the layers' own width, of a narrower student.
        family: of a student of another family; None is the first that takes the task's input.
        family_width, halved: of that student; halved sees the input at half the resolution.
        teacher: names of tasks whose networks teach; empty is the original.
        epochs: None is what suits the task.
        chosen: what the controls of single fields say.
    """

    student: Student = Student.PRUNED
    ratio: int = 50
    rounds: int = 1
    width: int = 50
    family: Architecture | None = None
    family_width: int = 100
    halved: bool = False
    teacher: tuple[str, ...] = ()
    epochs: float | None = None
    chosen: Chosen = NOTHING_CHOSEN
    precision: Precision = Precision.INT8

    @property
    def in_rounds(self) -> bool:
        """True if pruning trains after each cut, so that there is no other distillation."""
        return self.student is Student.PRUNED and self.rounds > 1

    def recipe(self, task: Task) -> Recipe:
        """Return the recipe that the settings mean for a task, with the teacher."""
        epochs = task.fine_tuning_epochs if self.epochs is None else self.epochs
        steps: list[Step] = []
        if self.in_rounds:
            steps.append(Prune(ratio=self.ratio / 100, rounds=self.rounds, epochs=epochs))
        else:
            student = self._student(task)
            steps += [] if student is None else [student]
            steps.append(self._distill(task, epochs))
        if self.precision is not Precision.FP32:
            steps.append(Quantize(precision=self.precision))
        return Recipe(steps=tuple(steps))

    def _student(self, task: Task) -> Step | None:
        """Return the untrained student; None if the original itself learns on."""
        match self.student:
            case Student.PRUNED:
                return Prune(ratio=self.ratio / 100, epochs=0)
            case Student.NARROWER:
                own = Architecture(task.architecture or families(task)[0])
                return Replace(architecture=own, width=self.width / 100, epochs=0)
            case Student.FAMILY:
                family = self.family if self.family in families(task) else families(task)[0]
                return Replace(
                    architecture=family,
                    width=self.family_width / 100,
                    stride=2 if self.halved and may_be_halved(task) else 1,
                    epochs=0,
                )
            case Student.SAME:
                return None

    def _distill(self, task: Task, epochs: float) -> Distill:
        known = teachers(task)
        chosen = tuple(name for name in self.teacher if name in known)
        return Distill(
            epochs=epochs,
            teacher=() if chosen == (task.name,) else chosen,
            **self.chosen.fields("distill"),
        )


def families(task: Task) -> tuple[Architecture, ...]:
    """Return the families that take the task's input, the task's own last."""
    series = len(task.input_shape) == 2
    fitting = [each for each in ARCHITECTURES if (each in FOR_SERIES) is series]
    return tuple(sorted(fitting, key=lambda each: each == task.architecture))


def may_be_halved(task: Task) -> bool:
    """True if a student may see the task's input at half the resolution."""
    return len(task.input_shape) > 2
