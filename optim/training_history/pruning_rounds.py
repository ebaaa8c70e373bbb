"""Iterative pruning: accuracy after each round, beside one-shot pruning of the same ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optim.recipe import Prune
from optim.training_history.history import Training


@dataclass(frozen=True, kw_only=True)
class Round:
    """State of a network after one round of pruning.

    Attributes:
        ratio: share removed so far, in the step's unit.
        score: on validation, of the best epoch; None before there is one.
        over: True if no epoch of this round is missing.
    """

    ratio: float
    score: float | None
    over: bool


@dataclass(frozen=True, kw_only=True)
class PruningPath:
    """Iterative pruning, and one-shot pruning of the same ratio if that is known.

    Attributes:
        rounds: all planned rounds, in their order.
        at_once: the training that prunes as much at once, with the same teacher, or None.
    """

    training: Training
    rounds: tuple[Round, ...]
    at_once: Training | None = None


def pruning_paths(rows: Sequence[Training]) -> tuple[PruningPath, ...]:
    """Return a path for each training that prunes in rounds."""
    found = []
    for row in rows:
        step = row.recipe.step(Prune)
        if step is None or step.rounds == 1 or step.epochs == 0:
            continue
        stages = [s for s in row.stages if isinstance(s.recipe.training_steps()[-1], Prune)]
        rounds = tuple(
            Round(
                ratio=stage.recipe.pruning_ratio,
                score=stage.kept,
                over=len(stage.epochs) >= stage.planned,
            )
            for stage in stages
        )
        found.append(PruningPath(training=row, rounds=rounds, at_once=_at_once(row, step, rows)))
    return tuple(found)


def _at_once(row: Training, step: Prune, rows: Sequence[Training]) -> Training | None:
    """Return the training that prunes as much at once and is nearest in length, or None."""

    def target(each: Prune) -> Prune:
        return replace(each, rounds=1, epochs=1, distill=True)

    alike = []
    for other in rows:
        cut = other.recipe.step(Prune)
        if cut is None or cut.rounds > 1 or other.final is None:
            continue
        same_teaching = other.has_teacher == row.has_teacher and other.labelled
        if same_teaching and other.data_share == 1 and target(cut) == target(step):
            alike.append(other)
    return min(alike, key=lambda o: abs(o.planned_epochs - row.planned_epochs), default=None)
