"""The grid of a sweep: precisions times pruning ratios, as recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optim.recipe import Precision, Recipe, recipe_of
from optim.task.task import Task, load_task


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The recipes of a sweep, in the order in which they are made.

    Channels leave as was found best for the task, where somebody has looked.

    >>> grid = Grid(task="motion-cnn", pruning_ratios=(0, 0.5), precisions=("int8",), epochs=1)
    >>> [recipe.words() for recipe in grid.recipes()]
    ['INT8', 'prune 50 % of channels, INT8']
    """

    task: Task | str
    pruning_ratios: Sequence[float]
    precisions: Sequence[Precision | str]
    epochs: float | None = None
    distill: bool = True
    seed: int = 0

    def recipes(self) -> tuple[Recipe, ...]:
        """Return one recipe per ratio and precision, each once.

        Raises:
            ValueError: if a value is out of range, or there is no ratio or precision.
        """
        recipes = [
            self._recipe(ratio, precision)
            for ratio in self.pruning_ratios
            for precision in self.precisions
        ]
        if not recipes:
            raise ValueError("a sweep needs a pruning ratio and a precision; got none.")
        return tuple(dict.fromkeys(recipes))

    def _recipe(self, ratio: float, precision: Precision | str) -> Recipe:
        unpruned = recipe_of(precision=precision, seed=self.seed)
        if ratio == 0:
            return unpruned
        epochs = suitable_epochs(self.task, self.epochs)
        usual = _loaded(self.task).pruning
        step = replace(usual, ratio=ratio, epochs=epochs, distill=self.distill)
        return Recipe(steps=(step, *unpruned.steps), seed=self.seed)


def suitable_epochs(task: Task | str, epochs: float | None) -> float:
    """Return the epochs of fine-tuning: those asked for, else what suits the task."""
    return _loaded(task).pruning.epochs if epochs is None else epochs


def _loaded(task: Task | str) -> Task:
    """Return a task itself; a name is that of a sample."""
    return load_task(task) if isinstance(task, str) else task
