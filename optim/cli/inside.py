"""Commands that look inside a network layer by layer: sensitivity, mixed, waterfall."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from optim.candidate import Candidate
from optim.cli.analysis import known_or_made
from optim.cli.output import (
    Finite,
    common_options,
    known_task,
    open_workspace,
    print_json,
    print_table,
    progress_bar,
    say,
)
from optim.cli.rows import candidate_row, tell_target
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.progress import Progress
from optim.recipe import INTEGER_PRECISIONS, Precision, Recipe, recipe_of
from optim.report.record import candidate_record
from optim.report.score_text import change_of, value_of
from optim.store.analyses import AnalysisKind
from optim.task.metric import Metric
from optim.task.metric_words import drop_words
from optim.words import count, megabytes, milliseconds, points, share, times
from optim.workspace import Workspace

if TYPE_CHECKING:
    from optim.analysis.placement import Placement
    from optim.analysis.sensitivity import LayerSensitivity, Sensitivity
    from optim.analysis.waterfall import Waterfall


MOST_TRIES = 3
"""How often a budget of time is tightened until the measured file keeps it."""


@click.command()
@click.argument("task", callback=known_task)
@target_options
@common_options
def sensitivity(task: str, target: Target, workspace: Path | None, as_json: bool) -> None:
    """Show what INT8 and INT4 cost in each layer of TASK, the most sensitive first.

    One layer at a time is quantized and the rest left in FP32. Noise is that in the logits, in
    decibels below the signal: less is worse. Accuracy is taken on validation examples. The last
    columns are the other side: what an INT4 file wins back if this layer alone stays in FP32.

    \b
    Examples:
      edge-optim sensitivity fashion-resnet
      edge-optim sensitivity motion-cnn --json
    """
    opened = open_workspace(workspace, target)
    with progress_bar(task) as progress:
        baseline = opened.make(task, Recipe())
        found = _sensitivity(opened, baseline, progress, anew=True)
    if as_json:
        print_json({"task": task, "candidate": baseline.id, **found.to_dict()})
        return
    layers = _by_layer(found)
    layers.sort(key=lambda rows: rows[Precision.INT4].sqnr_db)
    print_table(
        [_sensitivity_row(rows, found.scored_by) for rows in layers], empty="There is no layer."
    )
    say(_reached(found))


@click.command()
@click.argument("task", callback=known_task)
@click.option("--max-kb", type=Finite(min=0.001), help="Largest file, in KB (1,000).")
@click.option("--max-ms", type=Finite(min=1e-6), help="Longest median latency, in ms.")
@click.option(
    "--points", type=click.IntRange(2, 20), help="So many budgets of size, evenly spread."
)
@click.option("--fastest", is_flag=True, help="Leave in FP32 what is measured slower in INT8.")
@target_options
@common_options
def mixed(
    task: str,
    max_kb: float | None,
    max_ms: float | None,
    points: int | None,
    fastest: bool,
    target: Target,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Give each layer of TASK a precision, so that the file keeps a budget and loses the least.

    The precisions solve an integer program over the measured sensitivity, which is measured first
    if it is not known. FP32 layers cost speed: a budget of size has them only where INT8 throughout
    is smaller than it. The files are made, measured, and printed beside plain INT8 and INT4. Give
    one of --max-kb, --max-ms, --points and --fastest.

    \b
    Examples:
      edge-optim mixed fashion-resnet --max-kb 1200
      edge-optim mixed fashion-mobilenetv2 --points 5
      edge-optim mixed fashion-resnet --max-ms 0.9 --json
      edge-optim mixed fashion-mobilenetv2 --fastest
    """
    if sum((max_kb is not None, max_ms is not None, points is not None, fastest)) != 1:
        raise click.UsageError(
            "give one of --max-kb, --max-ms, --points and --fastest, for example --points 5.",
            click.get_current_context(),
        )
    opened = open_workspace(workspace, target)
    placement = None
    with progress_bar(task) as progress:
        uniform = [
            opened.make(task, recipe_of(precision=p), progress=progress)
            for p in (Precision.FP32, *INTEGER_PRECISIONS)
        ]
        if fastest:
            placement = _place(opened, task, progress)
            made = [opened.make(task, placement.recipe, progress=progress)]
        else:
            known = _sensitivity(opened, uniform[0], progress, anew=False)
            if max_ms is not None:
                made = [_within_time(opened, task, known, uniform[1], max_ms, progress)]
            else:
                made = _within_sizes(opened, task, known, max_kb, points, progress)
    if as_json:
        print_json(_mixed_record(task, uniform, made, placement))
        return
    rows = [("uniform", c) for c in uniform] + [("mixed", c) for c in made if c not in uniform]
    print_table([{"": mark, **candidate_row(c)} for mark, c in rows], empty="")
    tell_target(uniform)
    if placement is not None:
        say(_placement_words(placement))


