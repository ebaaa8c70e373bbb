"""Data efficiency: accuracy from 1, 10 or 100 % of the data, with and without a teacher.

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
from optim.training_history.distillation_gain import interval
from optim.training_history.history import Standing, Training


class Supervision(StrEnum):
    """Source of the targets that a network has learnt from."""

    BOTH = "teacher and labels"
    LABELS = "labels alone"
    TEACHER = "teacher, no labels"


@dataclass(frozen=True, kw_only=True)
class DataPoint:
    """Accuracy of one network after training on a share of the data.

    Attributes:
        score, interval: 0..1.
        epochs: that were trained.
    """

    share: float
    supervision: Supervision
    score: float
    interval: tuple[float, float]
    epochs: int


@dataclass(frozen=True, kw_only=True)
class DataEfficiency:
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
        """Shares that have a point, in rising order."""
        return tuple(sorted({point.share for point in self.points}))


def data_efficiency(rows: Sequence[Training], n: int) -> tuple[DataEfficiency, ...]:
    """Return a curve for each network that was trained on less than all data, most points first.

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
        _efficiency_of(network, _chosen(group), n)
        for (network, _), group in groups.items()
        if any(row.data_share < 1 for row in group)
    ]
    return tuple(sorted(found, key=lambda each: -len(each.points)))


def supervision_of(row: Training) -> Supervision:
    """Return the source of the targets that a training has learnt from."""
    if not row.has_teacher:
        return Supervision.LABELS
    return Supervision.BOTH if row.labelled else Supervision.TEACHER


def _chosen(group: Sequence[Training]) -> list[Training]:
    """Choose a training for each share and supervision: the commonest teacher's, the longest."""
    variants: dict[tuple[Supervision, str], list[Training]] = defaultdict(list)
    for row in group:
        step = row.recipe.step(Distill)
        assert step is not None  # the group is of those
        how = step_words(replace(step, epochs=1, data_share=1, patience=0))
        variants[supervision_of(row), how].append(row)
    chosen: list[Training] = []
    for supervision in Supervision:
        most = max(
            (rows for (kind, _), rows in variants.items() if kind is supervision),
            key=lambda rows: len({row.data_share for row in rows}),
            default=[],
        )
        for share in sorted({row.data_share for row in most}):
            alike = [row for row in most if row.data_share == share]
            chosen.append(max(alike, key=lambda row: row.planned_epochs))
    return chosen


def _efficiency_of(network: str, rows: Sequence[Training], n: int) -> DataEfficiency:
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
                supervision=supervision_of(row),
                score=accuracy,
                interval=low_high,
                epochs=final.epoch,
            )
        )
    counted = n if tested is None else rows[0].tested[tested].n
    return DataEfficiency(network=network, points=tuple(points), tested=tested, n=counted)
