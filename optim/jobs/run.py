"""Work of a job: what the worker does for each kind."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from optim.analysis.analyses import analyse
from optim.candidate import Candidate, candidate_id
from optim.devices.target import Target
from optim.errors import OptimError, RefusedError
from optim.jobs.job import Job, JobKind
from optim.jobs.queue import JobQueue
from optim.pipeline.make import make_candidate
from optim.pipeline.measure import (
    measure_candidate,
    measure_latency_of,
    measure_score_of,
    settle_latency_of,
)
from optim.pipeline.prebuilt import take_in
from optim.pipeline.reference import prepare_reference
from optim.progress import Progress, part
from optim.recipe import Recipe
from optim.store.analyses import AnalysisKind
from optim.store.results import Results
from optim.task.task import Task, load_task


def run_job(folder: Path, job: Job, progress: Progress) -> None:
    """Do a job's work in this process; every finished part is in the store when it returns.

    Raises:
        OptimError: with the one sentence that the page shows.
    """
    results, queue = Results(folder, claim=(job.id, job.token)), JobQueue(folder)
    target = Target.from_dict(job.payload.get("target"))
    task = load_task(job.payload["task"], folder)
    match job.kind:
        case JobKind.MAKE:
            recipe = Recipe.from_dict(job.payload["recipe"])
            make_and_measure(results, task, recipe, target, progress)
            prefix = candidate_id(task, recipe.training_prefix())
            parent = results.candidate(prefix, target.fingerprint)
            if parent is not None and not parent.measured:
                submit_verify(queue, parent, target)
        case JobKind.MEASURE:
            measure_candidate(
                results, task, _known(results, job, target), target, progress=progress
            )
        case JobKind.ANALYSE:
            kind = AnalysisKind(job.payload["analysis"])
            found = _known(results, job, target)
            analyse(results, task, found, kind, target, progress=progress)
        case JobKind.VERIFY:
            _verify(results, task, _known(results, job, target), target, progress)
        case JobKind.PREBUILT:
            for candidate in measure_prebuilt(results, task, target, progress):
                if candidate.score is None or candidate.score.recorded:
                    submit_verify(queue, candidate, target)
        case _:
            assert_never(job.kind)


def submit_verify(queue: JobQueue, candidate: Candidate, target: Target) -> Job:
    """Ask for whatever is not measured on a target yet, after everything else."""
    return queue.submit(
        JobKind.VERIFY,
        key=f"verify:{candidate.id}:{target.fingerprint}",
        payload={
            "task": candidate.task,
            "candidate": candidate.id,
            "target": target.to_dict(),
        },
        words=f"measure here: {candidate.words()}",
    )


def make_and_measure(
    results: Results, task: Task, recipe: Recipe, target: Target, progress: Progress
) -> Candidate:
    """Make a candidate and measure it; of a finished one only a noisy latency is timed again.

    The store is asked once, before; the file that everything is compared with is made first.

    Raises:
        RefusedError: if the recipe cannot be done.
    """
    earlier, begun = recipe.earlier_round(), 0.0
    name, original = candidate_id(task, recipe), candidate_id(task, Recipe())
    names = (name, candidate_id(task, recipe.training_prefix()))
    known = results.known(names, baseline=original, environment=target.fingerprint)
    found = known.candidates.get(name)
    reference = prepare_reference(results, task, target, known=known, progress=progress)
    if found is not None and found.measured:
        return settle_latency_of(results, task, found, target, reference, progress=progress)
    candidates = {**known.candidates, original: reference.candidate}
    if earlier is not None:  # each round is a candidate of its own, and stays if this is cancelled
        begun = 1 - 1 / recipe.pruning_rounds
        make_and_measure(results, task, earlier, target, part(progress, 0.0, begun))
    progress = part(progress, begun, 1.0)
    made = make_candidate(
        results, task, recipe, known=candidates, progress=part(progress, 0.0, 0.8)
    )
    if made.refusal is not None:
        raise RefusedError(made.refusal)
    return measure_candidate(
        results, task, made, target, reference=reference, progress=part(progress, 0.8, 1.0)
    )


def measure_prebuilt(
    results: Results, task: Task, target: Target, progress: Progress
) -> tuple[Candidate, ...]:
    """Take in a task's ready artifacts and time those that are not timed on this target yet.

    Somebody waits for the first plot, so each is timed once and briefly; a noisy figure is taken
    again when the recorded accuracies are verified.
    """
    taken = take_in(results, task, progress=lambda share, words: progress(0.1 * share, words))
    original = candidate_id(task, Recipe())
    names = tuple(candidate.id for candidate in taken)
    known = results.known(names, baseline=original, environment=target.fingerprint)
    reference = prepare_reference(results, task, target, known=known)
    for i, candidate in enumerate(taken):
        progress(0.1 + 0.9 * i / len(taken), f"timing {candidate.words()}")
        if known.candidates[candidate.id].latency is None:
            latency = measure_latency_of(
                results,
                task,
                candidate,
                target,
                reference,
                progress=_silent,
                budget_s=0.8,
                max_restarts=0,
            )
            reference = reference.after(latency)
    return taken


def _verify(
    results: Results, task: Task, candidate: Candidate, target: Target, progress: Progress
) -> None:
    reference = prepare_reference(results, task, target)
    timed = settle_latency_of(results, task, candidate, target, reference, progress=_silent)
    if candidate.score is None or candidate.score.recorded:
        measure_score_of(results, task, candidate, target, reference, progress=progress)
        assert timed.latency is not None  # timed just now, if not before
        reference = reference.after(timed.latency)
        settle_latency_of(results, task, timed, target, reference, progress=_silent)


def _known(results: Results, job: Job, target: Target) -> Candidate:
    name = job.payload["candidate"]
    candidate = results.candidate(name, target.fingerprint)
    if candidate is None:
        raise OptimError(f"there is no candidate {name!r:.40} in this workspace any more.")
    return candidate


def _silent(share: float, words: str) -> None:
    """Ignore progress that nobody needs to see."""
