"""The command that lists the named recipes: `headlines`."""

from __future__ import annotations

from pathlib import Path

import click

from optim.candidate import Candidate
from optim.cli.output import common_options, known_task, open_workspace, print_json, print_table
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.recipe import Recipe
from optim.search.headlines import Headline, find_headlines, outcome
from optim.task.task import sample_tasks
from optim.workspace import Workspace


@click.command()
@click.argument("task", required=False, callback=lambda *a: a[2] and known_task(*a))
@target_options
@common_options
def headlines(task: str | None, target: Target, workspace: Path | None, as_json: bool) -> None:
    """List the named recipes of TASK, or of every task, and what they gave on this machine.

    They combine everything and were found on validation data. What a headline promises was measured
    on another machine; `edge-optim run TASK --headline NAME` measures it here.

    \b
    Examples:
      edge-optim headlines
      edge-optim headlines fashion-resnet --json
      edge-optim run fashion-resnet --headline all
    """
    opened = open_workspace(workspace, target)
    names = [task] if task else [each.name for each in sample_tasks()]
    rows = [row for name in names for row in _rows(opened, name)]
    if as_json:
        print_json([_record(*row) for row in rows])
        return
    print_table(
        [_row(*row) for row in rows],
        empty=f"There is no headline of {task or 'any task'} yet.",
    )


Row = tuple[str, Headline, Candidate | None, Candidate | None]


def _rows(opened: Workspace, task: str) -> list[Row]:
    """Task, headline, its candidate where known, and the original."""
    baseline = opened.candidate_of(task, Recipe())
    return [
        (task, each, opened.candidate_of(task, each.recipe), baseline)
        for each in find_headlines(opened.task(task), "all")
    ]


def _row(
    task: str, headline: Headline, made: Candidate | None, baseline: Candidate | None
) -> dict[str, str]:
    found = None if made is None else outcome(headline, made, baseline)
    return {
        "task": task,
        "headline": headline.name,
        "promise": headline.promise(),
        "here": found.measured if found else "not measured",
        "kept": "-" if found is None else "yes" if found.kept else "no",
        "recipe": headline.recipe.words(),
    }


def _record(
    task: str, headline: Headline, made: Candidate | None, baseline: Candidate | None
) -> dict[str, object]:
    found = None if made is None else outcome(headline, made, baseline)
    return {
        "task": task,
        "name": headline.name,
        "faster": headline.faster,
        "smaller": headline.smaller,
        "drop": headline.drop,
        "recipe": headline.recipe.to_dict(),
        "words": headline.recipe.words(),
        "candidate": made and made.id,
        "measured": found and {"kept": found.kept, "words": found.words},
    }
