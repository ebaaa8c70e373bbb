"""A workspace over synthetic candidates: the same methods, no network, no engine, no worker."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from optim.analysis.analyses import Analysis
from optim.artifact import store_artifact
from optim.candidate import Candidate, candidate_id, role_of
from optim.devices.environment import Environment
from optim.devices.target import Target
from optim.errors import OptimError
from optim.jobs.job import Job, JobKind, JobState
from optim.progress import Epoch
from optim.recipe import Recipe
from optim.store.analyses import AnalysisKind
from optim.task.task import Task, load_task, sample_tasks
from tests.dashboard.factories import ENVIRONMENT, candidate, sample_candidates

TASK = "fashion-squeezenet"


class FakeWorkspace:
    """Holds candidates and jobs in memory; a test ends a job by calling ``finish``."""

    def __init__(self, path: Path, candidates: Sequence[Candidate] | None = None) -> None:
        self.path = path
        self.environment: Environment = ENVIRONMENT
        self.target = Target()
        rows = sample_candidates() if candidates is None else candidates
        self.rows = {row.id: self._with_file(row) for row in rows}
        self.queue: list[Job] = []
        self.reason: str | None = None
        self.answers: dict[str, np.ndarray] = {}
        self.analyses: dict[tuple[str, AnalysisKind], Analysis] = {}
        self.logs: dict[str, tuple[Epoch, ...]] = {}
        self.started: list[str] = []
        self.newer = ""
        self._version = 1

    def _with_file(self, row: Candidate) -> Candidate:
        row = replace(row, task=TASK)
        if row.artifact is None:
            return row
        artifact = store_artifact(f"model {row.id}".encode(), self.path / "artifacts")
        return replace(row, artifact=replace(row.artifact, path=artifact.path))

    # --- looking -------------------------------------------------------------------------------
    def task(self, name: str) -> Task:
        return load_task(name)

    def tasks(self) -> tuple[Task, ...]:
        return sample_tasks()

    def broken_tasks(self) -> tuple[str, ...]:
        return ()

    def version(self) -> int:
        return self._version

    def candidates(self, task: str) -> tuple[Candidate, ...]:
        return tuple(row for row in self.rows.values() if row.task == task)

    def unread(self, task: str) -> str:
        return self.newer

    def candidate(self, candidate_id: str) -> Candidate:
        return self.rows[candidate_id]

    def predictions_of(self, candidate_id: str) -> np.ndarray | None:
        return self.answers.get(candidate_id)

    def analysis_of(self, candidate_id: str, kind: AnalysisKind) -> Analysis | None:
        return self.analyses.get((candidate_id, kind))

    def training_log(self, candidate_id: str) -> tuple[Epoch, ...]:
        return self.logs.get(candidate_id, ())

    def jobs(self, *, limit: int = 200) -> tuple[Job, ...]:
        return tuple(reversed(self.queue))[:limit]

    def job(self, job_id: str) -> Job | None:
        return next((job for job in self.queue if job.id == job_id), None)

    def job_log(self, job_id: str) -> str:
        return f"log of {job_id}"

    def paused(self) -> str | None:
        return self.reason

    def disk_bytes(self) -> tuple[int, int]:
        return 12_300_000, 45_000_000_000

    # --- doing ---------------------------------------------------------------------------------
    def start_task(self, task: str) -> Job | None:
        self.started.append(task)
        return None

    def submit(self, task: str, recipe: Recipe) -> Job:
        name = recipe.fingerprint[:12]
        if name not in self.rows:
            self.rows[name] = Candidate(id=name, task=task, recipe=recipe, role=role_of(recipe))
            self._version += 1
        payload = {"task": task, "recipe": recipe.to_dict()}
        return self._add(JobKind.MAKE, f"make:{name}", payload, recipe.words())

    def submit_measure(self, candidate_id: str) -> Job:
        row = self.rows[candidate_id]
        payload = {"task": row.task, "candidate": row.id}
        return self._add(JobKind.MEASURE, f"measure:{row.id}", payload, f"again: {row.words()}")

    def submit_analysis(self, candidate_id: str, kind: AnalysisKind) -> Job:
        row = self.rows[candidate_id]
        payload = {"task": row.task, "candidate": row.id, "analysis": str(kind)}
        return self._add(
            JobKind.ANALYSE, f"analyse:{kind}:{row.id}", payload, f"{kind} of {row.words()}"
        )

    def cancel(self, job_id: str) -> None:
        self._change(job_id, state=JobState.CANCELLED)

    def retry(self, job_id: str) -> Job:
        old = self.job(job_id)
        if old is None:
            raise OptimError(f"there is no job {job_id}.")
        return self._add(old.kind, old.key, old.payload, old.words)

    def resume(self) -> None:
        self.reason = None

    # --- for tests -----------------------------------------------------------------------------
    def finish(self, job_id: str) -> Candidate:
        """The worker is done: the job's candidate has its figures."""
        job = self.job(job_id)
        assert job is not None
        recipe = Recipe.from_dict(job.payload["recipe"])
        row = self._with_file(candidate(recipe, speedup=6.0, size_bytes=900_000, lost=40))
        self.rows[row.id] = row
        self._version += 1
        self._change(job_id, state=JobState.DONE, progress=1.0)
        return row

    def found(self, candidate_id: str, kind: AnalysisKind, analysis: Analysis) -> None:
        """Somebody has looked inside."""
        self.analyses[candidate_id, kind] = analysis
        self._version += 1
        for job in self.queue:
            if job.key == f"analyse:{kind}:{candidate_id}":
                self._change(job.id, state=JobState.DONE, progress=1.0)

    def trained(self, recipe: Recipe, log: tuple[Epoch, ...], *, measured: bool = True) -> None:
        """A training has these epochs so far."""
        name = candidate_id(load_task(TASK), recipe.training_prefix())
        self.logs[name] = log
        row = candidate(recipe, speedup=5.0, size_bytes=500_000, lost=60)
        if not measured:
            row = Candidate(id=row.id, task=TASK, recipe=recipe, role=role_of(recipe))
        self.rows[row.id] = self._with_file(row)
        self._version += 1

    def fail(self, job_id: str, error: str) -> None:
        self._change(job_id, state=JobState.FAILED, error=error)

    def run(self, job_id: str, progress: float, message: str) -> None:
        self._change(job_id, state=JobState.RUNNING, progress=progress, message=message)

    def _add(self, kind: JobKind, key: str, payload: dict[str, object], words: str) -> Job:
        live = next((job for job in self.queue if job.key == key and job.live), None)
        if live is not None:
            return live
        number = hashlib.sha256(f"{key}/{len(self.queue)}".encode()).hexdigest()[:12]
        job = Job(
            id=number, kind=kind, key=key, payload=payload, words=words, state=JobState.QUEUED,
            created=1_000.0 + len(self.queue),
        )  # fmt: skip
        self.queue.append(job)
        return job

    def _change(self, job_id: str, **changes: object) -> None:
        self.queue = [
            replace(job, **changes) if job.id == job_id else job  # type: ignore[arg-type]
            for job in self.queue
        ]
