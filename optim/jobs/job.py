"""A job: one candidate to be made or measured, as the queue and the pages see it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from optim.recipe import Recipe
from optim.words import moment


class JobKind(StrEnum):
    """Kind of work."""

    MAKE = "make"
    """Make a candidate (training, export, quantization), then measure it."""
    MEASURE = "measure"
    """Measure latency and accuracy of a finished candidate here."""
    PREBUILT = "starters"  # as stores have called it since version 1
    """First start: take in a task's ready artifacts and measure their latency."""
    ANALYSE = "analyse"
    """Look inside a finished candidate: time by operator, sensitivity by layer."""
    VERIFY = "verify"
    """In the background, after everything else: measure what is so far only recorded."""


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A row of the queue.

    Attributes:
        id: 12 hexadecimal digits, random.
        kind: what to do.
        key: names the work by content; two live jobs never share it.
        payload: plain data for the worker: ``{"task": ..., "recipe": {...}, "candidate": ...,
            "analysis": ...}``.
        words: the work in words for people.
        state, progress, message: progress is 0..1, the message says what happens now.
        attempts: how often a worker has begun it.
        error: one sentence, if it failed.
        created, started, finished: seconds since 1970, UTC.
        token: the fencing token of the claim under which it is done; 0 before any.
    """

    id: str
    kind: JobKind
    key: str
    payload: dict[str, Any]
    words: str
    state: JobState
    progress: float = 0.0
    message: str = ""
    attempts: int = 0
    error: str | None = None
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    cancel_requested: bool = False
    token: int = 0

    @cached_property
    def recipe(self) -> Recipe | None:
        """Recipe to make; None where the work is on a candidate or on a task.

        Raises:
            BrokenRecipeError: a newer version of edge-optim wrote it.
        """
        return Recipe.from_dict(self.payload["recipe"]) if "recipe" in self.payload else None

    @property
    def live(self) -> bool:
        """True while it waits or runs."""
        return self.state in LIVE


def job_record(job: Job) -> dict[str, Any]:
    """Return a job as plain data, ready for JSON."""
    return {
        **asdict(job),
        "kind": str(job.kind),
        "state": str(job.state),
        "created": moment(job.created),
        "started": moment(job.started),
        "finished": moment(job.finished),
    }
