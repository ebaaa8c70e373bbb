"""Commands that explain a file: where its time goes, and what folding gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from optim.cli.output import (
    common_options,
    open_workspace,
    print_json,
    print_table,
    progress_bar,
    say,
)
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.progress import Progress
from optim.words import between, count, megabytes, share, times

if TYPE_CHECKING:
    from optim.analysis.diagnosis import Diagnosis
    from optim.candidate import Candidate
    from optim.engines.profile import OperatorTime, Profile
    from optim.graph.fuse import FuseReport
    from optim.measure.measurement import Latency
    from optim.workspace import Workspace

MOST_ROWS = 15


@click.command()
@click.argument("candidate")
@target_options
@common_options
def profile(candidate: str, target: Target, workspace: Path | None, as_json: bool) -> None:
    """Show where the time of CANDIDATE (its id) goes, why, and what to try.

    Every operator is timed by ONNX Runtime's own profiler, for the candidate and for the same
    network in FP32. The profiler costs time itself: `edge-optim measure` tells how fast a file is.

    \b
    Examples:
      edge-optim candidates fashion-resnet        shows the ids
      edge-optim profile 3f2a9c01d4e5
      edge-optim why 3f2a9c01d4e5 --json          the same command
    """
    opened = open_workspace(workspace, target)
    found = opened.candidate(candidate)
    parent = opened.candidate_of(found.task, found.recipe.training_prefix())
    with progress_bar("profile") as progress:
        own = _profile(opened, found, progress)
        with_parent = parent is not None and parent.id != found.id and parent.artifact is not None
        before = _profile(opened, parent, progress) if parent and with_parent else None
    from optim.analysis.diagnosis import diagnose_candidate

    told = diagnose_candidate(
        found,
        own,
        parent,
        before,
        target.load_engine().explainer,
        opened.candidates(found.task),
    )
    if as_json:
        print_json({"candidate": found.id, "profile": own.to_dict(), **told.to_dict()})
        return
    print_table(_rows(own), empty="The profiler saw no operator.")
    say(f"Medians of {own.runs} runs; together {own.total_ms:.3f} ms.")
    _print_diagnosis(told)


def _profile(opened: Workspace, found: Candidate, progress: Progress) -> Profile:
    from optim.engines.profile import Profile
    from optim.store.analyses import AnalysisKind

    made = opened.analyse(found.id, AnalysisKind.PROFILE, progress=progress)
    assert isinstance(made, Profile)
    return made


def _rows(found: Profile) -> list[dict[str, str]]:
    """Return one row for each kind of operator, the longest first."""
    groups: dict[tuple[str, str, str, str], list[OperatorTime]] = {}
    for operator in found.operators:
        key = (operator.kernel, operator.operator, operator.precision, operator.reason)
        groups.setdefault(key, []).append(operator)
    timed = sorted(
        ((sum(o.time_ms for o in members), key, members) for key, members in groups.items()),
        key=lambda row: -row[0],
    )
    return [
        {
            "ms": f"{time:.3f}",
            "share": share(time / found.total_ms),
            "times": str(len(members)),
            "kernel": key[0],
            "of": key[1] if key[1] != key[0] else "",
            "in": key[2].upper(),
            "why in float": key[3],
        }
        for time, key, members in timed[:MOST_ROWS]
    ]


def _print_diagnosis(told: Diagnosis) -> None:
    for sentence in told.sentences:
        say(f"\n{sentence}")
    for remedy in told.remedies:
        known = "" if remedy.speedup is None else f" Measured: {remedy.speedup:.2f}x the original."
        say(f"\n* {remedy.words}{known}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="ONNX file to write; replaced if it exists.",
)
@target_options
@common_options
def fuse(file: Path, output: Path, target: Target, workspace: Path | None, as_json: bool) -> None:
    """Fold and rewrite FILE (an ONNX model) exactly, and tell what that changed.

    Batch norms and constants are folded, means become pools. A file with INT8 activations is
    rewritten for integer kernels instead. The report says what ONNX Runtime does anyway, and both
    files are timed interleaved, each with all of the engine's own optimizations.

    \b
    Examples:
      edge-optim fuse model.onnx --output fused.onnx
      edge-optim fuse int8.onnx --output faster.onnx --json
    """
    from optim.analysis.fuse_file import fuse_file
    from optim.artifact import check_writable_file, write_atomically

    check_writable_file(output)
    with progress_bar(file.name) as progress:
        found = fuse_file(file, target, progress=progress)
    write_atomically(output, found.content)
    latency, report = found.latency, found.report
    if as_json:
        timed = latency and {"speedup": latency.speedup, "interval": latency.speedup_interval}
        print_json(
            {"file": str(output), **report.to_dict(), "timed": timed, "embedded": found.taken_in}
        )
        return
    if found.taken_in:
        say(f"Weights taken in from {', '.join(found.taken_in)}.")
    for line in _report_lines(report):
        say(line)
    say(f"Not timed: {found.why_not_timed}" if latency is None else _timing_words(latency))


def _timing_words(latency: Latency) -> str:
    low, high = latency.speedup_interval
    words = (
        f"Timed, interleaved: {times(latency.speedup)} as fast as before "
        f"(95 % interval {between((low, high), times)}; the file against itself "
        f"{times(latency.null_ratio)})."
    )
    noise = abs(latency.null_ratio - 1)
    return words if low > 1 + noise or high < 1 - noise else f"{words} That is no difference."


def _report_lines(report: FuseReport) -> Sequence[str]:
    folded = ", ".join(f"{n} {kind}" for kind, n in report.folded.items())
    lines = [
        report.sentence,
        f"Size: {megabytes(report.size_before)} before, {megabytes(report.size_after)} after.",
        f"Folded as ONNX Runtime does at load: {folded or 'nothing'}.",
    ]
    lines += [f"Folding was taken back: {why}." for why in report.taken_back]
    lines += [f"Not folded: {count(n)} batch norms, {why}." for why, n in report.not_folded.items()]
    for rule in report.rules:
        if rule.applied or rule.refusals:
            lines.append(f"Rewritten {rule.applied} times: {rule.name}.")
        lines += [f"  Not {count(n)} times: {why}." for why, n in rule.refusals.items()]
    return lines
