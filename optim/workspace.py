"""The workspace: a folder with the store and the artifacts, and the facade that everyone calls.

Pages, command line and scripts go through this one class. It never draws, and it imports torch and
the engine only when a call needs them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from optim.artifact import as_os_error, workspace_error
from optim.candidate import Candidate
from optim.errors import OptimError
from optim.jobs.job import Job, JobKind
from optim.progress import Progress
from optim.recipe import Recipe
from optim.search.predict import Prediction, predict
from optim.task.task import Task, broken_tasks, load_task, own_tasks, sample_tasks

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from optim.analysis.analyses import Analysis
    from optim.devices.environment import Environment
    from optim.devices.target import Target
    from optim.jobs.queue import JobQueue
    from optim.progress import Epoch
    from optim.store.analyses import AnalysisKind
    from optim.store.results import Results


LOG_BYTES = 20_000
FOLDER_VARIABLE = "EDGE_OPTIM_WORKSPACE"


def default_folder() -> Path:
    """Return the default workspace: ``$EDGE_OPTIM_WORKSPACE``, else ``.workspace`` here."""
    return Path(os.environ.get(FOLDER_VARIABLE) or ".workspace")


def resolved(path: Path) -> Path:
    """Return a workspace's folder, absolute and without links.

    Raises:
        WorkspaceError: its links go round in a circle, or it is in the home of nobody.
    """
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise workspace_error(as_os_error(error), path) from error


class Workspace:
    """A folder that holds everything: ``store.sqlite``, ``artifacts/`` and ``logs/``.

    Args:
        path: the folder; it is made if missing.
        target: what is measured on, and whose figures are shown; by default ONNX Runtime on this
            machine with one thread.

    Raises:
        WorkspaceError: read-only, full disk, or written by a newer version.
    """

    def __init__(self, path: Path | str, *, target: Target | None = None) -> None:
        from optim.devices.target import Target
        from optim.jobs.queue import JobQueue
        from optim.store.results import Results

        self.path = resolved(Path(path))
        self.target: Target = target or Target()
        self.results: Results = Results(self.path)
        self.queue: JobQueue = JobQueue(self.path)

    def on(self, target: Target) -> Workspace:
        """Return the same folder, measured and shown on another target."""
        return self if target == self.target else Workspace(self.path, target=target)

    # --- looking ---------------------------------------------------------------------------------
    @property
    def environment(self) -> Environment:
        """Environment of its measurements: processor, engine, threads."""
        return self.target.environment

    def task(self, name: str) -> Task:
        """Return a sample task, or one of this workspace's own.

        Raises:
            UnknownTaskError: if there is no such task.
            BrokenTaskError: if its card cannot be read.
        """
        return load_task(name, self.path)

    def tasks(self) -> tuple[Task, ...]:
        """Return the samples, then this workspace's own tasks, without those of a broken card."""
        return (*sample_tasks(), *own_tasks(self.path))

    def broken_tasks(self) -> tuple[str, ...]:
        """Return what is wrong with the tasks that ``tasks`` leaves out, a sentence each."""
        return broken_tasks(self.path)

    def version(self) -> int:
        """Return a number that changes with each candidate and measurement, not with jobs."""
        return self.results.version()

    def candidates(self, task: str) -> tuple[Candidate, ...]:
        """Return every candidate of a task with its newest figures for the target, baseline first.

        Raises:
            UnknownTaskError: if there is no such task.
        """
        from optim.candidate import candidate_id

        loaded = self.task(task)
        rows = self.results.candidates(loaded.name, self.environment.fingerprint)
        # A row made from older weights, or by an older version of a step, is not this candidate.
        return tuple(row for row in rows if row.id == candidate_id(loaded, row.recipe))

    def unread(self, task: str | None = None) -> str:
        """Return a sentence on what a newer version wrote and is left out here, or nothing.

        Args:
            task: whose candidates to look at, besides the jobs.
        """
        from optim.store.unread import unread_words

        rows = [] if task is None else self.results.unread(task, self.environment.fingerprint)
        return unread_words((*rows, *self.queue.unread()))

    def candidate(self, candidate_id: str) -> Candidate:
        """Return one candidate.

        Raises:
            OptimError: if there is none with this id.
        """
        found = self.results.candidate(candidate_id, self.environment.fingerprint)
        if found is None:
            raise OptimError(
                f"there is no candidate {candidate_id!r:.40} in {self.path}. "
                "`edge-optim candidates TASK` lists them."
            )
        return found

    def candidate_of(self, task: str, recipe: Recipe) -> Candidate | None:
        """Return the candidate that this recipe gives, if the workspace knows it."""
        from optim.candidate import candidate_id

        name = candidate_id(self.task(task), recipe)
        return self.results.candidate(name, self.environment.fingerprint)

    def predictions_of(self, candidate_id: str) -> np.ndarray | None:
        """Return the predicted class of each test example, uint8 (n,); None if not known."""
        return self.results.predictions(candidate_id)

    def analysis_of(self, candidate_id: str, kind: AnalysisKind) -> Analysis | None:
        """Return the analysis of the candidate's present file on the target, or None."""
        from optim.analysis.analyses import known_analysis

        return known_analysis(self.results, candidate_id, kind, self.environment.fingerprint)

    def training_log(self, candidate_id: str) -> tuple[Epoch, ...]:
        """Return the epochs of a training so far, by the candidate whose last step it is."""
        from optim.store.training_log import TrainingLog

        return TrainingLog(self.path).get(candidate_id)

    def predict(self, task: str, recipe: Recipe) -> Prediction | None:
        """Predict the recipe's figures; None before two candidates are measured."""
        return predict(recipe, self.candidates(task))

    def frame(self, task: str) -> pd.DataFrame:
        """Return a task's candidates as a table, one row each; figures not measured are missing."""
        import pandas as pd

        return pd.DataFrame([_row(candidate) for candidate in self.candidates(task)])

    # --- doing, in the background -----------------------------------------------------------------
    def submit(self, task: str, recipe: Recipe) -> Job:
        """Ask for a candidate: made if needed, then measured. Asked twice, it is one job."""
        from optim.pipeline.make import registered

        found = registered(self.results, self.task(task), recipe)
        return self._submit(
            JobKind.MAKE,
            self._key(f"make:{found.id}"),
            task,
            {"recipe": recipe.to_dict()},
            recipe.words(),
        )

    def submit_measure(self, candidate_id: str) -> Job:
        """Ask for a finished candidate to be measured again."""
        found = self.candidate(candidate_id)
        return self._submit(
            JobKind.MEASURE,
            self._key(f"measure:{found.id}"),
            found.task,
            {"candidate": found.id},
            f"measure again: {found.words()}",
        )

    def submit_analysis(self, candidate_id: str, kind: AnalysisKind) -> Job:
        """Ask for a look inside a finished candidate.

        Raises:
            OptimError: if there is no such candidate.
        """
        found = self.candidate(candidate_id)
        return self._submit(
            JobKind.ANALYSE,
            self._key(f"analyse:{kind}:{found.id}"),
            found.task,
            {"candidate": found.id, "analysis": str(kind)},
            f"{kind} of {found.words()}",
        )

    def start_task(self, task: str) -> Job | None:
        """Queue a task's prebuilt candidates to be measured; None if nothing is left to do."""
        from optim.candidate import candidate_id
        from optim.pipeline.prebuilt import prebuilt_recipes

        loaded = self.task(task)
        wanted = [candidate_id(loaded, recipe) for recipe in prebuilt_recipes(loaded)]
        wanted = wanted or [candidate_id(loaded, Recipe())]
        known = {c.id for c in self.candidates(task) if c.latency is not None}
        if known.issuperset(wanted):
            return None
        key = f"starters:{loaded.fingerprint}:{self.environment.fingerprint}"
        return self._submit(JobKind.PREBUILT, key, task, {}, f"first figures of {loaded.title}")

    def jobs(self, *, limit: int = 200) -> tuple[Job, ...]:
        """Return the jobs, newest first."""
        return tuple(self.queue.list(limit))

    def job(self, job_id: str) -> Job | None:
        """Return one job, or None."""
        return self.queue.get(job_id)

    def cancel(self, job_id: str) -> None:
        """Stop a job; what it has finished stays."""
        from optim.jobs.worker import free_leases_of_the_dead

        self.queue.cancel(job_id)
        free_leases_of_the_dead(self.path)  # nobody else would carry the cancel out

    def retry(self, job_id: str) -> Job:
        """Ask for a failed or cancelled job's work once more.

        Raises:
            OptimError: if there is no such job.
        """
        old = self.queue.get(job_id)
        if old is None:
            raise OptimError(f"there is no job {job_id!r:.40}. `edge-optim jobs` lists them.")
        job = self.queue.submit(old.kind, key=old.key, payload=old.payload, words=old.words)
        self.ensure_worker()
        return job

    def job_log(self, job_id: str) -> str:
        """Return the last lines of a job's log, for a technical reader."""
        job = self.queue.get(job_id)
        path = self.path / "logs" / f"{job_id}.log"
        if job is None or not path.exists():
            return ""
        return path.read_bytes()[-LOG_BYTES:].decode(errors="replace")

    def paused(self) -> str | None:
        """Return why the queue waits (a full disk), or None."""
        return self.queue.paused()

    def resume(self) -> None:
        """Let a paused queue go on."""
        self.queue.resume()
        self.ensure_worker()

    def disk_bytes(self) -> tuple[int, int]:
        """Return bytes that the workspace takes, and bytes free on its disk."""
        used = sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
        return used, shutil.disk_usage(self.path).free

    def ensure_worker(self) -> None:
        """Start the background worker of this workspace unless one is alive."""
        from optim.jobs.worker import ensure_worker

        ensure_worker(self.path)

    def _submit(
        self, kind: JobKind, key: str, task: str, payload: dict[str, object], words: str
    ) -> Job:
        job = self.queue.submit(
            kind,
            key=key,
            payload={"task": task, **payload, "target": self.target.to_dict()},
            words=words if self._usual else f"{words} ({self.target.words()})",
        )
        self.ensure_worker()
        return job

    @property
    def _usual(self) -> bool:
        return self.target == type(self.target)()

    def _key(self, work: str) -> str:
        """Queue a job, or return the one that does the same work on the same target."""
        return work if self._usual else f"{work}:{self.target.fingerprint}"

    # --- doing, here and now ----------------------------------------------------------------------
    def make(
        self, task: str | Task, recipe: Recipe, *, progress: Progress = lambda share, words: None
    ) -> Candidate:
        """Make and measure a candidate in this process; finished parts are re-used.

        What came with the task counts as finished: its files are taken in, and measured here.

        Raises:
            RefusedError: if the recipe cannot be done; the refusal is kept as a row, too.
        """
        from optim.jobs.run import make_and_measure
        from optim.pipeline.prebuilt import take_in_if_shipped

        loaded = self.task(task) if isinstance(task, str) else task
        take_in_if_shipped(
            self.results, loaded, recipe, progress=lambda share, words: progress(0.0, words)
        )
        return make_and_measure(self.results, loaded, recipe, self.target, progress)

    def measure(
        self, candidate_id: str, *, progress: Progress = lambda share, words: None
    ) -> Candidate:
        """Measure a finished candidate in this process, whether or not it was measured before.

        Raises:
            OptimError: if there is no such candidate, or it has no file.
        """
        from optim.pipeline.measure import measure_candidate

        found = self.candidate(candidate_id)
        return measure_candidate(
            self.results, self.task(found.task), found, self.target, progress=progress
        )

    def analyse(
        self,
        candidate_id: str,
        kind: AnalysisKind,
        *,
        progress: Progress = lambda share, words: None,
    ) -> Analysis:
        """Look inside a finished candidate in this process; what is known already is made anew.

        Raises:
            OptimError: if there is no such candidate, or it has no file.
            RefusedError: if this analysis makes no sense for it.
        """
        from optim.analysis.analyses import analyse

        found = self.candidate(candidate_id)
        return analyse(
            self.results, self.task(found.task), found, kind, self.target, progress=progress
        )

    def take_prebuilt(
        self, task: str, *, progress: Progress = lambda share, words: None
    ) -> tuple[Candidate, ...]:
        """Take in a task's ready artifacts and measure what is neither recorded nor known here."""
        from optim.jobs.run import measure_prebuilt
        from optim.pipeline.measure import measure_score_of
        from optim.pipeline.reference import prepare_reference

        loaded = self.task(task)
        taken = measure_prebuilt(self.results, loaded, self.target, progress)
        if all(candidate.score is not None for candidate in taken):
            return self.candidates(task)
        reference = prepare_reference(self.results, loaded, self.target)
        for candidate in taken:
            if candidate.score is None:
                measure_score_of(
                    self.results, loaded, candidate, self.target, reference, progress=progress
                )
        return self.candidates(task)

    def export(self, candidate_id: str, folder: Path) -> tuple[Path, ...]:
        """Write model, recipe and a card with hashes to a folder.

        Raises:
            OptimError: if the candidate has no file.
        """
        from optim.report.export import export_candidate

        found = self.candidate(candidate_id)
        return export_candidate(found, self.task(found.task), folder)


