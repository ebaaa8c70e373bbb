"""Processes killed at random moments: every job is done, once, and nobody survives."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

import optim
from optim.jobs.job import JobKind, JobState
from optim.jobs.queue import JobQueue
from tests.faults.tally import Tally, sizes
from tests.waiting import wait_for

ROOT = Path(optim.__file__).resolve().parents[1]
JOBS = 3


def worker(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "optim.jobs.worker", str(folder), "--runner",
         "tests.faults.work:slow", "--lease", "1.5", "--idle-exit", "0.2"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def campaign(folder: Path, tries: int, row: Tally, victim: Callable[[int], int | None]) -> None:
    """Ask for jobs, kill at random moments, then let the queue come to its end."""
    chance = random.Random(0)
    for attempt in range(tries):
        queue = JobQueue(folder / str(attempt))
        jobs = [
            queue.submit(JobKind.MAKE, key=f"{i}", payload={"steps": 6}, words="a job")
            for i in range(JOBS)
        ]
        process = worker(queue.folder)
        time.sleep(chance.uniform(0.2, 1.5))
        row.tried += 1
        if pid := victim(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(job is not None and job.live for job in map(queue.get, (j.id for j in jobs))):
            if process.poll() is not None:
                process = worker(queue.folder)
            time.sleep(0.05)
        process.wait(60)
        states = [found.state for job in jobs if (found := queue.get(job.id)) is not None]
        row.lost += sum(state is not JobState.DONE for state in states) + JOBS - len(states)
        results = sorted((queue.folder / "results").read_text(encoding="utf-8").split())
        row.duplicated += len(results) - len(set(results))
        row.wrong += [f"{attempt}: {results}"] * (set(results) != {f"{i}" for i in range(JOBS)})
        wait_for(lambda folder=queue.folder: not below(folder), 30)


def below(folder: Path) -> list[int]:
    """Processes that still work on this workspace."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(folder) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def a_child(worker: int) -> int | None:
    with suppress(psutil.Error):
        children = psutil.Process(worker).children()
        return children[0].pid if children else None
    return None


@sizes(2, 100)
def test_a_child_that_is_killed(tries: int, tally: Callable[[str], Tally], tmp_path: Path) -> None:
    row = tally("kill -9 of the child")
    campaign(tmp_path, tries, row, a_child)
    row.check()


@sizes(2, 50)
def test_a_worker_that_is_killed(tries: int, tally: Callable[[str], Tally], tmp_path: Path) -> None:
    row = tally("kill -9 of the worker")
    campaign(tmp_path, tries, row, lambda pid: pid)
    row.check()
