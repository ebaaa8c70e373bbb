"""The named presets of every task, over several seeds, each beside its honest control.

    python benchmarks/named_presets.py [TASK ...] [--seeds 3] [--control-seeds 1]
        [--workspace FOLDER]

Accuracy is that of the very file on the test split, as a difference from the original in points:
mean and standard deviation over the seeds. Speed is the ratio of lower quartiles of interleaved
runs against the FP32 original, size that of the bytes on disk; both of the last seed's file. The
control is the same small network trained from scratch (`optim.search.named_presets.control_of`).
What is trained is kept in the workspace: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from optim import Recipe, Workspace, load_task, sample_tasks
from optim.candidate import Candidate
from optim.search.named_presets import control_of, named_presets
from optim.task.task import Task


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=[task.name for task in sample_tasks()])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--control-seeds", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench"))
    arguments = parser.parse_args()
    workspace = Workspace(arguments.workspace)
    print(
        f"{workspace.environment.words()}\n\n| task | preset | change | faster | smaller | kept |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    for task in map(load_task, arguments.tasks):
        for preset in named_presets(task):
            made = _made(workspace, task, preset.recipe, arguments.seeds)
            change, faster, smaller = _figures(workspace, task, made)
            kept = change >= -preset.drop and faster >= preset.faster and smaller >= preset.smaller
            _print(task.name, preset.name, made, (faster, smaller), "yes" if kept else "no")
            control = control_of(task, preset.recipe)
            if control is not None and arguments.control_seeds:
                made = _made(workspace, task, control, arguments.control_seeds)
                ratios = _figures(workspace, task, made)[1:]
                _print("", f"control: {control.words()}", made, ratios, "")


def _made(workspace: Workspace, task: Task, recipe: Recipe, seeds: int) -> list[Candidate]:
    made = [
        workspace.make(task, Recipe(steps=recipe.steps, seed=recipe.seed + i)) for i in range(seeds)
    ]
    return [
        workspace.measure(c.id) if c.score is not None and c.score.recorded else c for c in made
    ]


def _figures(
    workspace: Workspace, task: Task, made: Sequence[Candidate]
) -> tuple[float, float, float]:
    """Mean change of accuracy, 0..1; times faster and times smaller of the last file."""
    last, baseline = made[-1], workspace.make(task, Recipe())
    assert last.latency is not None
    assert last.artifact is not None
    assert baseline.artifact is not None
    change = float(np.mean([c.score.difference for c in made if c.score is not None]))
    return change, last.latency.speedup, baseline.artifact.size_bytes / last.artifact.size_bytes


def _print(
    task: str, name: str, made: Sequence[Candidate], ratios: tuple[float, float], kept: str
) -> None:
    changes = [100 * c.score.difference for c in made if c.score is not None]
    spread = f" ±{np.std(changes, ddof=1):.2f}" if len(changes) > 1 else ""
    print(
        f"| {task} | {name} | {np.mean(changes):+.2f}{spread} | {ratios[0]:.1f}x "
        f"| {ratios[1]:.1f}x | {kept} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
