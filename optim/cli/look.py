"""Commands that look at what is there: tasks, candidates, front, export."""

from __future__ import annotations

from pathlib import Path

import click

from optim.candidate import Candidate
from optim.cli.output import (
    Finite,
    common_options,
    known_task,
    open_workspace,
    print_json,
    print_table,
    say,
    tell_unread,
)
from optim.cli.rows import NOT_KNOWN, candidate_row, tell_target
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.report.record import candidate_record
from optim.search.pareto import Front, Limits, Objective, ranked_front
from optim.task.task import Task
from optim.words import count, share

NOT_NEGATIVE = Finite(min=0, max=1e9)


@click.command()
@common_options
def tasks(workspace: Path | None, as_json: bool) -> None:
    """List the networks that can be optimized, with their data.

    \b
    Examples:
      edge-optim tasks
      edge-optim tasks --json
    """
    opened = open_workspace(workspace)
    found = opened.tasks()
    for sentence in opened.broken_tasks():
        say(f"Note: {sentence}", error=True)
    if as_json:
        print_json([_task_record(task) for task in found])
        return
    rows = [
        {
            "task": task.name,
            "title": task.title,
            "parameters": NOT_KNOWN if task.parameters is None else count(task.parameters),
            "test accuracy": _tested(task),
            "data": f"{task.dataset.title} ({task.dataset.licence})",
        }
        for task in found
    ]
    print_table(rows, empty="There is no task: the folder sample_models holds no weights.")


@click.command()
@click.argument("task", callback=known_task)
@target_options
@common_options
def candidates(task: str, target: Target, workspace: Path | None, as_json: bool) -> None:
    """List every candidate of TASK with what is known of it, the original first.

    \b
    Examples:
      edge-optim candidates fashion-resnet
      edge-optim candidates motion-cnn --json
    """
    opened = open_workspace(workspace, target)
    found = opened.candidates(task)
    tell_unread(opened, task)
    if as_json:
        print_json([candidate_record(candidate) for candidate in found])
        return
    print_table([candidate_row(c) for c in found], empty=_nothing(task))
    tell_target(found)


@click.command()
@click.argument("task", callback=known_task)
@click.option("--max-drop", type=NOT_NEGATIVE, help="Accuracy that may be lost, in points.")
@click.option("--max-ms", type=NOT_NEGATIVE, help="Longest median latency, in milliseconds.")
@click.option("--max-mb", type=NOT_NEGATIVE, help="Largest file, in MB (1,000,000 bytes).")
@target_options
@common_options
def front(
    task: str,
    max_drop: float | None,
    max_ms: float | None,
    max_mb: float | None,
    target: Target,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Show the candidates of TASK that no other one beats.

    Latency, size and accuracy count together. Only what is measured on this machine takes part. A
    candidate that others beat only within the intervals of measurement is called tied: nobody can
    say which one is better.

    \b
    Examples:
      edge-optim front fashion-resnet
      edge-optim front fashion-resnet --max-drop 1.0 --max-mb 0.5
      edge-optim front motion-cnn --max-ms 0.2 --json
    """
    limits = Limits(
        max_score_drop=None if max_drop is None else max_drop / 100,
        max_latency_ms=max_ms,
        max_size_bytes=None if max_mb is None else max_mb * 1e6,
    )
    opened = open_workspace(workspace, target)
    found = ranked_front(opened.candidates(task), tuple(Objective), limits)
    tell_unread(opened, task)
    if as_json:
        print_json(_front_record(task, found))
        return
    rows = [
        {"": mark, **candidate_row(c)}
        for mark, group in (("front", found.members), ("tied", found.tied))
        for c in group
    ]
    print_table(rows, empty=_nobody(task, found))
    tell_target(found.members)
    if rows and found.out_of_limits:
        say(f"Left out because a limit is broken: {len(found.out_of_limits)}.")


@click.command()
@click.argument("candidate")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write to; made if missing. Files of the same names are replaced.",
)
@target_options
@common_options
def export(
    candidate: str, folder: Path, target: Target, workspace: Path | None, as_json: bool
) -> None:
    """Write CANDIDATE (its id) to a folder: model, recipe, card, README.

    The card holds hashes, figures with intervals and environment, labels, preprocessing, licences.

    \b
    Examples:
      edge-optim candidates fashion-resnet        shows the ids
      edge-optim export 3f2a9c01d4e5 --to my-model
    """
    written = open_workspace(workspace, target).export(candidate, folder)
    if as_json:
        print_json({"candidate": candidate, "files": [str(path) for path in written]})
        return
    for path in written:
        say(path)


def _tested(task: Task) -> str:
    """Return what the card says of the original on test; nothing without such a record."""
    return NOT_KNOWN if task.test_score is None else share(task.test_score)


def _task_record(task: Task) -> dict[str, object]:
    data = task.dataset
    return {
        "name": task.name,
        "title": task.title,
        "summary": task.summary,
        "architecture": task.architecture,
        "parameters": task.parameters,
        "metric": task.metric.name,
        "results": dict(task.card.results),
        "labels": list(task.labels),
        "input_shape": list(task.input_shape),
        "licence": task.card.licence,
        "data": {"name": data.name, "licence": data.licence, "source": data.source},
    }


def _front_record(task: str, found: Front) -> dict[str, object]:
    return {
        "task": task,
        "objectives": [str(objective) for objective in found.objectives],
        "limits": vars(found.limits),
        "front": [_with_ties(c, found) for c in found.members],
        "tied": [_with_ties(c, found) for c in found.tied],
        "dominated": [c.id for c in found.dominated],
        "out_of_limits": {c.id: list(found.broken[c.id]) for c in found.out_of_limits},
        "unmeasured": [c.id for c in found.unmeasured],
    }


def _with_ties(candidate: Candidate, found: Front) -> dict[str, object]:
    return {**candidate_record(candidate), "tied_with": list(found.tied_with(candidate.id))}


def _nobody(task: str, found: Front) -> str:
    if not found.out_of_limits:
        return _nothing(task)
    nearest = min(found.out_of_limits, key=lambda c: (len(found.broken[c.id]), c.id))
    why = " and ".join(found.broken[nearest.id])
    return f"No measured candidate keeps the limits. The nearest, {nearest.words()}, {why}."


def _nothing(task: str) -> str:
    return (
        f"Nothing is measured here yet for {task}. Run `edge-optim prebuilt {task}` to measure its "
        f"prebuilt candidates, or `edge-optim run {task} --quantize int8`."
    )
