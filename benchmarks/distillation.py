"""What a teacher is worth: a small student with and without one, at equal wall-clock time.

    python benchmarks/distillation.py [TASK] [--epochs 10] [--smaller 7] [--ways labels soft ...]
        [--student FAMILY --width 0.375 --stride 2] [--alpha 0.7] [--temperature 4] [--seeds 3]
        [--test] [--workspace FOLDER]
    python benchmarks/distillation.py --data-efficiency [TASK] [--shares 0.01 0.1 1]

The student is the original with random weights and a share of its parameters, or with --student
another family of this width and stride. Its ways to learn:

    labels     no teacher; the control
    gentle     no teacher, and only the gentle changes to examples that a table of answers allows
               (alpha is a millionth); on pictures, and below three epochs, "labels" are learnt
               so anyway
    soft, decoupled, hints   from the original, by each loss
    ensemble   soft, from all sample networks of the same data; left out where there is one

`seconds` are those of the fastest whole epoch, training and validating, times the epochs: what else
the machine does counts little. Teachers' answers are cached, so a table costs no more than labels;
a way that is slower by more than a tenth is trained once more, with so many fewer epochs. With
--data-efficiency every row has as many steps of the optimizer as with all the data
(`optim/compress/distill.py`), in at most 200 epochs. The teacher itself has seen all of it with its
labels: the Motion network answers its training split without a mistake, so there "no labels" is no
other lesson than "labels, teacher"; the Fashion ResNet is right on 95.5 % of its own.
Accuracy is the best on validation, or with --test that of the FP32 file: mean and standard
deviation over the seeds. What is trained is kept in the workspace.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from optim import Recipe, Workspace, load_task
from optim.candidate import candidate_id
from optim.compress.distill import distillation_schedule
from optim.compress.training.evaluation import accuracy_of
from optim.devices.target import Target
from optim.measure.scoring import predictions_of
from optim.pipeline.make import make_candidate, trained_network
from optim.recipe import Architecture, Distill, DistillationLoss, Prune, PruningUnit, Replace
from optim.store.training_log import TrainingLog
from optim.task.task import Task, sample_tasks

WAYS = ("labels", "gentle", *DistillationLoss, "ensemble")
NEXT_TO_NOTHING = 1e-6
LESSONS: dict[str, dict[str, Any]] = {
    "labels": {"alpha": 0.0},
    "labels, teacher": {},
    "teacher": {"labels": False},
}
MOST_EPOCHS = 200
SLOWER = 1.1


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", default="fashion-resnet")
    parser.add_argument("--epochs", type=float, default=10, help="with all the data")
    parser.add_argument("--smaller", type=float, default=7, help="times fewer parameters")
    parser.add_argument("--student", choices=list(Architecture), help="instead of --smaller")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--alpha", type=float, default=Distill().alpha)
    parser.add_argument("--temperature", type=float, default=Distill().temperature)
    parser.add_argument("--data-efficiency", action="store_true")
    parser.add_argument("--shares", nargs="*", type=float, default=[0.01, 0.1, 1.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", action="store_true", help="for the final table")
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench"))
    given = parser.parse_args()
    step = Distill(epochs=given.epochs, alpha=given.alpha, temperature=given.temperature)
    student: Prune | Replace = Prune(
        ratio=1 - 1 / given.smaller, unit=PruningUnit.PARAMETERS, keep_weights=False, epochs=0.0
    )
    if given.student:
        student = Replace(
            architecture=given.student, width=given.width, stride=given.stride, epochs=0.0
        )
    task, workspace = load_task(given.task), Workspace(given.workspace)
    bench = _Bench(task, workspace, student, given.seeds, given.test)
    print(f"\n{bench.title()}\n", flush=True)
    if given.data_efficiency:
        bench.print_data_efficiency(step, given.shares)
    else:
        bench.print_ways(step, given.ways)


@dataclass(frozen=True)
class _Bench:
    """One task's tables."""

    task: Task
    workspace: Workspace
    student: Prune | Replace
    seeds: int
    test: bool

    def title(self) -> str:
        untrained = Recipe(steps=(self.student,))
        network = trained_network(self.workspace.results, self.task, untrained)
        parameters = sum(p.numel() for p in network.parameters())
        whole = self.task.parameters or 0
        return (
            f"{self.task.title}: {whole:,} parameters, student {parameters:,} "
            f"({whole / parameters:.1f} times fewer); alpha and temperature apply "
            f"to every teacher; accuracy on {'test' if self.test else 'validation'}"
        )

    def print_ways(self, step: Distill, ways: list[str]) -> None:
        """Each way at the same epochs, and at the same time where that differs."""
        print("way         epochs  seconds  accuracy", flush=True)
        allowed = 0.0
        for way in ways:
            others = tuple(t.name for t in sample_tasks() if t.dataset == self.task.dataset)
            if way == "ensemble" and len(others) < 2:
                continue
            step_of_way = _way(step, way, others)
            seconds = self.print_row(f"{way:10s}", step_of_way)
            if way == "labels":
                allowed = seconds
            elif allowed and seconds > SLOWER * allowed:
                fewer = round(step_of_way.epochs * allowed / seconds, 1)
                self.print_row(f"{way:10s}", replace(step_of_way, epochs=fewer))

    def print_data_efficiency(self, step: Distill, shares: list[float]) -> None:
        """Each share of the data with labels, with both, and with the teacher alone."""
        print("share  learns from      epochs  seconds  accuracy", flush=True)
        for share in shares:
            for lesson, changes in LESSONS.items():
                row = replace(step, data_share=share, **changes)
                row = replace(row, epochs=self.epochs_of(row))
                self.print_row(f"{share:5.1%}  {lesson:15s}", row)

    def print_row(self, name: str, step: Distill) -> float:
        """One way over the seeds, and the seconds of its training."""
        recipes = [Recipe(steps=(self.student, step), seed=seed) for seed in range(self.seeds)]
        found = [100 * self.accuracy(recipe) for recipe in recipes]
        seconds = step.epochs * min(self.seconds_an_epoch(recipe) for recipe in recipes)
        spread = np.std(found, ddof=1) if self.seeds > 1 else np.nan
        print(
            f"{name}  {step.epochs:6g}  {seconds:7.0f}  {np.mean(found):.2f} ±{spread:.2f}",
            flush=True,
        )
        return seconds

    def accuracy(self, recipe: Recipe) -> float:
        if not self.test:
            network = trained_network(self.workspace.results, self.task, recipe)
            return accuracy_of(network, self.task.split("validation"))
        candidate = make_candidate(self.workspace.results, self.task, recipe)
        assert candidate.artifact is not None, candidate.refusal
        test = self.task.split("test")
        classes = predictions_of(Target().load_engine(), candidate.artifact.path, test, threads=1)
        return float((classes == test.targets).mean())

    def seconds_an_epoch(self, recipe: Recipe) -> float:
        """Of the fastest; the last may be a part of one."""
        log = TrainingLog(self.workspace.path).get(candidate_id(self.task, recipe))
        return min(epoch.seconds for epoch in log[:-1] or log)

    def epochs_of(self, step: Distill) -> float:
        """So many that the optimizer makes as many steps as with all the data."""
        examples = len(self.task.split("train"))
        steps = []
        for share in (1.0, step.data_share):
            drawn = round(examples * share)
            part = replace(step, data_share=share)
            schedule = distillation_schedule(self.task, part, from_scratch=True, examples=drawn)
            steps.append(-(-drawn // schedule.batch_size))
        return min(MOST_EPOCHS, float(round(step.epochs * steps[0] / steps[1])))


def _way(step: Distill, way: str, others: tuple[str, ...]) -> Distill:
    if way == "labels":
        return replace(step, alpha=0.0)
    if way == "gentle":
        return replace(step, alpha=NEXT_TO_NOTHING)
    if way == "ensemble":
        return replace(step, teacher=others)
    return replace(step, loss=DistillationLoss(way))


if __name__ == "__main__":
    main()
