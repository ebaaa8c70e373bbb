"""Our pruning against Torch-Pruning's default recipe, the same epochs, several seeds.

    python benchmarks/pruning.py [TASK] [--removed 0.3 0.5 0.7 0.85] [--epochs 1] [--seeds 3]

A row is a share of the multiply-accumulates (MACs) that leaves. Both start from the same trained
network and see the training split for the same number of epochs. Ours: as the card says that this
network is pruned best, else L2 and the same share everywhere; channels in blocks of 16,
batch norms estimated anew, fine-tuned from the original's recorded answers. Theirs: see
`_torch_pruning.py`. Accuracy is that of the FP32 file on the test split, as a difference from the
original in points: mean and standard deviation over the seeds. `faster` is the ratio of lower
quartiles of interleaved runs against the original on ONNX Runtime, in FP32; the last column is the
difference in accuracy at *equal latency*: theirs, read off the line through their own points where
ours is as fast.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _torch_pruning import fine_tuned_by_default, pruned_by_default

from optim import Recipe, Workspace, load_task
from optim.artifact import Artifact, store_artifact
from optim.devices.target import Target
from optim.graph.export import export_onnx
from optim.measure.latency import measure
from optim.measure.scoring import predictions_of
from optim.pipeline.make import make_candidate
from optim.recipe import PruningUnit
from optim.task.task import Task


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One way at one share: accuracies by seed, and the speed-up of the last file."""

    accuracies: tuple[float, ...]
    speedup: float

    @property
    def mean(self) -> float:
        """Over the seeds, 0..1."""
        return float(np.mean(self.accuracies))

    def words(self, baseline: float) -> str:
        """Change in points with its spread, and the speed-up."""
        spread = np.std(self.accuracies, ddof=1) if len(self.accuracies) > 1 else math.nan
        return f"{100 * (self.mean - baseline):+6.2f} ±{100 * spread:4.2f}  {self.speedup:5.2f}x"


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", default="fashion-resnet")
    parser.add_argument("--removed", nargs="*", type=float, default=[0.3, 0.5, 0.7, 0.85])
    parser.add_argument("--epochs", type=float, help="default: what suits the task")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench"))
    arguments = parser.parse_args()
    task = load_task(arguments.task)
    epochs = arguments.epochs or task.fine_tuning_epochs
    bench = _Bench(task, Workspace(arguments.workspace), epochs, arguments.seeds)
    bench.print_table(sorted(arguments.removed))


class _Bench:
    """One task's table."""

    def __init__(self, task: Task, workspace: Workspace, epochs: float, seeds: int) -> None:
        self.task, self.workspace, self.epochs, self.seeds = task, workspace, epochs, seeds
        self.engine, self.test = Target().load_engine(), task.split("test")
        self.original = self.made(Recipe())
        self.baseline = self.accuracy(self.original)

    def print_table(self, removed: list[float]) -> None:
        print(
            f"\n{self.task.title}: FP32 {self.baseline:.2%}, {self.epochs:g} epochs, {self.seeds} "
            f"seeds, {Target().environment.words()}\n"
            "MACs removed   ours: change   faster    Torch-Pruning  faster    at equal latency",
            flush=True,
        )
        rows = []
        for share in removed:
            ours, theirs = self.ours(share), self.theirs(share)
            rows.append((ours, theirs))
            print(
                f"{share:10.0%}   {ours.words(self.baseline)}   {theirs.words(self.baseline)}",
                flush=True,
            )
        points = [(1.0, self.baseline), *((row[1].speedup, row[1].mean) for row in rows)]
        for share, (ours, _) in zip(removed, rows, strict=True):
            print(f"{share:10.0%}   at equal latency {_lead(ours, points)}")

    def ours(self, share: float) -> Figures:
        step = replace(self.task.pruning, ratio=share, unit=PruningUnit.MACS, epochs=self.epochs)
        files = [self.made(Recipe(steps=(step,), seed=seed)) for seed in range(self.seeds)]
        return self.figures(files)

    def theirs(self, share: float) -> Figures:
        network = pruned_by_default(self.task.network(), self.task, macs_removed=share)
        bfloat16 = self.task.training.schedule.get("bfloat16", False)
        files = []
        for seed in range(self.seeds):
            name = f"peer-{self.task.name}-{share:g}-{self.epochs:g}-{seed}.onnx"
            path = self.workspace.path / name
            if not path.exists():
                trained = fine_tuned_by_default(
                    network, self.task, epochs=self.epochs, seed=seed, bfloat16=bfloat16
                )
                path.write_bytes(export_onnx(trained, self.task.input_shape))
            files.append(store_artifact(path.read_bytes(), self.workspace.results.artifacts))
        return self.figures(files)

    def figures(self, files: list[Artifact]) -> Figures:
        latency = measure(files[-1], self.original, Target(), example=self.test.inputs[:1])
        return Figures(
            accuracies=tuple(map(self.accuracy, files)),
            speedup=latency.speedup,
        )

    def made(self, recipe: Recipe) -> Artifact:
        candidate = make_candidate(self.workspace.results, self.task, recipe)
        assert candidate.artifact is not None, candidate.refusal
        return candidate.artifact

    def accuracy(self, artifact: Artifact) -> float:
        classes = predictions_of(self.engine, artifact.path, self.test, threads=1)
        return float((classes == self.test.targets).mean())


def _lead(ours: Figures, points: list[tuple[float, float]]) -> str:
    """Our accuracy minus theirs where theirs is as fast, in points."""
    points = sorted(points)
    if ours.speedup > points[-1][0]:
        return f"at {ours.speedup:.2f}x: none of theirs is as fast"
    theirs = np.interp(
        math.log(ours.speedup), [math.log(x) for x, _ in points], [y for _, y in points]
    )
    return f"at {ours.speedup:.2f}x: {100 * (ours.mean - float(theirs)):+.2f} points"


if __name__ == "__main__":
    main()
