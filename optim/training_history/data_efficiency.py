"""How little data is enough: what was learnt from 1, 10 or 100 % of it, with and without a teacher.

A teacher's answers stand in for labels, so a third way of learning uses no label at all (Hinton,
Vinyals and Dean 2015, section 6, learn from 3 % of the data with a teacher what takes all of it
without).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from optim.recipe import Distill, Precision, step_words
from optim.training_history.history import Standing, Training
from optim.training_history.teacher_gain import interval


class Lesson(StrEnum):
    """What a network has learnt from."""

    BOTH = "teacher and labels"
    LABELS = "labels alone"
    TEACHER = "teacher, no labels"


@dataclass(frozen=True, kw_only=True)
class DataPoint:
    """What was learnt from a share of the training data.

    Attributes:
        score, interval: 0..1.
        epochs: that were trained.
    """

    share: float
    lesson: Lesson
    score: float
    interval: tuple[float, float]
    epochs: int


@dataclass(frozen=True, kw_only=True)
class LittleData:
    """Accuracy against the share of the training data, for one network.

    Attributes:
        tested: of which file the test accuracy is; None where accuracy is that on validation.
        n: examples that it was counted on.
    """

    network: str
    points: tuple[DataPoint, ...]
    tested: Precision | None
    n: int

    @property
    def shares(self) -> tuple[float, ...]:
        """What shares are known, in rising order."""
        return tuple(sorted({point.share for point in self.points}))


def little_data(rows: Sequence[Training], n: int) -> tuple[LittleData, ...]:
    """The networks that were trained on less than all data, those with most points first.

    Where the file of every point was tested in the same precision, that accuracy is taken; else
    that on validation.

    Args:
        n: validation examples.
    """
    groups: dict[tuple[str, int], list[Training]] = defaultdict(list)
    for row in rows:
        step = row.recipe.step(Distill)
        if step is not None and row.final is not None and row.standing is Standing.FINISHED:
            groups[row.network, row.recipe.seed].append(row)
    found = [
        _little_data(network, _chosen(group), n)
        for (network, _), group in groups.items()
        if any(row.data_share < 1 for row in group)
    ]
    return tuple(sorted(found, key=lambda each: -len(each.points)))


def lesson_of(row: Training) -> Lesson:
    """What a training has learnt from."""
    if not row.taught:
        return Lesson.LABELS
    return Lesson.BOTH if row.labelled else Lesson.TEACHER


def _chosen(group: Sequence[Training]) -> list[Training]:
    """For each share and lesson one training: of the teacher most often used, and the longest."""
    variants: dict[tuple[Lesson, str], list[Training]] = defaultdict(list)
    for row in group:
        step = row.recipe.step(Distill)
        assert step is not None  # the group is of those
        how = step_words(replace(step, epochs=1, data_share=1, patience=0))
        variants[lesson_of(row), how].append(row)
    chosen: list[Training] = []
    for lesson in Lesson:
        most = max(
            (rows for (kind, _), rows in variants.items() if kind is lesson),
            key=lambda rows: len({row.data_share for row in rows}),
            default=[],
        )
        for share in sorted({row.data_share for row in most}):
            alike = [row for row in most if row.data_share == share]
            chosen.append(max(alike, key=lambda row: row.planned_epochs))
    return chosen


def _little_data(network: str, rows: Sequence[Training], n: int) -> LittleData:
    common = set(Precision).intersection(*(row.tested for row in rows))
    tested = next((precision for precision in Precision if precision in common), None)
    points = []
    for row in rows:
        final = row.final
        assert final is not None  # only finished ones are taken
        accuracy, low_high = final.kept, interval(final.kept, n)
        if tested is not None:
            accuracy, low_high = row.tested[tested].value, row.tested[tested].interval
        points.append(
            DataPoint(
                share=row.data_share,
                lesson=lesson_of(row),
                score=accuracy,
                interval=low_high,
                epochs=final.epoch,
            )
        )
    counted = n if tested is None else rows[0].tested[tested].n
    return LittleData(network=network, points=tuple(points), tested=tested, n=counted)
