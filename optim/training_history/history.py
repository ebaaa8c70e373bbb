"""Training histories: the epochs of every trained candidate, stage by stage, with their seconds.

A training may have several stages: rounds of pruning, or a pruning that is trained and then
distilled. Each has a log of its own. Here they are strung together, so that two trainings can be
compared at the same wall-clock time, whatever came before the last step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median
from typing import assert_never

from optim.candidate import Candidate, candidate_id
from optim.measure.measurement import Score
from optim.progress import Epoch
from optim.recipe import (
    Distill,
    Precision,
    Prune,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Sparsify,
)
from optim.recipe.step_words import step_words
from optim.recipe.steps import TrainingStep
from optim.search.effort import GRAPH_STEPS_S, MEASURING_S, seconds_to_measure
from optim.task.task import Task

Log = Callable[[str], tuple[Epoch, ...]]
"""The epochs of a training by the name of its candidate."""

VALIDATING = 0.1
"""Share of an epoch's time, roughly: validation has no backward pass and fewer examples."""


class Standing(StrEnum):
    """State of a training."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Cancelled or failed; what it has learnt so far is still drawn."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """State of a training at the end of an epoch.

    Attributes:
        epoch: counted from 1 over all stages.
        seconds: of training and validating until here, over all stages.
        score: on validation, 0..1.
        kept: of the best epoch of this stage so far: what would stay if it stopped here.
        stage: counted from 0.
    """

    epoch: int
    seconds: float
    score: float
    kept: float
    stage: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step, or one round of pruning, that trains the network.

    Attributes:
        recipe: up to and with this step.
        epochs: as the log has them.
        planned: so many lines the log will have unless the training stops early.
    """

    recipe: Recipe
    epochs: tuple[Epoch, ...]
    planned: int

    @property
    def kept(self) -> float | None:
        """The best accuracy on validation so far."""
        return max((epoch.score for epoch in self.epochs), default=None)


@dataclass(frozen=True, kw_only=True)
class Training:
    """One trained network: a row of the page.

    Attributes:
        id: of the candidate that is nothing but trained.
        recipe: its training steps.
        stages: in their order, at least one.
        parameters: of the network, once its file is written.
        tested: accuracy on the test split of what was made of it, by the precision of the file.
        shown: the candidate that tells most of it: measured, in the fewest bits.
        shipped: it came with the sample: its seconds are those of another machine or hour.
    """

    id: str
    recipe: Recipe
    stages: tuple[Stage, ...]
    standing: Standing
    parameters: int | None = None
    tested: Mapping[Precision, Score] = field(default_factory=dict)
    shown: str | None = None
    shipped: bool = False

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The end of every epoch of every stage."""
        return tuple(_moments(self.stages))

    @property
    def planned_epochs(self) -> int:
        """Number of epochs that are planned over all stages."""
        return sum(stage.planned for stage in self.stages)

    @property
    def final(self) -> Moment | None:
        """The newest epoch of the last stage; None before that stage has one."""
        moments = self.moments
        last = len(self.stages) - 1
        return moments[-1] if moments and moments[-1].stage == last else None

    @property
    def has_teacher(self) -> bool:
        """True if a step that trains has a teacher."""
        return has_teacher(self.recipe)

    @property
    def labelled(self) -> bool:
        """True unless the network learns from the teacher's outputs only."""
        step = self.recipe.step(Distill)
        return step is None or step.labels

    @property
    def network(self) -> str:
        """The trained network in words, whatever its teacher."""
        return network_words(self.recipe)

    @property
    def data_share(self) -> float:
        """Share of the training split that is used, 0..1."""
        return data_share_of(self.recipe)


def trainings(
    task: Task,
    candidates: Sequence[Candidate],
    log: Log,
    *,
    running: Collection[Recipe] = (),
    waiting: Collection[Recipe] = (),
) -> tuple[Training, ...]:
    """Return one row for each known training, in the order of the candidates.

    Args:
        candidates: of the task; several precisions of one training are one row.
        log: returns the epochs of a candidate.
        running, waiting: recipes of jobs that run or are queued.
    """
    asked = [recipe.training_prefix() for recipe in (*running, *waiting)]
    prefixes = dict.fromkeys(
        prefix
        for prefix in (*(c.recipe.training_prefix() for c in candidates), *asked)
        if stage_recipes(prefix)
    )
    rounds = {early for prefix in prefixes for early in _earlier_rounds(prefix)}
    rows = []
    for prefix in prefixes:
        if prefix in rounds:
            continue
        family = [c for c in candidates if c.recipe.training_prefix() == prefix]
        row = _row(task, prefix, family, log)
        row = replace(row, standing=_standing(row, family, running, waiting))
        if row.moments or row.standing in (Standing.RUNNING, Standing.WAITING):
            rows.append(row)
    return tuple(rows)


