"""The command that lists the named presets: `presets`."""

from __future__ import annotations

from pathlib import Path

import click

from optim.candidate import Candidate
from optim.cli.output import common_options, known_task, open_workspace, print_json, print_table
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.recipe import Recipe
from optim.search.named_presets import NamedPreset, find_named_presets, outcome
from optim.task.task import sample_tasks
from optim.workspace import Workspace


@click.command()
@click.argument("task", required=False, callback=lambda *a: a[2] and known_task(*a))
@target_options
@common_options
def presets(task: str | None, target: Target, workspace: Path | None, as_json: bool) -> None:
    """List the named presets of TASK, or of every task, and what they gave on this machine.

    They combine several techniques and were found on validation data. What a preset promises was
    measured on another machine; `edge-optim run TASK --named-preset NAME` measures it here.

    \b
    Examples:
      edge-optim presets
      edge-optim presets fashion-resnet --json
      edge-optim run fashion-resnet --named-preset all
    """
    opened = open_workspace(workspace, target)
    names = [task] if task else [each.name for each in sample_tasks()]
    rows = [row for name in names for row in _rows(opened, name)]
    if as_json:
        print_json([_record(*row) for row in rows])
        return
    print_table(
        [_row(*row) for row in rows],
        empty=f"There is no named preset of {task or 'any task'} yet.",
    )


Row = tuple[str, NamedPreset, Candidate | None, Candidate | None]


def _rows(opened: Workspace, task: str) -> list[Row]:
    """Return task, preset, its candidate where known, and the original."""
    baseline = opened.candidate_of(task, Recipe())
    return [
        (task, each, opened.candidate_of(task, each.recipe), baseline)
        for each in find_named_presets(opened.task(task), "all")
    ]


def _row(
    task: str, preset: NamedPreset, made: Candidate | None, baseline: Candidate | None
) -> dict[str, str]:
    found = None if made is None else outcome(preset, made, baseline)
    return {
        "task": task,
        "preset": preset.name,
        "promise": preset.promise(),
        "here": found.measured if found else "not measured",
        "kept": "-" if found is None else "yes" if found.kept else "no",
        "recipe": preset.recipe.words(),
    }


def _record(
    task: str, preset: NamedPreset, made: Candidate | None, baseline: Candidate | None
) -> dict[str, object]:
    found = None if made is None else outcome(preset, made, baseline)
    return {
        "task": task,
        "name": preset.name,
        "faster": preset.faster,
        "smaller": preset.smaller,
        "drop": preset.drop,
        "recipe": preset.recipe.to_dict(),
        "words": preset.recipe.words(),
        "candidate": made and made.id,
        "measured": found and {"kept": found.kept, "words": found.words},
    }
