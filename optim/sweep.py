"""A sweep: every pruning ratio in every precision, each ratio trained once.

    ratios x precisions -> recipes -> candidates, one after the other

The workspace re-uses finished prefixes, so the four precisions of one ratio share its training. The
grid goes ratio by ratio for that reason: a sweep that is stopped leaves whole ratios behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optim.candidate import Candidate
from optim.errors import RefusedError
from optim.progress import Progress
from optim.recipe import Precision, Recipe, recipe_of
from optim.task.task import load_task
from optim.workspace import Workspace, default_folder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The recipes of a sweep, in the order in which they are made.

    Channels leave as was found best for the task, where somebody has looked.

    >>> grid = Grid(task="motion-cnn", pruning_ratios=(0, 0.5), precisions=("int8",), epochs=1)
    >>> [recipe.words() for recipe in grid.recipes()]
    ['INT8', 'prune 50 % of channels, INT8']
    """

    task: str
    pruning_ratios: Sequence[float]
    precisions: Sequence[Precision | str]
    epochs: float | None = None
    distill: bool = True
    seed: int = 0

    def recipes(self) -> tuple[Recipe, ...]:
        """One recipe per ratio and precision, each once.

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
        usual = load_task(self.task).pruning
        step = replace(usual, ratio=ratio, epochs=epochs, distill=self.distill)
        return Recipe(steps=(step, *unpruned.steps), seed=self.seed)


def make_each(
    workspace: Workspace, task: str, recipes: Sequence[Recipe], *, progress: Progress
) -> Iterator[Candidate]:
    """Make and measure one candidate after the other; a refused one is yielded with its refusal.

    Args:
        progress: called with the share of the whole, 0..1, and what happens now.
    """
    for i, recipe in enumerate(recipes):

        def part(share: float, words: str, i: int = i, recipe: Recipe = recipe) -> None:
            progress((i + share) / len(recipes), f"{recipe.words()}: {words}")

        part(0.0, "begun")
        try:
            yield workspace.make(task, recipe, progress=part)
        except RefusedError:
            refused = workspace.candidate_of(task, recipe)
            if refused is None:
                raise
            yield refused


def sweep(
    task: str,
    *,
    pruning_ratios: Sequence[float] = (0.0, 0.25, 0.5, 0.75),
    precisions: Sequence[Precision | str] = (Precision.FP32, Precision.INT8),
    epochs: float | None = None,
    distill: bool = True,
    seed: int = 0,
    workspace: Workspace | Path | str | None = None,
    progress: Progress = lambda share, words: None,
) -> pd.DataFrame:
    """Make and measure a grid of candidates in this process; what is finished is not made again.

    Args:
        task: the name of a task; ``sample_tasks()`` lists them.
        pruning_ratios: shares of the channels removed, each 0 or above and at most 0.95.
        precisions: any of fp32, fp16, int8, int4.
        epochs: fine-tuning after pruning, in passes over the training split; None is what suits
            the task.
        distill: learn from the original network's answers as well as from the labels.
        workspace: where candidates are kept; the default is ``$EDGE_OPTIM_WORKSPACE``, else
            ``.workspace``.
        progress: called with the share done, 0..1, and what happens now.

    Returns:
        One row per candidate, in the order of the grid; the columns are those of
        ``Workspace.frame``. Candidates that were refused have a reason and no figures.

    Raises:
        UnknownTaskError: if there is no such task.
        ValueError: if a ratio or precision is out of range.
    """
    if not isinstance(workspace, Workspace):
        workspace = Workspace(workspace or default_folder())
    grid = Grid(
        task=task,
        pruning_ratios=pruning_ratios,
        precisions=precisions,
        epochs=epochs,
        distill=distill,
        seed=seed,
    )
    made = tuple(make_each(workspace, task, grid.recipes(), progress=progress))
    return rows_of(workspace, task, made)


def suitable_epochs(task: str, epochs: float | None) -> float:
    """Epochs of fine-tuning: those asked for, else what suits the task."""
    return load_task(task).pruning.epochs if epochs is None else epochs


def rows_of(workspace: Workspace, task: str, candidates: Iterable[Candidate]) -> pd.DataFrame:
    """The rows of some candidates in ``Workspace.frame``, in their order."""
    order = [candidate.id for candidate in candidates]
    return workspace.frame(task).set_index("id", drop=False).loc[order].reset_index(drop=True)