@click.command()
@click.argument("candidate")
@target_options
@common_options
def waterfall(candidate: str, target: Target, workspace: Path | None, as_json: bool) -> None:
    """Show where the accuracy of CANDIDATE (its id) went, and what would win it back.

    From FP32 over quantized weights down to the file, on validation examples. Then the layers that
    carry most of the noise: what keeping each in FP32 gives and costs, measured on a file of its
    own that is timed interleaved with CANDIDATE's.

    \b
    Examples:
      edge-optim candidates fashion-resnet        shows the ids
      edge-optim waterfall 3f2a9c01d4e5
      edge-optim waterfall 3f2a9c01d4e5 --json
    """
    from optim.analysis.waterfall import Waterfall

    opened = open_workspace(workspace, target)
    with progress_bar(candidate) as progress:
        found = opened.analyse(candidate, AnalysisKind.WATERFALL, progress=progress)
    assert isinstance(found, Waterfall)  # that is what was asked for
    if as_json:
        print_json({"candidate": candidate, **found.to_dict()})
        return
    _print_waterfall(found)


def _sensitivity(
    opened: Workspace, whole: Candidate, progress: Progress, *, anew: bool
) -> Sensitivity:
    from optim.analysis.sensitivity import Sensitivity

    return known_or_made(opened, whole, AnalysisKind.SENSITIVITY, Sensitivity, progress, anew=anew)


def _within_sizes(
    opened: Workspace,
    task: str,
    known: Sensitivity,
    max_kb: float | None,
    points: int | None,
    progress: Progress,
) -> list[Candidate]:
    from optim.analysis.allocation import WORTH_THEIR_BYTES, Cost, allocate, recipe_within_size

    budgets = allocate(known, Cost.SIZE, allowed=WORTH_THEIR_BYTES)
    if max_kb is not None:
        most = round(1000 * max_kb)
        if most > budgets.costs[-1]:
            budgets = allocate(known, Cost.SIZE)
        recipes = [recipe_within_size(opened.results, opened.task(task), Recipe(), budgets, most)]
    else:
        recipes = [found.recipe(Recipe()) for found in budgets.spread(points or 2)]
    return [opened.make(task, recipe, progress=progress) for recipe in recipes]


def _within_time(
    opened: Workspace,
    task: str,
    known: Sensitivity,
    int8: Candidate,
    max_ms: float,
    progress: Progress,
) -> Candidate:
    """Return the file with least error whose measured median keeps the budget, in a few tries.

    The profiler's milliseconds are not the clock's: the INT8 file, known in both, gives the rate.
    """
    from optim.analysis.allocation import Cost, allocate

    budgets = allocate(known, Cost.TIME)
    assert int8.latency is not None  # made and measured
    budget = max_ms * _profiled_ms(known) / int8.latency.p50_ms
    for _ in range(MOST_TRIES):
        made = opened.make(task, budgets.within(budget).recipe(Recipe()), progress=progress)
        assert made.latency is not None  # made and measured
        if made.latency.p50_ms <= max_ms:
            break
        budget *= max_ms / made.latency.p50_ms
    return made


def _profiled_ms(known: Sensitivity) -> float:
    """Return the time of the INT8 file by the profile of the sensitivity."""
    whole = [row.time_ms for row in known.rows if row.precision is Precision.INT8]
    return (known.rest_ms or 0.0) + sum(time for time in whole if time is not None)


