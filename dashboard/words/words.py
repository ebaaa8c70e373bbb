"""Measurements, candidates and jobs in words: what pages and charts write.

What a term means is explained in ``dashboard.words.glossary``; single numbers become text in
``dashboard.words.quantities``, whose functions can be used from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from dashboard.words.quantities import (
    NOTHING,
    about,
    ago,
    between,
    count,
    duration,
    faster,
    latency,
    lost,
    percent,
    points,
    size,
    smaller,
    times,
)
from optim.artifact import GraphFacts
from optim.candidate import Candidate
from optim.devices.environment import Environment
from optim.engines import engine_title
from optim.jobs.job import Job, JobKind, JobState
from optim.measure.measurement import Latency, Score
from optim.recipe import Distill, Precision, Prune, Recipe, Replace, ReplaceActivation, Sparsify
from optim.search.predict import Prediction
from optim.task.metric import ACCURACY, Metric
from optim.task.metric_words import half_width_words, lost_words, value_words
from optim.task.task import sample_tasks
from optim.words import decimals, digits

__all__ = [
    "NOTHING",
    "TIED",
    "about",
    "ago",
    "between",
    "changed_answers",
    "count",
    "decimals",
    "digits",
    "duration",
    "environment",
    "faster",
    "float_operators",
    "job_kind",
    "job_state",
    "latency",
    "latency_spread",
    "lost",
    "method",
    "metric_of",
    "networks",
    "noise_floor",
    "percent",
    "points",
    "predicted",
    "provenance",
    "relative_change",
    "score",
    "score_change",
    "score_half_width",
    "score_interval",
    "size",
    "smaller",
    "speedup_interval",
    "times",
    "versus_baseline",
]

TIED = "not distinguishable"


# --- measurements --------------------------------------------------------------------------------
def metric_of(candidates: Iterable[Candidate]) -> Metric:
    """Return the metric of these candidates of one task; accuracy while none has a score."""
    return next((c.score.scored_by for c in candidates if c.score is not None), ACCURACY)


def score(value: Score | None) -> str:
    """Return the mean score with its unit, such as the share of right answers."""
    return NOTHING if value is None else value_words(value.scored_by, value.value, value.n)


def score_interval(value: Score | None) -> str:
    """Return the 95 % interval of the mean score, with n."""
    if value is None:
        return NOTHING
    span = between(*value.interval, lambda end: value_words(value.scored_by, end, value.n))
    return f"{span} (95 % interval, n = {value.n:,})"


def score_half_width(value: Score) -> str:
    """Return half of the 95 % interval, to stand after the mean score."""
    return half_width_words(value.scored_by, value.interval, value.n)


def score_lost(value: Score | None) -> str:
    """Return what is lost or gained against the original."""
    return NOTHING if value is None else lost_words(value.scored_by, value.difference, value.n)


def score_change(value: Score | None) -> str:
    """Return the change against the original, and whether it is more than noise."""
    if value is None:
        return NOTHING
    words = score_lost(value)
    if value.worse == value.better == value.changed == 0:
        return "every answer as before"
    return f"{words}, {TIED} from the original" if value.tied_with_baseline else words


def relative_change(value: Score | None, baseline: Score | None) -> str:
    """Return the change relative to the original's score.

    The paired difference of 0.69 points at 93.65 % is a relative loss of 0.74 %.
    """
    if value is None or baseline is None or baseline.value == 0:
        return NOTHING
    return f"{100 * value.difference / baseline.value:+.2f} % relative".replace("+0.00", "0")


def changed_answers(value: Score | None) -> str:
    """Return how many answers differ from the original's, and to which side."""
    if value is None:
        return NOTHING
    return (
        f"{value.changed:,} of {value.n:,} answers changed: "
        f"{value.worse:,} worse, {value.better:,} better"
    )


def provenance(candidate: Candidate) -> str:
    """Return whether the figures were measured here; for a badge."""
    if candidate.latency is None and candidate.score is None:
        return "not measured"
    if candidate.latency is None:
        return "latency not measured yet"
    if candidate.score is None:
        return "accuracy not measured yet"
    recorded = f"measured, {candidate.score.scored_by.title.lower()} recorded"
    return recorded if candidate.score.recorded else "measured"


