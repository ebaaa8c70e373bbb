"""The recipes of a sweep."""

from __future__ import annotations

from dataclasses import replace

from optim.recipe import Criterion, Prune
from optim.search.grid import Grid
from optim.task.task import load_task


def test_a_sweep_prunes_as_the_card_says_is_best() -> None:
    task = load_task("motion-cnn")
    best = Prune(ratio=0.5, criterion=Criterion.FPGM, epochs=2)
    found = replace(task, card=replace(task.card, pruning=best))
    recipes = Grid(task=found, pruning_ratios=(0, 0.5), precisions=("fp32",)).recipes()
    steps = [recipe.step(Prune) for recipe in recipes]
    assert steps == [None, best]
