"""A candidate as plain data with stable keys: for ``--json`` and for the card of an export."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from optim.artifact import Artifact, GraphFacts
from optim.candidate import Candidate
from optim.measure.measurement import Latency, MeasuredFile, Score
from optim.words import moment


def candidate_record(candidate: Candidate) -> dict[str, Any]:
    """Return everything known of a candidate; what is not known yet is None.

    Shares are 0..1, times milliseconds, sizes bytes, moments ISO 8601 in UTC.
    """
    refusal = candidate.refusal
    return {
        "id": candidate.id,
        "task": candidate.task,
        "words": candidate.words(),
        "role": str(candidate.role),
        "recipe": candidate.recipe.to_dict(),
        "fingerprint": candidate.recipe.fingerprint,
        "starter": candidate.prebuilt,
        "created": moment(candidate.created),
        "seconds": candidate.seconds,
        "file": candidate.artifact and artifact_record(candidate.artifact),
        "graph": candidate.facts and graph_record(candidate.facts),
        "accuracy": candidate.score and score_record(candidate.score),
        "latency": candidate.latency and latency_record(candidate.latency),
        "refusal": refusal and {"reason": refusal.reason, "remedy": refusal.remedy},
    }


def artifact_record(artifact: Artifact) -> dict[str, Any]:
    """Return path, hash and sizes of the file."""
    return {**asdict(artifact), "path": str(artifact.path)}


def graph_record(facts: GraphFacts) -> dict[str, Any]:
    """Return what can be counted in the file."""
    return asdict(facts)


def score_record(accuracy: Score) -> dict[str, Any]:
    """Return counts, share, interval, and the paired comparison with the baseline."""
    return {
        "value": accuracy.value,
        "interval": list(accuracy.interval),
        "difference": accuracy.difference,
        "difference_interval": list(accuracy.difference_interval),
        "p_value": accuracy.p_value,
        **asdict(accuracy),
    }


def latency_record(latency: Latency) -> dict[str, Any]:
    """Return percentiles, the interleaved ratio, how noisy it is, and where it was measured."""
    low, high = latency.spread_ms
    return {
        "p10_ms": low,
        "p50_ms": latency.p50_ms,
        "p90_ms": high,
        "p99_ms": latency.p99_ms,
        "n": latency.n,
        "speedup": latency.speedup,
        "speedup_interval": list(latency.speedup_interval),
        "null_ratio": latency.null_ratio,
        "restlessness": latency.instability,
        "busyness": latency.system_load,
        "cold_start_ms": latency.cold_start_ms,
        "baseline_sha256": latency.baseline_sha256,
        "environment": asdict(latency.environment),
    }


def measured_record(found: MeasuredFile) -> dict[str, Any]:
    """Return the figures as plain data; the keys are those of a candidate's record."""
    return {
        "task": found.task,
        "file": artifact_record(found.artifact),
        "graph": graph_record(found.facts),
        "accuracy": score_record(found.score),
        "latency": latency_record(found.latency),
    }
