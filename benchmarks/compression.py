"""What compression gives on every sample task: measured files, ratios against the FP32 original.

    python benchmarks/compression.py [TASK ...] [--workspace FOLDER] [--only-prebuilt]

Each line is one ONNX file: its latency is interleaved with the original's (A B A'), its accuracy
is computed by running it over the test split, its size is the bytes on disk. `null` is the original
against itself in the same run. Lines marked with * are controls: the same small network trained
from scratch for the same number of epochs, with the same teacher. ~ is a latency from a moment that
was noisy to the end (docs/measuring.md). The second table names the best
file at each loss; it is read off the test split, so it is a summary of the table above and not a
promise about other data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from optim import Recipe, Workspace, load_task, sample_tasks
from optim.candidate import Candidate, Role
from optim.errors import RefusedError
from optim.pipeline.prebuilt import prebuilt_recipes
from optim.recipe import Precision, Prune, Quantize, Step

LOSSES = (0.01, 0.02, 0.05, 0.10)
RATIOS = (0.3, 0.5, 0.625, 0.75, 0.85)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=[task.name for task in sample_tasks()])
    parser.add_argument("--workspace", type=Path, default=Path(".workspace/bench"))
    parser.add_argument("--only-prebuilt", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    workspace = Workspace(arguments.workspace)
    for name in arguments.tasks:
        measured = _measure(workspace, name, only_prebuilt=arguments.only_prebuilt)
        for candidate in measured:
            print(_line(candidate, measured[0]))
        _print_best(name, measured)


def _recipes(name: str, *, only_prebuilt: bool) -> list[Recipe]:
    task = load_task(name)
    recipes = list(prebuilt_recipes(task)) or [Recipe()]
    if only_prebuilt:
        return recipes
    grid: list[tuple[Step, ...]] = [
        (Prune(ratio=ratio, epochs=task.fine_tuning_epochs), Quantize(precision=Precision.INT8))
        for ratio in RATIOS
    ]
    return list(dict.fromkeys([*recipes, *(Recipe(steps=steps) for steps in grid)]))


def _measure(workspace: Workspace, name: str, *, only_prebuilt: bool) -> list[Candidate]:
    """Make and measure; what was timed under system load is timed again when all are through."""
    workspace.take_prebuilt(name)
    made = []
    print(f"\n{load_task(name).title}, {workspace.environment.words()}")
    print(f"{'':52s} accuracy  change  (95 %)          faster (95 %)      null  smaller  made in")
    for recipe in _recipes(name, only_prebuilt=only_prebuilt):
        try:
            candidate = workspace.make(name, recipe)
        except RefusedError as error:
            print(f"{recipe.words():52s} refused: {error}", flush=True)
            continue
        if candidate.score is not None and candidate.score.recorded:
            candidate = workspace.measure(candidate.id)
        made.append(candidate)
    return [workspace.make(name, candidate.recipe) for candidate in made]


def _line(candidate: Candidate, baseline: Candidate) -> str:
    accuracy, latency = candidate.score, candidate.latency
    assert accuracy is not None
    assert latency is not None
    low, high = accuracy.difference_interval
    slow, fast = latency.speedup_interval
    words = candidate.words() + (" *" if candidate.role is Role.CONTROL else "")
    seconds = "" if candidate.seconds is None else f"{candidate.seconds:6.0f} s"
    return (
        f"{words:52s} {accuracy.value:7.2%} {100 * accuracy.difference:+6.2f}"
        f"  ({100 * low:+.2f} {100 * high:+.2f})"
        f"  {'~' if latency.noise > 1 else ' '}{latency.speedup:6.2f}x ({slow:.2f}-{fast:.2f})"
        f"  {latency.null_ratio:5.3f}  {_smaller(candidate, baseline):6.2f}x {seconds}"
    )


def _smaller(candidate: Candidate, baseline: Candidate) -> float:
    assert candidate.artifact is not None
    assert baseline.artifact is not None
    return baseline.artifact.size_bytes / candidate.artifact.size_bytes


def _print_best(name: str, measured: list[Candidate]) -> None:
    baseline = measured[0]
    print(f"\n{name}: the best file at each loss of accuracy")
    for loss in LOSSES:
        within = [
            c
            for c in measured
            if c.role is not Role.CONTROL and c.score and c.score.difference >= -loss
        ]
        fastest = max(within, key=lambda c: c.latency.speedup if c.latency else 0.0)
        smallest = max(within, key=lambda c: _smaller(c, baseline))
        assert fastest.latency is not None
        print(
            f"  within {100 * loss:4.0f} points: {fastest.latency.speedup:5.1f}x faster "
            f"({fastest.words()}), {_smaller(smallest, baseline):5.1f}x smaller "
            f"({smallest.words()})"
        )


if __name__ == "__main__":
    main()
