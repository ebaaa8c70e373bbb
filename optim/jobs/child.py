"""The child process that does one job: limits, progress, and what its end means.

Standard input is the child's lifeline: nobody writes to it, and it closes by itself when the worker
dies, however it dies. Then the child ends its whole process group.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from optim.errors import OptimError, StaleClaimError, WorkspaceError
from optim.jobs.job import Job
from optim.jobs.queue import PROGRESS_EVERY_S, JobQueue
from optim.store.schema import disk_is_full

Runner = Callable[[Path, Job, Callable[[float, str], None]], None]

RUNNER = "optim.jobs.run:run_job"
"""``module:function`` that does a job's work."""

GIB = 2**30
LIMITS = (
    (resource.RLIMIT_AS, 16 * GIB),
    (resource.RLIMIT_FSIZE, 4 * GIB),
    (resource.RLIMIT_CORE, 0),
)

EXIT_FAILED = 10
EXIT_DISK_FULL = 11
EXIT_SUPERSEDED = 12


def child_main(folder: Path, job_id: str, token: int, runner: str = RUNNER) -> int:
    """Do one job in this process and report an error to the queue; the exit code says the rest."""
    queue = JobQueue(folder)
    job = queue.get(job_id)
    if job is None:
        return EXIT_SUPERSEDED
    job = replace(job, token=token)  # the store may know a newer claim by now
    try:
        with _Progress(queue, job_id, token) as progress:
            _load_runner(runner)(folder, job, progress)
    except (_SupersededError, StaleClaimError):
        return EXIT_SUPERSEDED
    except Exception as error:
        with suppress(OSError):  # the log may have no room
            traceback.print_exc()
        if disk_is_full(error):
            return EXIT_DISK_FULL  # the worker reports it: here there may be no room for a word
        queue.fail(job_id, token, _sentence(error, job_id))
        return EXIT_FAILED
    return 0


class _SupersededError(Exception):
    """The job was given to another worker."""


class _Progress:
    """The callback that a job reports to. A thread writes the newest report, so no job waits."""

    def __init__(self, queue: JobQueue, job_id: str, token: int) -> None:
        self._queue, self._job_id, self._token = queue, job_id, token
        self._newest: tuple[float, str] | None = None
        self._held = True
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._write, name="progress", daemon=True)

    def __call__(self, share: float, message: str) -> None:
        self._newest = (share, message)
        if not self._held:
            raise _SupersededError

    def __enter__(self) -> _Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _write(self) -> None:
        written: tuple[float, str] | None = None
        wait_s = 0.05  # the first word appears at once
        while not self._done.wait(wait_s):
            newest = self._newest
            if newest is None or newest == written:
                continue
            with suppress(WorkspaceError):  # busy or full now; the job itself will find out
                self._held = self._queue.progress(self._job_id, self._token, *newest)
                written = newest
            wait_s = PROGRESS_EVERY_S * 1.1


def unexpected(job_id: str) -> str:
    """Return the sentence for a page where only the log can tell what happened."""
    return f"something unexpected went wrong (job {job_id}); the log has the rest."


def _sentence(error: Exception, job_id: str) -> str:
    if isinstance(error, OptimError | ValueError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the memory did not suffice for this job. Close other programs, then ask again."
    return unexpected(job_id)


def _load_runner(name: str) -> Runner:
    """Return the function that ``module:function`` names."""
    module, _, function = name.partition(":")
    runner: Runner = getattr(importlib.import_module(module), function)
    return runner


def _set_limits() -> None:
    """Bound what a job that runs wild can take: address space, file size, no core dumps."""
    for kind, wanted in LIMITS:
        _, hard = resource.getrlimit(kind)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):  # not every system lets itself be limited so
            resource.setrlimit(kind, (limit, limit))


def _die_with_worker() -> None:
    """Wait for the lifeline to close, then end the whole process group."""
    os.read(sys.stdin.fileno(), 1)
    os.killpg(0, signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m optim.jobs.child FOLDER JOB TOKEN``, as ``optim.jobs.worker`` does."""
    parser = argparse.ArgumentParser(prog="python -m optim.jobs.child", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="the workspace")
    parser.add_argument("job", help="the job's id")
    parser.add_argument("token", type=int, help="its fencing token")
    parser.add_argument("--runner", default=RUNNER, help="module:function that does a job")
    options = parser.parse_args(arguments)
    threading.Thread(target=_die_with_worker, name="lifeline", daemon=True).start()
    _set_limits()
    return child_main(options.folder, options.job, options.token, options.runner)


if __name__ == "__main__":
    sys.exit(main())
