"""A sweep: every pruning ratio in every precision, each ratio trained once.

    ratios x precisions -> recipes -> candidates, one after the other

The workspace re-uses finished prefixes, so the four precisions of one ratio share its training. The
grid goes ratio by ratio for that reason: a sweep that is stopped leaves whole ratios behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optim.candidate import Candidate
from optim.errors import RefusedError
from optim.progress import Progress
from optim.recipe import Precision, Recipe
from optim.search.grid import Grid
from optim.workspace import Workspace, default_folder

if TYPE_CHECKING:
    import pandas as pd


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
        task=workspace.task(task),
        pruning_ratios=pruning_ratios,
        precisions=precisions,
        epochs=epochs,
        distill=distill,
        seed=seed,
    )
    made = tuple(make_each(workspace, task, grid.recipes(), progress=progress))
    return rows_of(workspace, task, made)


def rows_of(workspace: Workspace, task: str, candidates: Iterable[Candidate]) -> pd.DataFrame:
    """Return the rows of some candidates in ``Workspace.frame``, in their order."""
    order = [candidate.id for candidate in candidates]
    return workspace.frame(task).set_index("id", drop=False).loc[order].reset_index(drop=True)
