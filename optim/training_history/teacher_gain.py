"""Was the teacher worth it: each training beside its twin without.

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
        taught, alone: where each stands then.
        n: validation examples.
    """

    taught: Moment
    alone: Moment
    n: int

    @property
    def gain(self) -> float:
        """What the teacher gives, as a share."""
        return self.taught.kept - self.alone.kept

    @property
    def tied(self) -> bool:
        """True if the 95 % intervals overlap."""
        one, other = (interval(each.kept, self.n) for each in (self.taught, self.alone))
        return one[0] <= other[1] and other[0] <= one[1]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The same network with and without a teacher."""

    taught: Training
    alone: Training

    @property
    def over(self) -> bool:
        """True if nothing will be added to either."""
        ended = (Standing.FINISHED, Standing.STOPPED)
        return self.taught.standing in ended and self.alone.standing in ended

    @property
    def timed_alike(self) -> bool:
        """True if both were trained here: the seconds of a shipped training compare with none."""
        return not (self.taught.shipped or self.alone.shipped)

    def at_equal_time(self, n: int) -> Comparison | None:
        """When the shorter one ended; None if the other had no epoch of its last stage by then.

        None as well if they were not timed alike.
        """
        if not self.timed_alike:
            return None
        ends = self.taught.final, self.alone.final
        limit = min(0.0 if end is None else end.seconds for end in ends)
        return self._compared(lambda moment: moment.seconds <= limit, n)

    def at_equal_epochs(self, n: int) -> Comparison | None:
        """After as many epochs as the shorter one has; None before both have one."""
        ends = self.taught.final, self.alone.final
        limit = min(0 if end is None else end.epoch for end in ends)
        return self._compared(lambda moment: moment.epoch <= limit, n)

    def _compared(self, by_then: Callable[[Moment], bool], n: int) -> Comparison | None:
        taught, alone = _newest(self.taught, by_then), _newest(self.alone, by_then)
        if taught is None or alone is None:
            return None
        return Comparison(taught=taught, alone=alone, n=n)


def interval(accuracy: float, n: int) -> tuple[float, float]:
    """95 % interval of a share that was counted on n examples."""
    return wilson_interval(round(accuracy * n), n)


def pairs(rows: Sequence[Training]) -> tuple[Pair, ...]:
    """Each training with a teacher beside its twin without; those that have none are left out.

    The twin with as many epochs is taken if there is one, else the longest.
    """
    alone: dict[Recipe, list[Training]] = defaultdict(list)
    for row in rows:
        if not row.taught:
            alone[_whatever_long(row.recipe)].append(row)
    found = []
    for row in rows:
        twins = alone.get(_whatever_long(without_teacher(row.recipe)), []) if row.taught else []
        if twins:
            nearest = max(
                twins,
                key=lambda t: (t.planned_epochs == row.planned_epochs, t.planned_epochs),
            )
            found.append(Pair(taught=row, alone=nearest))
    return tuple(found)


def _newest(row: Training, by_then: Callable[[Moment], bool]) -> Moment | None:
    """The newest moment of the last stage that has come by then."""
    last = len(row.stages) - 1
    return next((m for m in reversed(row.moments) if m.stage == last and by_then(m)), None)


def _whatever_long(recipe: Recipe) -> Recipe:
    """The same for trainings that differ only in how long they are."""
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
