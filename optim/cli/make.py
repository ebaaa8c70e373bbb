"""Commands that make and measure: prebuilt, sweep, measure."""

from __future__ import annotations

from pathlib import Path

import click

from optim.candidate import Candidate
from optim.cli.output import (
    common_options,
    known_task,
    open_workspace,
    print_json,
    print_table,
    progress_bar,
    say,
    wrong_input,
)
from optim.cli.rows import candidate_row, tell_target
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.report.record import candidate_record
from optim.report.score_text import change_text, interval_text, value_text
from optim.search.grid import Grid
from optim.sweeps import make_each
from optim.words import between, count, megabytes, milliseconds, times

EPOCHS_HELP = "Fine-tuning after pruning, in passes over the data. Default: what suits TASK."


@click.command()
@click.argument("task", callback=known_task)
@target_options
@common_options
def prebuilt(task: str, target: Target, workspace: Path | None, as_json: bool) -> None:
    """Measure the prebuilt candidates of TASK.

    Their files were made by the ordinary pipeline and are shipped with their recorded accuracy;
    latency is measured here, because it belongs to a machine.

    \b
    Examples:
      edge-optim prebuilt fashion-resnet
    """
    opened = open_workspace(workspace, target)
    with progress_bar(task) as progress:
        found = opened.take_prebuilt(task, progress=progress)
    _print_candidates(found, as_json)


@click.command()
@click.argument("task", callback=known_task)
@click.option(
    "--prune", default="0,0.25,0.5,0.75", show_default=True, help="Ratios, separated by commas."
)
@click.option(
    "--quantize", default="fp32,int8", show_default=True, help="Precisions, separated by commas."
)
@click.option("--epochs", type=float, help=EPOCHS_HELP)
@click.option("--no-distill", is_flag=True, help="Fine-tune on labels alone, without a teacher.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@target_options
@common_options
def sweep(
    task: str,
    prune: str,
    quantize: str,
    epochs: float | None,
    no_distill: bool,
    seed: int,
    target: Target,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Make and measure a grid of candidates of TASK.

    Every ratio is combined with every precision. Each ratio is trained once. A sweep that is
    stopped keeps what is finished, and goes on from there when it is started again.

    \b
    Examples:
      edge-optim sweep fashion-resnet
      edge-optim sweep fashion-resnet --prune 0,0.25,0.5 --quantize fp32,int8
      edge-optim sweep motion-cnn --prune 0.5 --quantize fp16,int8,int4 --json
    """
    with wrong_input():
        recipes = Grid(
            task=task,
            pruning_ratios=[_number(text) for text in _parts(prune)],
            precisions=_parts(quantize),
            epochs=epochs,
            distill=not no_distill,
            seed=seed,
        ).recipes()
    opened = open_workspace(workspace, target)
    with progress_bar(f"{len(recipes)} candidates") as progress:
        made = tuple(make_each(opened, task, recipes, progress=progress))
    _print_candidates(made, as_json)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--task", callback=known_task, required=True, help="Whose test split it answers.")
@target_options
@common_options
def measure(file: Path, task: str, target: Target, workspace: Path | None, as_json: bool) -> None:
    """Measure any ONNX FILE on a task.

    Accuracy is taken on the task's test split, latency interleaved with the task's original.
    The file must take the task's input and give one logit per class; it is not kept.

    \b
    Examples:
      edge-optim measure my-model/model.onnx --task fashion-resnet
      edge-optim measure other.onnx --task motion-cnn --json
    """
    from optim.pipeline.measure_file import measure_file
    from optim.report.record import measured_record

    opened = open_workspace(workspace, target)
    with progress_bar(file.name) as progress:
        found = measure_file(opened.results, task, file, target, progress=progress)
    if as_json:
        print_json(measured_record(found))
        return
    score, latency = found.score, found.latency
    say(
        f"{file.name} on {task}\n"
        f"  {score.scored_by.name:9s} {value_text(score)}, 95 % interval {interval_text(score)}, "
        f"n = {count(score.n)}\n"
        f"            {change_text(score)} against the task's original\n"
        f"  latency   {milliseconds(latency.p50_ms)} at the median, "
        f"{times(latency.speedup)} as fast as the original, 95 % interval "
        f"{between(latency.speedup_interval, times)}\n"
        f"            on {latency.environment.words()}\n"
        f"  size      {megabytes(found.artifact.size_bytes)}, {count(found.facts.parameters)} "
        f"parameters, {count(found.facts.macs)} multiply-accumulates\n"
        f"  float     {found.facts.float_count} of {found.facts.operators} heavy operators are "
        "computed in floating point"
    )


def _print_candidates(found: tuple[Candidate, ...], as_json: bool) -> None:
    if as_json:
        print_json([candidate_record(candidate) for candidate in found])
        return
    print_table([candidate_row(candidate) for candidate in found], empty="No candidate was made.")
    tell_target(found)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"prune ratios must be numbers such as 0.5; got {text!r:.40}.") from None