def latency_spread(value: Latency | None) -> str:
    """Return where most runs lay, with their number."""
    if value is None:
        return NOTHING
    return f"{between(*value.spread_ms, latency)} in 8 of 10 runs, n = {value.n:,}"


def speedup_interval(value: Latency | None) -> str:
    """Return the speed-up with its 95 % interval."""
    if value is None:
        return NOTHING
    low, high = value.speedup_interval
    return f"{faster(value.speedup)} (95 % interval {times(low)} to {times(high)})"


def noise_floor(value: Latency | None) -> str:
    """Return what the original showed against itself while this was timed."""
    if value is None:
        return NOTHING
    return f"the original against itself: {value.null_ratio:.2f}x"


def float_operators(facts: GraphFacts | None) -> str:
    """Return how much of the heavy work is still done in floating point."""
    if facts is None:
        return NOTHING
    if facts.float_count == 0:
        return f"none of {facts.operators} heavy operators left in float"
    return f"{facts.float_count} of {facts.operators} heavy operators run in float"


@lru_cache(maxsize=64)
def environment(value: Environment) -> str:
    """Return where something was measured, in one line."""
    return value.words().replace(value.engine, engine_title(value.engine), 1)


# --- candidates ----------------------------------------------------------------------------------
def method(recipe: Recipe) -> str:
    """Return the family of a recipe: what a plot colours by."""
    if recipe.is_control:
        return "small net from scratch"
    if recipe.step(Replace) is not None:
        return "student"
    if recipe.step(Sparsify) is not None:
        return "sparse"
    if recipe.step(Distill) is not None and recipe.step(Prune) is None:
        return "student"  # of its own former self
    match recipe.step(Prune) is not None, recipe.precision is not Precision.FP32:
        case True, True:
            return "pruned + quantized"
        case True, False:
            return "pruned"
        case False, True:
            return "quantized"
        case _ if recipe.step(ReplaceActivation) is not None:
            return "other activations"
        case _:
            return "fused" if recipe.steps else "original"


def networks(tasks: tuple[str, ...]) -> str:
    """Return the networks of these tasks by title, "A and B"; an unknown task keeps its name."""
    titles = {task.name: task.title for task in sample_tasks()}
    return " and ".join(titles.get(name, name) for name in tasks)


def versus_baseline(candidate: Candidate, baseline: Candidate | None) -> str:
    """Return faster, smaller and points in one line; what is unknown is left out."""
    parts = []
    if candidate.latency is not None:
        parts.append(faster(candidate.latency.speedup))
    if candidate.artifact and baseline and baseline.artifact:
        parts.append(smaller(baseline.artifact.size_bytes / candidate.artifact.size_bytes))
    if candidate.score is not None:
        parts.append(score_lost(candidate.score))
    return ", ".join(parts) or NOTHING


def predicted(prediction: Prediction, baseline: Candidate | None) -> str:
    """Return the predicted point in one line."""
    parts = []
    if baseline and baseline.latency and prediction.latency_ms > 0:
        parts.append(faster(baseline.latency.p50_ms / prediction.latency_ms))
    if baseline and baseline.artifact and prediction.size_bytes > 0:
        parts.append(smaller(baseline.artifact.size_bytes / prediction.size_bytes))
    low, high = prediction.score_interval
    parts.append(f"{100 * prediction.score:.1f} % ± {50 * (high - low):.1f}")
    return ", ".join(parts)


# --- jobs ----------------------------------------------------------------------------------------
def job_state(job: Job) -> str:
    """Return the state of a job in words."""
    match job.state:
        case JobState.QUEUED:
            return "waiting" if job.attempts == 0 else "waiting to be tried again"
        case JobState.RUNNING:
            return (
                "stopping"
                if job.cancel_requested
                else f"running, {percent(round(job.progress, 2))}"
            )
        case JobState.DONE:
            return "done"
        case JobState.FAILED:
            return "failed"
        case JobState.CANCELLED:
            return "cancelled"


def job_kind(kind: JobKind) -> str:
    """Return the kind of a job in words."""
    match kind:
        case JobKind.MAKE:
            return "make and measure"
        case JobKind.MEASURE:
            return "measure again"
        case JobKind.PREBUILT:
            return "first figures"
        case JobKind.ANALYSE:
            return "look inside"
        case JobKind.VERIFY:
            return "check recorded accuracy"
