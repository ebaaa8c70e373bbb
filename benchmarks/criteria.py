"""Which channels should leave: each criterion and scope, before and after fine-tuning.

    python benchmarks/criteria.py [TASK] [--removed 0.7] [--epochs 1] [--criteria l2 taylor ...]
        [--scopes uniform global] [--seeds 3] [--workspace FOLDER]

`removed` is the share of the MACs, so that every row is as much cut as the others. Accuracy on
*validation*, in percent: mean and standard deviation over the seeds. What a card says of pruning
is to be chosen by such a table. What is trained is kept in the workspace.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from optim import Recipe, Workspace, load_task
from optim.compress.training.evaluation import accuracy_of
from optim.pipeline.make import trained_network
from optim.recipe import Criterion, Prune, PruningUnit, Scope
from optim.task.task import Task


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", default="fashion-resnet")
    parser.add_argument("--removed", type=float, default=0.7)
    parser.add_argument("--epochs", type=float, help="default: what suits the task")
    parser.add_argument(
        "--criteria", nargs="*", type=Criterion, default=list(Criterion), choices=list(Criterion)
    )
    parser.add_argument("--scopes", nargs="*", type=Scope, default=list(Scope), choices=list(Scope))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench"))
    given = parser.parse_args()
    task, workspace = load_task(given.task), Workspace(given.workspace)
    epochs = task.fine_tuning_epochs if given.epochs is None else given.epochs
    validation = task.split("validation")
    original = accuracy_of(task.network(), validation)
    print(f"\n{task.title}: {original:.2%} on validation, {given.removed:.0%} of the MACs removed")
    print(f"criterion  scope     cut alone       after {epochs:g} epochs", flush=True)
    for criterion in given.criteria:
        for scope in given.scopes:
            step = Prune(
                ratio=given.removed, unit=PruningUnit.MACS, criterion=criterion, scope=scope
            )
            cut, tuned = (
                _over_seeds(workspace, task, replace(step, epochs=each), given.seeds)
                for each in (0.0, epochs)
            )
            print(f"{criterion:9s}  {scope:8s}  {cut}    {tuned}", flush=True)


def _over_seeds(workspace: Workspace, task: Task, step: Prune, seeds: int) -> str:
    validation = task.split("validation")
    found = [
        100
        * accuracy_of(
            trained_network(workspace.results, task, Recipe(steps=(step,), seed=seed)), validation
        )
        for seed in range(seeds)
    ]
    spread = np.std(found, ddof=1) if seeds > 1 else np.nan
    return f"{np.mean(found):5.2f} ±{spread:5.2f}"


if __name__ == "__main__":
    main()
