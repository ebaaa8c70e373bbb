"""The job of the campaigns: it takes a moment, and leaves its name once it is done."""

from __future__ import annotations

import time
from pathlib import Path

from optim.artifact import write_atomically
from optim.jobs.job import Job
from optim.progress import Progress


def slow(folder: Path, job: Job, progress: Progress) -> None:
    """Write artifacts; the last line of work names the job, unless an attempt before has."""
    for step in range(job.payload["steps"]):
        write_atomically(folder / "artifacts" / f"{job.key}-{step}", job.key.encode() * 1000)
        progress(step / job.payload["steps"], "at work")
        time.sleep(0.03)
    done = folder / "results"
    known = done.read_text(encoding="utf-8").split() if done.exists() else []
    if job.key not in known:
        with done.open("a", encoding="utf-8") as file:
            file.write(f"{job.key}\n")
