"""Cutting little by little against cutting at once: the same epochs in all, several seeds.

    python benchmarks/iterative_pruning.py [TASK] [--ratio 0.75] [--epochs 4] [--rounds 1 2 4]
        [--seeds 3]

Every way ends at the same widths. `seconds` are those of training: early rounds train a wider
network, so the same epochs cost more time; the last line is one-shot with the time of the slowest
way instead of its epochs. Accuracy is that of the FP32 file on the test split, as a difference from
the original in points: mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from optim import Recipe, Workspace, load_task
from optim.candidate import candidate_id
from optim.devices.target import Target
from optim.measure.scoring import predictions_of
from optim.pipeline.make import make_candidate
from optim.recipe import Prune
from optim.store.training_log import TrainingLog
from optim.task.task import Task


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", default="fashion-resnet")
    parser.add_argument("--ratio", type=float, default=0.75)
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--rounds", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench"))
    arguments = parser.parse_args()
    task, workspace = load_task(arguments.task), Workspace(arguments.workspace)
    baseline = _accuracy(workspace, task, Recipe())
    print(f"\n{task.title}: FP32 {baseline:.2%}, {arguments.ratio:.0%} of channels")
    print("rounds  epochs   change           seconds", flush=True)
    slowest, once = 0.0, 0.0
    for rounds in arguments.rounds:
        step = Prune(ratio=arguments.ratio, rounds=rounds, epochs=arguments.epochs)
        seconds = _print_row(workspace, task, step, baseline, arguments.seeds)
        slowest = max(slowest, seconds)
        once = seconds if rounds == 1 else once
    if once and slowest > once:
        longer = round(arguments.epochs * slowest / once, 1)
        _print_row(
            workspace, task, Prune(ratio=arguments.ratio, epochs=longer), baseline, arguments.seeds
        )


def _print_row(workspace: Workspace, task: Task, step: Prune, baseline: float, seeds: int) -> float:
    """One way, and the seconds that it trains."""
    recipes = [Recipe(steps=(step,), seed=seed) for seed in range(seeds)]
    changes = [100 * (_accuracy(workspace, task, recipe) - baseline) for recipe in recipes]
    seconds = float(np.mean([_seconds(workspace, task, recipe) for recipe in recipes]))
    spread = np.std(changes, ddof=1) if seeds > 1 else np.nan
    print(
        f"{step.rounds:6d}  {step.epochs:6g}  {np.mean(changes):+6.2f} ±{spread:4.2f}  "
        f"{seconds:8.0f}",
        flush=True,
    )
    return seconds


def _accuracy(workspace: Workspace, task: Task, recipe: Recipe) -> float:
    candidate = make_candidate(workspace.results, task, recipe)
    assert candidate.artifact is not None, candidate.refusal
    test = task.split("test")
    classes = predictions_of(Target().load_engine(), candidate.artifact.path, test, threads=1)
    return float((classes == test.targets).mean())


def _seconds(workspace: Workspace, task: Task, recipe: Recipe | None) -> float:
    """Seconds of training, of all rounds."""
    if recipe is None:
        return 0.0
    own = TrainingLog(workspace.path).get(candidate_id(task, recipe))
    return sum(epoch.seconds for epoch in own) + _seconds(workspace, task, recipe.earlier_round())


if __name__ == "__main__":
    main()
