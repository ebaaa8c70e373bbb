"""Sparse networks: what zeros cost in accuracy, and what they save on a dense engine.

    python benchmarks/sparsity.py [TASK ...] [--train] [--ways magnitude sparsegpt]
        [--workspace FOLDER]

A row is a way to make zeros. Without `--train` nothing is trained, and only calibration examples
are looked at; with it the gradual schedule follows, with the task's own epochs of fine-tuning.
Zeros are those of the file, the dense first layer included. Changes of accuracy are counted in
points against the original in FP32 on the test split, with their 95 % interval (paired). Latency is
the original's over the candidate's, from interleaved runs; `A/A` is the original against itself.
File and compressed are the original's bytes over the candidate's; the last columns are those of the
same network in INT8. What was made is kept in the workspace: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from optim import Recipe, load_task, sample_tasks
from optim.artifact import Artifact
from optim.candidate import Candidate
from optim.devices.target import Target
from optim.measure.latency import measure
from optim.measure.scoring import predictions_of
from optim.measure.statistics import paired_difference_interval
from optim.pipeline.make import make_candidate
from optim.recipe import Fuse, Pattern, Quantize, Sparsify, SparsifyMethod
from optim.store.results import Results
from optim.task.task import Task

SPARSITIES = (0.5, 0.7, 0.9)
UNTRAINED = (SparsifyMethod.MAGNITUDE, SparsifyMethod.SPARSEGPT)


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=[task.name for task in sample_tasks()])
    parser.add_argument("--train", action="store_true", help="gradual zeros while training, too")
    parser.add_argument("--ways", nargs="*", default=list(UNTRAINED), choices=list(UNTRAINED))
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench"))
    arguments = parser.parse_args()
    for name in arguments.tasks:
        bench = _Bench(load_task(name), Results(arguments.workspace))
        bench.print_table([SparsifyMethod(way) for way in arguments.ways], train=arguments.train)


class _Bench:
    """One task's table."""

    def __init__(self, task: Task, results: Results) -> None:
        self.task, self.results = task, results
        self.test = task.split("test")
        self.original = _file(self.candidate())
        self.baseline = self.right(self.original)

    def print_table(self, ways: list[SparsifyMethod], *, train: bool) -> None:
        """One row as soon as it is measured."""
        print(
            f"\n{self.task.title}: FP32 {self.baseline.mean():.2%}, {len(self.test):,} test "
            f"examples, {Target().environment.words()}\n\n"
            "| zeros | made | in the file | accuracy, points | latency | A/A | file | compressed "
            "| INT8: accuracy, points | file | compressed |\n" + "|---" * 11 + "|",
            flush=True,
        )
        for step in self.steps(ways, train=train):
            print(f"| {' | '.join(self.row(step))} |", flush=True)

    def steps(self, ways: list[SparsifyMethod], *, train: bool) -> Iterator[Sparsify]:
        for sparsity in SPARSITIES:
            for way in ways:
                yield Sparsify(sparsity=sparsity, method=way, epochs=0)
            if train:
                epochs = self.task.fine_tuning_epochs
                yield Sparsify(sparsity=sparsity, method=SparsifyMethod.GRADUAL, epochs=epochs)
        for pattern in (Pattern.TWO_OF_FOUR, Pattern.FOUR_OF_EIGHT):
            for way in ways:
                yield Sparsify(pattern=pattern, method=way, epochs=0)

    def row(self, step: Sparsify) -> Iterator[str]:
        made = self.candidate(step)
        file, whole = _file(made), _file(self.candidate(step, Fuse(), Quantize()))
        facts = made.facts
        assert facts is not None
        assert facts.sparsity is not None
        unstructured = step.pattern is Pattern.UNSTRUCTURED
        latency = measure(file, self.original, Target(), example=self.test.inputs[:1])
        yield f"{step.sparsity:.0%}" if unstructured else str(step.pattern)
        yield str(step.method)
        yield f"{facts.sparsity:.1%}"
        yield self.change(file)
        yield f"{latency.speedup:.2f}x"
        yield f"{latency.null_ratio:.2f}"
        yield from self.ratios(file)
        yield self.change(whole)
        yield from self.ratios(whole)

    def candidate(self, *steps: Sparsify | Fuse | Quantize) -> Candidate:
        return make_candidate(self.results, self.task, Recipe(steps=steps))

    def ratios(self, file: Artifact) -> tuple[str, str]:
        """How many times smaller than the original, as it lies and compressed."""
        return (
            f"{self.original.size_bytes / file.size_bytes:.2f}x",
            f"{self.original.compressed_bytes / file.compressed_bytes:.2f}x",
        )

    def right(self, file: Artifact) -> np.ndarray:
        """Which test examples the file answers rightly."""
        classes = predictions_of(Target().load_engine(), file.path, self.test, threads=1)
        right: np.ndarray = classes == self.test.targets
        return right

    def change(self, file: Artifact) -> str:
        """Difference from the original in points, with its 95 % interval."""
        right = self.right(file)
        worse, better = int((self.baseline & ~right).sum()), int((right & ~self.baseline).sum())
        low, high = paired_difference_interval(worse, better, len(right))
        change = 100 * (right.mean() - self.baseline.mean())
        return f"{change:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _file(candidate: Candidate) -> Artifact:
    assert candidate.artifact is not None, candidate.refusal
    return candidate.artifact


if __name__ == "__main__":
    main()
