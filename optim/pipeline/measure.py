"""Measuring a candidate: the order in which things are measured, and against what.

Everything is compared with the task's reference, the original network in FP32 on the same target.
Files are made before (``optim.pipeline.make``, ``optim.pipeline.reference``); here the store is
only written to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optim.candidate import Candidate
from optim.devices.device import usable_cores
from optim.measure.latency import measure
from optim.measure.scoring import compare, predictions_of
from optim.pipeline.reference import Reference, prepare_reference, verified
from optim.progress import Progress, part
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.devices.target import Target
    from optim.measure.measurement import Latency, Score
    from optim.store.results import Results


def measure_candidate(
    results: Results,
    task: Task,
    candidate: Candidate,
    target: Target,
    *,
    reference: Reference | None = None,
    progress: Progress = lambda share, words: None,
) -> Candidate:
    """Measure latency on a target and accuracy on the test split, and keep both.

    Args:
        reference: of the task on this target; prepared first if None.

    Raises:
        BrokenArtifactError: if the candidate has no file, or not the one that was made.
    """
    reference = reference or prepare_reference(results, task, target)
    latency = measure_latency_of(
        results, task, candidate, target, reference, progress=part(progress, 0.0, 0.3)
    )
    score = measure_score_of(
        results, task, candidate, target, reference, progress=part(progress, 0.3, 0.8)
    )
    measured = replace(candidate, latency=latency, score=score)
    return settle_latency_of(
        results,
        task,
        measured,
        target,
        reference.after(latency),
        progress=part(progress, 0.8, 1.0),
    )


def measure_latency_of(
    results: Results,
    task: Task,
    candidate: Candidate,
    target: Target,
    reference: Reference,
    *,
    progress: Progress,
    budget_s: float = 1.5,
    max_restarts: int = 2,
) -> Latency:
    """Time the candidate's file interleaved with the reference, and keep it."""
    progress(0.0, "timing it, interleaved with the original")
    latency = _timed(
        task, candidate, target, reference, budget_s=budget_s, max_restarts=max_restarts
    )
    results.add_latency(candidate.id, latency)
    return latency


def settle_latency_of(
    results: Results,
    task: Task,
    candidate: Candidate,
    target: Target,
    reference: Reference,
    *,
    progress: Progress,
) -> Candidate:
    """Time a candidate once more if its figure is noisy, and keep the less noisy of the two.

    System load lasts for seconds, so this is worth calling a while after ``measure_latency_of``.

    Returns:
        The candidate with what is known of it then.
    """
    found = candidate.latency_on(target)
    if found is None:
        latency = measure_latency_of(results, task, candidate, target, reference, progress=progress)
        return replace(candidate, latency=latency)
    known = replace(found, usual_ms=reference.usual_ms)
    if known.noise <= 1:
        return candidate
    progress(0.0, "the machine was loaded while it was timed: timing it again")
    again = _timed(task, candidate, target, reference)
    kept = min(known, again, key=lambda each: each.noise)
    results.add_latency(candidate.id, kept)
    return replace(candidate, latency=kept)


def measure_score_of(
    results: Results,
    task: Task,
    candidate: Candidate,
    target: Target,
    reference: Reference,
    *,
    progress: Progress,
) -> Score:
    """Run the candidate's file over the test split and compare with the reference's answers."""
    original = reference.candidate
    if reference.predictions is None and original.id != candidate.id:
        progress(0.0, "answering the test split with the original")
        reference = with_predictions(results, task, target, reference, progress=progress)
    artifact = verified(candidate.artifact, of=candidate.words())
    test = task.split("test")
    progress(0.0, f"answering {len(test):,} test examples")
    predictions = predictions_of(
        target.load_engine(),
        artifact.path,
        test,
        threads=usable_cores(),
        metric=task.metric,
        progress=progress,
    )
    known = predictions if original.id == candidate.id else reference.predictions
    assert known is not None  # answered above, if not before
    accuracy = compare(
        predictions,
        known,
        test.targets,
        split="test",
        baseline_sha256=reference.artifact.sha256,
        metric=task.metric,
    )
    results.add_score(candidate.id, accuracy, predictions)
    return accuracy


def with_predictions(
    results: Results, task: Task, target: Target, reference: Reference, *, progress: Progress
) -> Reference:
    """Return the reference with its answers to the test split, measured if not known."""
    if reference.predictions is not None:
        return reference
    measure_score_of(results, task, reference.candidate, target, reference, progress=progress)
    return replace(reference, predictions=results.predictions(reference.candidate.id))


def _timed(
    task: Task,
    candidate: Candidate,
    target: Target,
    reference: Reference,
    *,
    budget_s: float = 1.5,
    max_restarts: int = 2,
) -> Latency:
    return measure(
        verified(candidate.artifact, of=candidate.words()),
        reference.artifact,
        target,
        example=task.example(target.batch),
        usual_ms=reference.usual_ms,
        budget_s=budget_s,
        max_restarts=max_restarts,
    )
