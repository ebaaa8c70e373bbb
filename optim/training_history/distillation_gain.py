"""Distillation gain: each training with a teacher beside its twin without one.

Two trainings are compared at the same wall-clock time and at the same number of epochs, by what
each would have kept by then. Accuracies on n validation examples have binomial intervals (Wilson
1927); where these overlap, the trainings are tied. That is careful: both networks answer the same
examples, which a paired test would use, but the log keeps no single answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from optim.measure.statistics import wilson_interval
from optim.recipe import (
    Distill,
    Prune,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Sparsify,
    Step,
)
from optim.recipe.edit import without_teacher
from optim.recipe.steps import GraphStep
from optim.training_history.history import Moment, Standing, Training


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two trainings at one moment.

    Attributes:
        first, second: where each stands then, the one with the teacher (or in rounds) first.
        n: validation examples.
    """

    first: Moment
    second: Moment
    n: int

    @property
    def gain(self) -> float:
        """Accuracy of the first above the second, as a share."""
        return self.first.kept - self.second.kept

    @property
    def tied(self) -> bool:
        """True if the 95 % intervals overlap."""
        one, other = (interval(each.kept, self.n) for each in (self.first, self.second))
        return one[0] <= other[1] and other[0] <= one[1]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The same network with and without a teacher."""

    with_teacher: Training
    without_teacher: Training

    @property
    def over(self) -> bool:
        """True if nothing will be added to either."""
        ended = (Standing.FINISHED, Standing.STOPPED)
        return self.with_teacher.standing in ended and self.without_teacher.standing in ended

    @property
    def timed_alike(self) -> bool:
        """True if both were trained here: the seconds of a shipped training compare with none."""
        return not (self.with_teacher.shipped or self.without_teacher.shipped)

    def at_equal_time(self, n: int) -> Comparison | None:
        """Compare both at the time when the shorter one ended.

        Returns:
            None if the other had no epoch of its last stage by then, or if they were not timed
            alike.
        """
        if not self.timed_alike:
            return None
        ends = self.with_teacher.final, self.without_teacher.final
        limit = min(0.0 if end is None else end.seconds for end in ends)
        return self._compared(lambda moment: moment.seconds <= limit, n)

    def at_equal_epochs(self, n: int) -> Comparison | None:
        """Compare both after as many epochs as the shorter one has; None before both have one."""
        ends = self.with_teacher.final, self.without_teacher.final
        limit = min(0 if end is None else end.epoch for end in ends)
        return self._compared(lambda moment: moment.epoch <= limit, n)

    def _compared(self, by_then: Callable[[Moment], bool], n: int) -> Comparison | None:
        first, second = _newest(self.with_teacher, by_then), _newest(self.without_teacher, by_then)
        if first is None or second is None:
            return None
        return Comparison(first=first, second=second, n=n)


def interval(accuracy: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share that was counted on n examples."""
    return wilson_interval(round(accuracy * n), n)


def pairs(rows: Sequence[Training]) -> tuple[Pair, ...]:
    """Pair each training that has a teacher with its twin without; leave out those without a twin.

    The twin with as many epochs is taken if there is one, else the longest.
    """
    twins_of: dict[Recipe, list[Training]] = defaultdict(list)
    for row in rows:
        if not row.has_teacher:
            twins_of[_of_one_epoch(row.recipe)].append(row)
    found = []
    for row in (row for row in rows if row.has_teacher):
        twins = twins_of.get(_of_one_epoch(without_teacher(row.recipe)))
        if twins:
            nearest = max(
                twins,
                key=lambda t: (t.planned_epochs == row.planned_epochs, t.planned_epochs),
            )
            found.append(Pair(with_teacher=row, without_teacher=nearest))
    return tuple(found)


def _newest(row: Training, by_then: Callable[[Moment], bool]) -> Moment | None:
    """Return the newest moment of the last stage that has come by then, or None."""
    last = len(row.stages) - 1
    return next((m for m in reversed(row.moments) if m.stage == last and by_then(m)), None)


def _of_one_epoch(recipe: Recipe) -> Recipe:
    """Return a recipe that is equal for trainings which differ only in their length."""
    return Recipe(steps=tuple(map(_one_epoch, recipe.steps)), seed=recipe.seed)


def _one_epoch(step: Step) -> Step:
    if isinstance(step, GraphStep):
        return step
    match step:
        case Distill():
            return replace(step, epochs=1, patience=0)
        case Replace() | ReplaceActivation() | Prune() | Sparsify() | QuantizeAware():
            return replace(step, epochs=1) if step.epochs > 0 else step
        case _:
            assert_never(step)