def _row(candidate: Candidate) -> dict[str, object]:
    latency, accuracy = candidate.latency, candidate.score
    artifact, facts = candidate.artifact, candidate.facts
    return {
        "id": candidate.id,
        "recipe": candidate.words(),
        "role": str(candidate.role),
        "precision": str(candidate.recipe.precision),
        "pruning_ratio": candidate.recipe.pruning_ratio,
        "pruning_unit": candidate.recipe.pruning_unit,
        "accuracy": accuracy.value if accuracy else None,
        "accuracy_low": accuracy.interval[0] if accuracy else None,
        "accuracy_high": accuracy.interval[1] if accuracy else None,
        "accuracy_difference": accuracy.difference if accuracy else None,
        "accuracy_recorded": accuracy.recorded if accuracy else None,
        "changed_answers": accuracy.changed if accuracy else None,
        "latency_ms": latency.p50_ms if latency else None,
        "latency_p10_ms": latency.spread_ms[0] if latency else None,
        "latency_p90_ms": latency.spread_ms[1] if latency else None,
        "latency_p99_ms": latency.p99_ms if latency else None,
        "speedup": latency.speedup if latency else None,
        "speedup_low": latency.speedup_interval[0] if latency else None,
        "speedup_high": latency.speedup_interval[1] if latency else None,
        "null_ratio": latency.null_ratio if latency else None,
        "size_bytes": artifact.size_bytes if artifact else None,
        "compressed_bytes": artifact.compressed_bytes if artifact else None,
        "parameters": facts.parameters if facts else None,
        "sparsity": facts.sparsity if facts else None,
        "macs": facts.macs if facts else None,
        "float_operators": facts.float_count if facts else None,
        "refusal": str(candidate.refusal) if candidate.refusal else None,
    }
