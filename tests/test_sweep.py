"""The recipes of a sweep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optim import sweeps as grid
from optim.recipe import Criterion, Prune
from optim.search.grid import Grid
from optim.task.task import load_task


def test_a_sweep_prunes_as_the_card_says_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_task("motion-cnn")
    found = replace(task, card={**task.card, "pruning": {"criterion": "fpgm", "epochs": 2}})
    monkeypatch.setattr(grid, "load_task", lambda name: found)
    recipes = Grid(task=task.name, pruning_ratios=(0, 0.5), precisions=("fp32",)).recipes()
    steps = [recipe.step(Prune) for recipe in recipes]
    assert steps == [None, Prune(ratio=0.5, criterion=Criterion.FPGM, epochs=2)]