def _place(opened: Workspace, task: str, progress: Progress) -> Placement:
    from optim.analysis.placement import place

    return place(opened.results, opened.task(task), Recipe(), opened.target, progress=progress)


def _placement_words(found: Placement) -> str:
    if not found.slower:
        return "No layer is slower in INT8 than in FP32 here."
    tried = "; ".join(
        f"{len(trial.layers)} in FP32: {times(trial.speedup)} as fast as plain INT8"
        for trial in found.trials
    )
    kept = "kept" if any(trial.faster for trial in found.trials) else "not kept"
    return f"{len(found.slower)} layers are profiled slower in INT8. {tried}: {kept}."


def _mixed_record(
    task: str, uniform: list[Candidate], made: list[Candidate], placement: Placement | None
) -> dict[str, object]:
    return {
        "task": task,
        "uniform": [candidate_record(candidate) for candidate in uniform],
        "mixed": [candidate_record(candidate) for candidate in made],
        "slower_in_int8": None if placement is None else list(placement.slower),
        "trials": None if placement is None else [vars(trial) for trial in placement.trials],
    }


def _by_layer(found: Sensitivity) -> list[dict[Precision, LayerSensitivity]]:
    layers: dict[str, dict[Precision, LayerSensitivity]] = {}
    for row in found.rows:
        layers.setdefault(row.layer, {})[row.precision] = row
    return list(layers.values())


def _reached(found: Sensitivity) -> str:
    """Return the unit of the drops, and the score of the FP32 file."""
    on = f"on {count(found.n)} validation examples"
    if found.metric == "accuracy":
        return f"Drops in points, {on}; FP32 is right in {share(found.score)} of them."
    metric = found.scored_by
    unit = metric.step or "the unit of the targets"
    return (
        f"Drops in {unit}, {on}; {found.metric} of FP32: {value_of(metric, found.score, found.n)}."
    )


def _sensitivity_row(rows: dict[Precision, LayerSensitivity], metric: Metric) -> dict[str, str]:
    eight, four = rows[Precision.INT8], rows[Precision.INT4]
    gain = four.alone_in_float_gain_db
    return {
        "layer": eight.layer,
        "operator": eight.operator,
        "INT8 dB": f"{eight.sqnr_db:.1f}",
        "drop": _signed(metric, eight.score_drop),
        "INT4 dB": f"{four.sqnr_db:.1f}",
        "drop ": _signed(metric, four.score_drop),
        "FP32/INT8/INT4 size": " / ".join(megabytes(row.size_bytes) for row in rows.values()),
        "and time": " / ".join(_time(row.time_ms) for row in rows.values()),
        "back in FP32 dB": "-" if gain is None else f"{gain:+.1f}",
        "points": "-" if (won := four.alone_in_float_gain) is None else _signed(metric, won),
    }


def _signed(metric: Metric, drop: float) -> str:
    """Return a drop without the unit of the metric."""
    if metric.right_or_wrong:
        return points(drop).removesuffix(" points")
    return drop_words(metric, drop).removesuffix(metric.step).rstrip()


def _time(value_ms: float | None) -> str:
    return "-" if value_ms is None else milliseconds(value_ms)


def _print_waterfall(found: Waterfall) -> None:
    metric, name = found.scored_by, found.metric
    stages = [
        {
            "stage": stage.name,
            name: value_of(metric, stage.score, found.n),
            "noise dB": "-" if stage.sqnr_db is None else f"{stage.sqnr_db:.1f}",
        }
        for stage in found.stages
    ]
    print_table(stages, empty="")
    say(f"On {count(found.n)} validation examples.\n")
    kept = [
        {
            "kept in FP32": layer.layer,
            name: change_of(metric, layer.score_gain, found.n),
            "noise dB": f"{layer.sqnr_gain_db:+.1f}",
            "time": f"{layer.time_ms:+.3f} ms",
            "size": f"{layer.size_bytes:+,} B",
        }
        for layer in found.layers
    ]
    print_table(kept, empty="There is no layer that could stay in FP32 alone.")
