"""From a candidate's file to its figures: the order in which things are measured, and against what.

Everything is compared with the task's baseline, the original network in FP32 on the same engine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optim.artifact import Artifact
from optim.candidate import Candidate
from optim.devices.target import ENGINE, here
from optim.engines import engine_named
from optim.errors import BrokenArtifactError
from optim.measure.latency import measure_latency
from optim.measure.scoring import compare, predictions_of
from optim.pipeline.make import make_candidate
from optim.progress import Progress, part
from optim.recipe import Recipe
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.measure.measurement import Latency
    from optim.store.results import Results


def measure_candidate(
    results: Results,
    task: Task,
    candidate: Candidate,
    *,
    progress: Progress = lambda share, words: None,
) -> Candidate:
    """Measure latency here and accuracy on the test split, and keep both.

    Raises:
        BrokenArtifactError: if the candidate has no file, or not the one that was made.
    """
    measure_latency_of(results, task, candidate, progress=part(progress, 0.0, 0.3))
    measure_score_of(results, task, candidate, progress=part(progress, 0.3, 0.8))
    return settle_latency_of(results, task, candidate, progress=part(progress, 0.8, 1.0))


def measure_latency_of(
    results: Results,
    task: Task,
    candidate: Candidate,
    *,
    progress: Progress,
    budget_s: float = 1.5,
    max_restarts: int = 2,
) -> None:
    """Time the candidate's file in turn with the baseline's."""
    progress(0.0, "timing it in turn with the original")
    latency = _timed(results, task, candidate, budget_s=budget_s, max_restarts=max_restarts)
    results.add_latency(candidate.id, latency)


def settle_latency_of(
    results: Results, task: Task, candidate: Candidate, *, progress: Progress
) -> Candidate:
    """Time a candidate once more if its moment was no calm one, and keep the calmer of the two.

    A busy moment lasts for seconds, so this is worth calling a while after ``measure_latency_of``.

    Returns:
        The candidate with what is known of it then.
    """
    found = _known(results, candidate)
    if found.latency is None:
        measure_latency_of(results, task, candidate, progress=progress)
        return _known(results, candidate)
    usual_ms = results.usual_baseline_ms(found.latency.baseline_sha256, here().fingerprint)
    known = replace(found.latency, usual_ms=usual_ms)
    if known.unrest <= 1:
        return found
    progress(0.0, "the machine was not calm while it was timed: timing it again")
    again = _timed(results, task, candidate)
    results.add_latency(candidate.id, min(known, again, key=lambda each: each.unrest))
    return _known(results, candidate)


def measure_score_of(
    results: Results, task: Task, candidate: Candidate, *, progress: Progress
) -> None:
    """Run the candidate's file over the test split and compare with the baseline's answers."""
    artifact = _artifact(candidate)
    baseline = make_candidate(results, task, Recipe())
    known = results.predictions(baseline.id)
    if known is None and baseline.id != candidate.id:
        measure_score_of(results, task, baseline, progress=progress)
        known = results.predictions(baseline.id)
    test = task.split("test")
    progress(0.0, f"answering {len(test):,} test examples")
    predictions = predictions_of(
        engine_named(ENGINE),
        artifact.path,
        test,
        threads=here().cores,
        metric=task.metric,
        progress=progress,
    )
    accuracy = compare(
        predictions,
        predictions if known is None or baseline.id == candidate.id else known,
        test.targets,
        split="test",
        baseline_sha256=_artifact(baseline).sha256,
        metric=task.metric,
    )
    results.add_score(candidate.id, accuracy, predictions)


def _timed(
    results: Results,
    task: Task,
    candidate: Candidate,
    *,
    budget_s: float = 1.5,
    max_restarts: int = 2,
) -> Latency:
    artifact = _artifact(candidate)
    baseline = _artifact(make_candidate(results, task, Recipe()))
    environment = here()
    return measure_latency(
        engine_named(ENGINE),
        baseline,
        artifact,
        task.example(),
        environment=environment,
        usual_ms=results.usual_baseline_ms(baseline.sha256, environment.fingerprint),
        budget_s=budget_s,
        max_restarts=max_restarts,
    )


def _known(results: Results, candidate: Candidate) -> Candidate:
    found = results.candidate(candidate.id, here().fingerprint)
    assert found is not None  # nobody measures what is not registered
    return found


def _artifact(candidate: Candidate) -> Artifact:
    if candidate.artifact is None:
        raise BrokenArtifactError(
            f"candidate {candidate.id} ({candidate.words()}) has no file yet, so nothing can be "
            "measured. Make it first."
        )
    candidate.artifact.verify()
    return candidate.artifact
