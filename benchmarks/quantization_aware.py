"""Where quantization-aware training pays and where not: accuracy of the very file on test.

    python benchmarks/quantization_aware.py [TASK ...] [--epochs E] [--grids int4 ...]
        [--starts whole ...] [--ways after trained ...] [--workspace FOLDER]

A row is a network and the weights of its file; activations have 8 bits everywhere. Its columns:

    after     quantized after training, nothing else
    control   trained on for the same epochs with the same teacher and schedule, but in FP32, then
              quantized: what the extra training alone is worth
    trained   trained quantization-aware
    learned   trained quantization-aware, and the scales with it

Trained networks are kept in the workspace, as are the controls: a run that was stopped goes on.
Differences are in points against the task's original in FP32; one seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from optim import Recipe, load_task
from optim.compress.qat.fold import fold_batchnorm
from optim.compress.training.answers import teacher_answers
from optim.compress.training.fine_tune import fine_tuning_schedule
from optim.compress.training.loop import Follow, train
from optim.engines import engine_named
from optim.graph.export import export_onnx
from optim.graph.quantization.quantize import quantize
from optim.measure.scoring import predictions_of
from optim.measure.statistics import paired_difference_interval
from optim.pipeline.make import make_candidate, trained_network
from optim.recipe import Precision, Prune, Quantize, QuantizeAware, TrainingStep
from optim.store.results import Results
from optim.task.task import Task

RATIO = 0.75
GRIDS = {
    "int8": Quantize(),
    "int8-per-tensor": Quantize(per_channel=False),
    "int4": Quantize(precision=Precision.INT4),
    "int4-per-tensor": Quantize(precision=Precision.INT4, per_channel=False),
}
WAYS = ("after", "control", "trained", "learned")


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=["motion-cnn"])
    parser.add_argument("--epochs", type=float, help="default: what suits the task")
    parser.add_argument("--grids", nargs="*", default=list(GRIDS), choices=list(GRIDS))
    parser.add_argument("--starts", nargs="*", default=["whole", "pruned"])
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench"))
    arguments = parser.parse_args()
    for name in arguments.tasks:
        task = load_task(name)
        epochs = task.fine_tuning_epochs if arguments.epochs is None else arguments.epochs
        bench = _Bench(task, Results(arguments.workspace), arguments.workspace, epochs)
        bench.print_table(arguments.starts, arguments.grids, arguments.ways)


class _Bench:
    """One task's table."""

    def __init__(self, task: Task, results: Results, folder: Path, epochs: float) -> None:
        self.task, self.results, self.folder, self.epochs = task, results, folder, epochs
        self.test = task.split("test")
        original = self.path_of(Recipe())
        self.baseline = self.right(original)

    def print_table(self, starts: list[str], grids: list[str], ways: list[str]) -> None:
        print(
            f"\n{self.task.title}: FP32 {self.baseline.mean():.2%}, {self.epochs:g} epochs, "
            f"{len(self.test):,} test examples\n"
        )
        print(f"| network | weights | {' | '.join(ways)} |")
        print(f"|---|---|{'---|' * len(ways)}", flush=True)
        for start in starts:
            before = self.steps_before(start)
            name = "whole" if not before else f"{RATIO:.0%} of channels pruned"
            floats = {"after": self.path_of(Recipe(steps=before))}
            if "control" in ways:
                floats["control"] = self.control(before, start)
            cells = [self.cell(floats[way]) if way in floats else "" for way in ways]
            print(f"| {name} | fp32 | {' | '.join(cells)} |", flush=True)
            for grid in grids:
                paths = self.paths(before, start, GRIDS[grid], ways)
                cells = [self.cell(path) for path in paths]
                print(f"| {name} | {grid} | {' | '.join(cells)} |", flush=True)

    def steps_before(self, start: str) -> tuple[TrainingStep, ...]:
        return (
            (Prune(ratio=RATIO, epochs=self.task.fine_tuning_epochs),) if start == "pruned" else ()
        )

    def paths(
        self, before: tuple[TrainingStep, ...], start: str, step: Quantize, ways: list[str]
    ) -> Iterator[Path]:
        """The file of each way."""
        for way in ways:
            aware = QuantizeAware(
                weight_bits=8 if step.precision is Precision.INT8 else 4,
                epochs=self.epochs,
                per_channel=step.per_channel,
                learned_scales=way == "learned",
            )
            match way:
                case "after":
                    yield self.path_of(Recipe(steps=(*before, step)))
                case "control":
                    content = self.control(before, start).read_bytes()
                    calibration = self.task.split("calibration").inputs
                    path = self.folder / "control.onnx"
                    path.write_bytes(quantize(content, step, calibration))
                    yield path
                case _:
                    yield self.path_of(Recipe(steps=(*before, aware, step)))

    def control(self, before: tuple[TrainingStep, ...], start: str) -> Path:
        """Return the network trained on in FP32, by the loop and schedule of the rest."""
        path = self.folder / f"control-{self.task.name}-{start}-{self.epochs:g}.onnx"
        if not path.exists():
            network = trained_network(self.results, self.task, Recipe(steps=before))
            trained = train(
                fold_batchnorm(network),
                self.task.split("train"),
                self.task.split("validation"),
                kind=self.task.dataset.kind,
                schedule=fine_tuning_schedule(self.task, QuantizeAware(epochs=self.epochs)),
                seed=0,
                teacher_logits=teacher_answers(
                    self.task, Follow(answers=self.results.folder / "teachers")
                ),
            )
            path.write_bytes(export_onnx(trained.network, self.task.input_shape))
        return path

    def path_of(self, recipe: Recipe) -> Path:
        made = make_candidate(self.results, self.task, recipe)
        assert made.artifact is not None, made.refusal
        return made.artifact.path

    def right(self, path: Path) -> np.ndarray:
        """Which test examples the file answers rightly."""
        classes = predictions_of(engine_named("onnxruntime"), path, self.test, threads=1)
        right: np.ndarray = classes == self.test.targets
        return right

    def cell(self, path: Path) -> str:
        """Accuracy, and the difference from the original with its 95 % interval, in points."""
        right = self.right(path)
        worse, better = int((self.baseline & ~right).sum()), int((right & ~self.baseline).sum())
        low, high = paired_difference_interval(worse, better, len(right))
        change = 100 * (right.mean() - self.baseline.mean())
        return f"{right.mean():.2%} ({change:+.2f}, {100 * low:+.2f} to {100 * high:+.2f})"


if __name__ == "__main__":
    main()
