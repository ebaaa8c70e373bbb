"""Candidates as lines of text: a table row, and a card of a few lines."""

from __future__ import annotations

from collections.abc import Iterable

from optim.candidate import Candidate
from optim.cli.output import say
from optim.report.score_text import change_text, interval_text, value_text
from optim.words import between, count, megabytes, milliseconds, times

NOT_KNOWN = "-"


def candidate_row(candidate: Candidate) -> dict[str, str]:
    """Return a row of a table; what is not known is a dash."""
    score, latency, artifact = candidate.score, candidate.latency, candidate.artifact
    row = dict.fromkeys(
        ("id", "recipe", "accuracy", "change", "latency", "speed-up", "size", "state"), NOT_KNOWN
    )
    row |= {"id": candidate.id, "recipe": candidate.words(), "state": _state(candidate)}
    if score is not None:
        row |= {"accuracy": value_text(score), "change": change_text(score)}
    if latency is not None:
        row |= {"latency": milliseconds(latency.p50_ms), "speed-up": times(latency.speedup)}
    if artifact is not None:
        row["size"] = megabytes(artifact.size_bytes)
    return row


def tell_target(found: Iterable[Candidate]) -> None:
    """Print where the latencies of a table were measured; nothing if it has none."""
    environment = next((c.latency.environment for c in found if c.latency), None)
    if environment is not None:
        say(f"Latency measured on {environment.words()}.")


def candidate_card(candidate: Candidate, baseline: Candidate | None) -> str:
    """Return a measured candidate in a few lines.

    Args:
        baseline: for the ratio of sizes; left out if it has no file.
    """
    lines = [f"{candidate.words()}  ({candidate.id})"]
    score, latency, artifact = candidate.score, candidate.latency, candidate.artifact
    if score is not None:
        tie = "; may be chance" if score.tied_with_baseline and score.changed else ""
        origin = ", recorded when the file was made" if score.recorded else ""
        name = score.scored_by.name
        lines += [
            f"  {name:9s} {value_text(score)}, 95 % interval {interval_text(score)}, "
            f"n = {count(score.n)}{origin}",
            f"            {change_text(score)} against the original "
            f"({count(score.changed)} answers changed{tie})",
        ]
    if latency is not None:
        lines += [
            f"  latency   {milliseconds(latency.p50_ms)} at the median, 10th to 90th percentile "
            f"{between(latency.spread_ms, milliseconds)}",
            f"            {times(latency.speedup)} as fast as the original, 95 % interval "
            f"{between(latency.speedup_interval, times)}",
            f"            the original against itself: {latency.null_ratio:.3f}x",
            f"            on {latency.environment.words()}",
        ]
        if latency.noise_words():
            lines.append(f"            {latency.noise_words()}")
    if artifact is not None:
        ratio = ""
        if baseline is not None and baseline.artifact is not None:
            ratio = f", {times(baseline.artifact.size_bytes / artifact.size_bytes)} smaller"
        lines += [
            f"  size      {megabytes(artifact.size_bytes)}{ratio} "
            f"({megabytes(artifact.compressed_bytes)} compressed)",
            f"  file      {artifact.path}",
        ]
    return "\n".join(lines)


def _state(candidate: Candidate) -> str:
    if candidate.refusal is not None:
        return f"refused: {candidate.refusal.reason}"
    if candidate.artifact is None:
        return "not made yet"
    if candidate.latency is None:
        return "not timed here"
    if candidate.score is None:
        return "accuracy not measured"
    name = candidate.score.scored_by.name
    return f"{name} recorded" if candidate.score.recorded else "measured"
