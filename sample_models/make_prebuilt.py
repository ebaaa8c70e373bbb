"""Make the ready artifacts of a sample task with the ordinary pipeline, and ship them with it.

    python -m sample_models.make_prebuilt fashion-resnet

The list is short on purpose: one step of the story each, and the named presets, each with the
control that it must beat. Accuracy is measured on the test split by running each file; latency is
not shipped, because it belongs to a machine. What ships already stays as it is until weights,
recipe or the version of a step change.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from optim.pipeline.make import make_candidate
from optim.pipeline.measure import measure_score_of
from optim.pipeline.prebuilt import take_in
from optim.pipeline.reference import prepare_reference
from optim.pipeline.shipped import write_prebuilt
from optim.recipe import Precision, Quantize, Recipe, Step
from optim.search.named_presets import control_of, named_presets
from optim.task.task import Task, load_task
from optim.workspace import Workspace

FIRST = "fashion-resnet"
"""The page opens with this task, so all of its files ship."""


def at_first_need(task: Task) -> tuple[Recipe, ...]:
    """Return recipes whose files do not ship: they are made from the weights within seconds.

    INT4 ships. Its search for rounding takes longer, and other bytes come out of another processor.
    """
    return () if task.name == FIRST else (Recipe(), Recipe(steps=(Quantize(),)))


def recipes(task: Task, *, seed: int = 0) -> tuple[Recipe, ...]:
    """Return the recipes of a task's prebuilt candidates, in the order of the page."""
    epochs = task.fine_tuning_epochs
    half = replace(task.pruning, ratio=0.5, epochs=epochs)
    most = replace(task.pruning, ratio=0.75, epochs=2 * epochs)
    control = replace(most, keep_weights=False)
    int8 = Quantize(precision=Precision.INT8)
    int4 = Quantize(precision=Precision.INT4)
    presets = [preset.recipe for preset in named_presets(task)]
    controls = [control_of(task, preset) for preset in presets]
    steps: tuple[tuple[Step, ...], ...] = (
        (), (int8,), (half, int8), (most, int8), (half,), (int4,), (control, int8),
        *(preset.steps for preset in presets),
        *(each.steps for each in controls if each is not None),
    )  # fmt: skip
    return tuple(Recipe(steps=each, seed=seed) for each in dict.fromkeys(steps))


def main(name: str, folder: Path) -> None:
    """Make every prebuilt candidate of a task, in a workspace that can be thrown away."""
    task, workspace = load_task(name), Workspace(folder)
    take_in(workspace.results, task, progress=_say)
    made = []
    for recipe in recipes(task):
        candidate = make_candidate(workspace.results, task, recipe, progress=_say)
        if candidate.score is None:
            reference = prepare_reference(workspace.results, task, workspace.target)
            measure_score_of(
                workspace.results, task, candidate, workspace.target, reference, progress=_say
            )
        candidate = workspace.candidate(candidate.id)
        assert candidate.score is not None  # measured a moment ago
        assert candidate.artifact is not None
        print(
            f"{candidate.words():48s} {candidate.score.value:.2%} "
            f"{candidate.artifact.size_bytes:>10,} bytes  {candidate.seconds or 0:.0f} s",
            flush=True,
        )
        made.append(candidate)
    write_prebuilt(workspace.results, task, made, at_first_need=at_first_need(task))


def _say(share: float, words: str) -> None:
    if "epoch" in words:
        print(f"  {share:.2f} {words}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", help="folder below sample_models")
    parser.add_argument("--workspace", type=Path, default=Path(".scratch/prebuilt"))
    arguments = parser.parse_args()
    main(arguments.task, arguments.workspace)
