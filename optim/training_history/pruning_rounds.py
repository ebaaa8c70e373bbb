"""Pruning in rounds as it goes: what is left after each cut, beside one cut of the same size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optim.recipe import Prune
from optim.training_history.history import Training


@dataclass(frozen=True, kw_only=True)
class Round:
    """A network as one round of pruning left it.

    Attributes:
        ratio: share removed so far, of what the step's unit says.
        score: on validation, of the best epoch; None before there is one.
        over: True if no epoch of this round is missing.
    """

    ratio: float
    score: float | None
    over: bool


@dataclass(frozen=True, kw_only=True)
class PruningPath:
    """Pruning in rounds, and at once if that is known.

    Attributes:
        rounds: all that are planned, in their order.
        at_once: the training that cuts as much at once and has the same teacher, or none.
    """

    training: Training
    rounds: tuple[Round, ...]
    at_once: Training | None = None


def pruning_paths(rows: Sequence[Training]) -> tuple[PruningPath, ...]:
    """Every training that prunes in rounds."""
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
    """The nearest in length of those that remove as much in one cut."""

    def target(each: Prune) -> Prune:
        return replace(each, rounds=1, epochs=1, distill=True)

    alike = []
    for other in rows:
        cut = other.recipe.step(Prune)
        if cut is None or cut.rounds > 1 or other.final is None or other.taught != row.taught:
            continue
        if other.data_share == 1 and other.labelled and target(cut) == target(step):
            alike.append(other)
    return min(alike, key=lambda o: abs(o.planned_epochs - row.planned_epochs), default=None)
