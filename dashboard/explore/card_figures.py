"""The figures of a card: four large ones beside the original's, and all others as a table."""

from __future__ import annotations

import streamlit as st

from dashboard.words import words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.candidate import Candidate, Role
from optim.measure.measurement import Score
from optim.recipe import Recipe


def metrics(candidate: Candidate, baseline: Candidate | None) -> None:
    """Draw score, latency, size and changed answers."""
    score, latency, artifact = candidate.score, candidate.latency, candidate.artifact
    original = candidate.role is Role.BASELINE
    noisy = latency is not None and latency.noise > 1
    boxes = st.columns(4, gap="small")
    boxes[0].metric(
        words.metric_of([candidate]).title,
        words.score(score),
        None if original or not score else words.score_lost(score),
        delta_color="off",
        delta_arrow="off",
        help=f"{what_scores(score)} {words.score_interval(score)}.",
    )
    boxes[1].metric(
        "Latency, p50",
        words.latency(latency.p50_ms if latency else None),
        None if original or not latency else words.faster(latency.speedup),
        delta_color="normal" if latency and latency.speedup > 1.05 and not noisy else "off",
        delta_arrow="off",
        help=f"{what_is('p50')} {words.latency_spread(latency)}.",
    )
    base = baseline.artifact if baseline else None
    ratio = base.size_bytes / artifact.size_bytes if base and artifact else None
    boxes[2].metric(
        "File",
        words.size(artifact.size_bytes if artifact else None),
        None if original else words.smaller(ratio),
        delta_color="normal" if ratio and ratio > 1.05 else "off",
        delta_arrow="off",
        help=what_is("File size"),
    )
    boxes[3].metric(
        "Changed answers",
        "–" if score is None else f"{score.changed:,}",
        None if original or not score else f"{score.worse:,} worse, {score.better:,} better",
        delta_color="off",
        delta_arrow="off",
        help=what_is("Changed answers"),
    )


def what_scores(score: Score | None) -> str:
    """Return the glossary's sentence on the metric."""
    return what_is("Accuracy" if score is None else score.scored_by.title)


def facts(candidate: Candidate, baseline: Candidate | None) -> dict[str, list[str]]:
    """Return everything else that is known, as names and values."""
    latency, score = candidate.latency, candidate.score
    artifact, graph = candidate.artifact, candidate.facts
    rows = {
        words.metric_of([candidate]).title: words.score_interval(score),
        "Relative change": words.relative_change(score, baseline.score if baseline else None),
        "Speed-up": words.speedup_interval(latency),
        "Latency": words.latency_spread(latency),
        "Noise floor (A/A)": words.noise_floor(latency),
        "Cold start": words.latency(latency.cold_start_ms if latency else None),
        "Compressed file": words.size(artifact.compressed_bytes if artifact else None),
        "Parameters": words.count(graph.parameters if graph else None),
        "Multiply-accumulates": words.count(graph.macs if graph else None),
        "Left in float": words.float_operators(graph),
        "Measured on": words.environment(latency.environment) if latency else words.NOTHING,
        "Made from": lineage(candidate.recipe),
        "Making took": words.duration(candidate.seconds),
        "Came with the sample": "yes" if candidate.prebuilt else "no, made here",
        "SHA-256 of the file": artifact.sha256 if artifact else words.NOTHING,
        "Candidate": candidate.id,
    }
    return {"what": list(rows), "value": [plain(value) for value in rows.values()]}


def lineage(recipe: Recipe) -> str:
    """Return the chain of recipes that this one's file comes from."""
    chain = ["original, FP32"]
    prefix = recipe.training_prefix()
    for step in (prefix, recipe):
        if step.steps and step.words() != chain[-1]:
            chain.append(step.words())
    return " → ".join(chain)