def stage_recipes(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the part of a recipe up to each step and round that trains."""
    steps = recipe.training_steps()
    found: list[Recipe] = []
    for i, step in enumerate(steps):
        if step.epochs > 0:
            done = Recipe(steps=steps[: i + 1], seed=recipe.seed)
            found += [*_earlier_rounds(done), done]
    return tuple(found)


def network_words(recipe: Recipe) -> str:
    """Return the trained network in words, without its epochs and its teacher.

    >>> network_words(Recipe(steps=(Prune(ratio=0.5, epochs=3, distill=False), Distill())))
    'prune 50 % of channels'
    >>> network_words(Recipe(steps=(Distill(),)))
    'the original network'
    """
    steps = (_untold(step) for step in recipe.training_steps() if not isinstance(step, Distill))
    return ", ".join(map(step_words, steps)) or "the original network"


def has_teacher(recipe: Recipe) -> bool:
    """True if a step that trains has a teacher."""
    return any(step.distill and step.epochs > 0 for step in recipe.training_steps())


def data_share_of(recipe: Recipe) -> float:
    """Return the share of the training split that a recipe uses, 0..1."""
    step = recipe.step(Distill)
    return 1.0 if step is None else step.data_share


def seconds_to_train(
    recipe: Recipe, known: Sequence[Training], candidates: Sequence[Candidate]
) -> float | None:
    """Estimate the seconds that a recipe takes from the click to its figures.

    An epoch of the same network takes as long as it did before, for as much data; otherwise the
    estimate is the one of the sliders.

    Returns:
        None if nothing like it has been trained.
    """
    network, part = network_words(recipe), _epoch_share(data_share_of(recipe))
    seconds = [
        epoch.seconds * part / _epoch_share(row.data_share)
        for row in known
        if row.network == network
        for stage in row.stages
        for epoch in stage.epochs
    ]
    made = any(c.recipe == recipe.training_prefix() and c.artifact for c in candidates)
    if not seconds or made:
        return seconds_to_measure(recipe if made else _as_long(recipe, part), candidates)
    epochs = sum(step.epochs for step in recipe.training_steps())
    return median(seconds) * epochs + MEASURING_S + GRAPH_STEPS_S


def _epoch_share(data_share: float) -> float:
    """Return the length of an epoch on a share of the data; validation is always on all of it."""
    return VALIDATING + (1 - VALIDATING) * data_share


def _as_long(recipe: Recipe, part: float) -> Recipe:
    """Return a recipe whose epochs on all data take as long as these on a part of it."""
    steps = (
        replace(step, epochs=part * step.epochs) if isinstance(step, Distill) else step
        for step in recipe.steps
    )
    return recipe if part == 1 else Recipe(steps=tuple(steps), seed=recipe.seed)


def _earlier_rounds(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the rounds before the last one of a recipe that ends in pruning, in order."""
    steps = recipe.training_steps()
    if not steps or not isinstance(steps[-1], Prune) or steps[-1].epochs == 0:
        return ()
    found: list[Recipe] = []
    earlier = recipe.training_prefix().earlier_round()
    while earlier is not None:
        found.insert(0, earlier)
        earlier = earlier.earlier_round()
    return tuple(found)


def _row(task: Task, prefix: Recipe, family: Sequence[Candidate], log: Log) -> Training:
    stages = tuple(
        Stage(recipe=each, epochs=log(candidate_id(task, each)), planned=_planned(each))
        for each in stage_recipes(prefix)
    )
    alone = next((c for c in family if c.recipe == prefix), None)
    measured = [c for c in family if c.measured]
    return Training(
        id=candidate_id(task, prefix),
        recipe=prefix,
        stages=stages,
        standing=Standing.STOPPED,
        parameters=alone.facts.parameters if alone and alone.facts else None,
        tested={c.recipe.precision: c.score for c in family if c.score is not None and _plain(c)},
        shown=min(measured, key=lambda c: c.recipe.precision.bits).id if measured else None,
        shipped=any(c.prebuilt for c in family),
    )


def _standing(
    row: Training,
    family: Sequence[Candidate],
    running: Collection[Recipe],
    waiting: Collection[Recipe],
) -> Standing:
    last = row.stages[-1]
    if len(last.epochs) >= last.planned or any(c.artifact for c in family):
        return Standing.FINISHED
    if any(recipe.training_prefix() == row.recipe for recipe in running):
        return Standing.RUNNING
    if any(recipe.training_prefix() == row.recipe for recipe in waiting):
        return Standing.WAITING
    return Standing.STOPPED


def _moments(stages: Sequence[Stage]) -> Iterator[Moment]:
    number, seconds = 0, 0.0
    for place, stage in enumerate(stages):
        kept = 0.0
        for epoch in stage.epochs:
            number, seconds = number + 1, seconds + epoch.seconds
            kept = max(kept, epoch.score)
            yield Moment(epoch=number, seconds=seconds, score=epoch.score, kept=kept, stage=place)


def _planned(recipe: Recipe) -> int:
    step = recipe.training_steps()[-1]
    return math.ceil(step.epochs_per_round if isinstance(step, Prune) else step.epochs)


def _untold(step: TrainingStep) -> TrainingStep:
    """Return a step without what its training is told by."""
    match step:
        case Replace():
            return replace(step, epochs=0)
        case Distill():
            return Distill()
        case ReplaceActivation() | Prune() | Sparsify() | QuantizeAware():
            return replace(step, epochs=1, distill=True)
        case _:
            assert_never(step)


def _plain(candidate: Candidate) -> bool:
    """True if nothing but a quantization with its usual options came after the training."""
    rest = candidate.recipe.steps[len(candidate.recipe.training_steps()) :]
    step = candidate.recipe.step(Quantize)
    return not rest or (step is not None and rest == (Quantize(precision=step.precision),))
