"""What the worker does for each kind of job."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from optim.analysis.analyses import analyse
from optim.candidate import Candidate, candidate_id
from optim.devices.target import here
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
from optim.pipeline.starters import take_in
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
    results, queue = Results(folder), JobQueue(folder)
    task = load_task(job.payload["task"], folder)
    match job.kind:
        case JobKind.MAKE:
            recipe = Recipe.from_dict(job.payload["recipe"])
            make_and_measure(results, task, recipe, progress)
            parent = results.candidate(
                candidate_id(task, recipe.training_prefix()), here().fingerprint
            )
            if parent is not None and not parent.measured:
                submit_verify(queue, parent)
        case JobKind.MEASURE:
            measure_candidate(results, task, _known(results, job), progress=progress)
        case JobKind.ANALYSE:
            kind = AnalysisKind(job.payload["analysis"])
            analyse(results, task, _known(results, job), kind, progress=progress)
        case JobKind.VERIFY:
            _verify(results, task, _known(results, job), progress)
        case JobKind.STARTERS:
            for candidate in measure_starters(results, task, progress):
                if candidate.score is None or candidate.score.recorded:
                    submit_verify(queue, candidate)
        case _:
            assert_never(job.kind)


def submit_verify(queue: JobQueue, candidate: Candidate) -> Job:
    """Ask for whatever is not measured here yet, after everything else."""
    return queue.submit(
        JobKind.VERIFY,
        key=f"verify:{candidate.id}:{here().fingerprint}",
        payload={"task": candidate.task, "candidate": candidate.id},
        words=f"measure here: {candidate.words()}",
    )


def make_and_measure(results: Results, task: Task, recipe: Recipe, progress: Progress) -> Candidate:
    """Make a candidate and measure it; of a finished one only a busy moment is timed again.

    Raises:
        RefusedError: if the recipe cannot be done.
    """
    known = results.candidate(candidate_id(task, recipe), here().fingerprint)
    if known is not None and known.measured:
        return settle_latency_of(results, task, known, progress=progress)
    earlier, begun = recipe.earlier_round(), 0.0
    if earlier is not None:  # each round is a candidate of its own, and stays if this is cancelled
        begun = 1 - 1 / recipe.pruning_rounds
        make_and_measure(results, task, earlier, part(progress, 0.0, begun))
    progress = part(progress, begun, 1.0)
    made = make_candidate(results, task, recipe, progress=part(progress, 0.0, 0.8))
    if made.refusal is not None:
        raise RefusedError(made.refusal)
    return measure_candidate(results, task, made, progress=part(progress, 0.8, 1.0))


def measure_starters(results: Results, task: Task, progress: Progress) -> tuple[Candidate, ...]:
    """Take in a task's ready artifacts and time those that are not timed here yet.

    Somebody waits for the first plot, so each is timed once and briefly; a figure from a restless
    or busy moment is taken again when the recorded accuracies are verified.
    """
    taken = take_in(results, task, progress=lambda share, words: progress(0.1 * share, words))
    for i, candidate in enumerate(taken):
        progress(0.1 + 0.9 * i / len(taken), f"timing {candidate.words()}")
        known = results.candidate(candidate.id, here().fingerprint)
        if known is None or known.latency is None:
            measure_latency_of(
                results, task, candidate, progress=_silent, budget_s=0.8, max_restarts=0
            )
    return taken


def _verify(results: Results, task: Task, candidate: Candidate, progress: Progress) -> None:
    settle_latency_of(results, task, candidate, progress=_silent)
    if candidate.score is None or candidate.score.recorded:
        measure_score_of(results, task, candidate, progress=progress)
        settle_latency_of(results, task, candidate, progress=_silent)


def _known(results: Results, job: Job) -> Candidate:
    name = job.payload["candidate"]
    candidate = results.candidate(name, here().fingerprint)
    if candidate is None:
        raise OptimError(f"there is no candidate {name!r:.40} in this workspace any more.")
    return candidate


def _silent(share: float, words: str) -> None:
    """Progress that nobody needs to see."""
