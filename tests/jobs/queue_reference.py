"""The queue's promises, slowly and obviously: a list of jobs in memory."""

from __future__ import annotations

from dataclasses import dataclass

MOST_ATTEMPTS = 3
RANK = {"starters": 0, "make": 1, "measure": 1, "analyse": 1, "verify": 2}


@dataclass
class ReferenceJob:
    id: str
    kind: str
    key: str
    state: str = "queued"
    attempts: int = 0
    token: int = 0
    lease_until: float = 0.0
    cancel_requested: bool = False


class ReferenceQueue:
    def __init__(self) -> None:
        self.jobs: list[ReferenceJob] = []
        self.now = 0.0
        self.paused = False

    def live_with(self, key: str) -> ReferenceJob | None:
        found = [j for j in self.jobs if j.key == key and j.state in ("queued", "running")]
        assert len(found) <= 1
        return found[0] if found else None

    def job(self, job_id: str) -> ReferenceJob:
        return next(j for j in self.jobs if j.id == job_id)

    def abandoned(self, job: ReferenceJob) -> bool:
        return job.state == "running" and job.lease_until <= self.now

    def drop_cancelled(self) -> None:
        for job in self.jobs:
            if job.cancel_requested and (job.state == "queued" or self.abandoned(job)):
                job.state = "cancelled"

    def cancel(self, job_id: str) -> None:
        job = self.job(job_id)
        if job.state in ("queued", "running"):
            job.cancel_requested = True
        self.drop_cancelled()

    def claim(self, lease_s: float) -> ReferenceJob | None:
        self.drop_cancelled()
        for job in self.jobs:
            if self.abandoned(job) and job.attempts >= MOST_ATTEMPTS:
                job.state = "failed"
        if self.paused:
            return None
        free = [j for j in self.jobs if j.state == "queued" or self.abandoned(j)]
        if not free:
            return None
        job = min(free, key=lambda j: (RANK[j.kind], self.jobs.index(j)))
        job.state = "running"
        job.attempts += 1
        job.token += 1
        job.lease_until = self.now + lease_s
        return job

    def holds(self, job_id: str, token: int) -> bool:
        job = self.job(job_id)
        return job.state == "running" and job.token == token

    def end(self, job_id: str, token: int, how: str) -> bool:
        if not self.holds(job_id, token):
            self.drop_cancelled()
            return False
        job = self.job(job_id)
        match how:
            case "finish":
                job.state = "done"
            case "fail":
                job.state = "failed"
            case "died":
                job.state = "failed" if job.attempts >= MOST_ATTEMPTS else "queued"
            case "stopped":
                job.state = "queued"
                job.attempts -= 1
            case "cancelled":
                job.state = "cancelled" if job.cancel_requested else "queued"
                job.attempts -= not job.cancel_requested
        self.drop_cancelled()
        return True
