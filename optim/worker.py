"""The background worker: takes jobs from a workspace's queue and runs each in a child process.

    worker (one per workspace, holds a lock) --spawns--> child (one job, own process group, limits)

The worker renews the job's lease, passes a cancel on, and decides what the child's end means. The
child's standard input is its lifeline: it is never written to, and it closes by itself when the
worker dies, however it dies. Then the child ends its whole process group, and the next worker takes
the job again once its lease has run out.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import optim
from optim.artifact import workspace_error
from optim.errors import OptimError, WorkspaceError
from optim.store.job import Job
from optim.store.jobs import LEASE_S, PROGRESS_EVERY_S, JobQueue
from optim.store.schema import connect, disk_is_full

Runner = Callable[[Path, Job, Callable[[float, str], None]], None]

RUNNER = "optim.jobs:run_job"
LOCK_NAME = "worker.lock"
MARKER = "EDGE_OPTIM_WORKER_OF"
"""Environment variable that every process below a worker inherits: the workspace's path."""

POLL_S = 0.25
LOCK_PATIENCE_S = 2.0
TERMINATION_GRACE_S = 10.0
FULL_DISK_RETRY_S = 5.0
ORPHAN_AGE_S = 3600.0

GIB = 2**30
LIMITS = (
    (resource.RLIMIT_AS, 16 * GIB),
    (resource.RLIMIT_FSIZE, 4 * GIB),
    (resource.RLIMIT_CORE, 0),
)

EXIT_FAILED = 10
EXIT_DISK_FULL = 11
EXIT_SUPERSEDED = 12


# --- the worker ------------------------------------------------------------------------------------
def run_worker(
    folder: Path,
    *,
    idle_exit_s: float | None = 120.0,
    lease_s: float = LEASE_S,
    runner: str = RUNNER,
    stop: threading.Event | None = None,
) -> bool:
    """Work on a workspace's jobs until nothing has waited for ``idle_exit_s``.

    Args:
        folder: the workspace.
        idle_exit_s: None works on forever.
        lease_s: how long a claim lasts without a sign of life.
        runner: ``module:function`` that does a job in the child.
        stop: set it to stop politely; a running job goes back to the queue.

    Returns:
        False at once if another worker holds this workspace, else True at the end.

    Raises:
        WorkspaceError: if the workspace cannot be used.
    """
    stop = stop or threading.Event()
    queue = JobQueue(folder)
    with closing(
        connect(folder)
    ):  # held open, so that the log of the store is not folded each time
        while _work_under_lock(queue, idle_exit_s, lease_s, runner, stop):
            # A job may have come between the last look and the release of the lock.
            if stop.is_set() or queue.paused() or not _waiting(queue):
                return True
    return False


def worker_alive(folder: Path) -> bool:
    """True if a worker holds this workspace's lock."""
    try:
        with (folder / LOCK_NAME).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def ensure_worker(folder: Path) -> None:
    """Start a worker in the background unless one is alive; it outlives the caller.

    Raises:
        WorkspaceError: if its log cannot be written.
    """
    if worker_alive(folder):
        return
    with _log(folder, "worker") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "optim.worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(),
        )
    # Somebody has to take note of its end, or it would stay behind as a zombie.
    threading.Thread(target=process.wait, name="edge-optim worker", daemon=True).start()


def sweep_orphans(folder: Path, *, older_than_s: float = ORPHAN_AGE_S) -> int:
    """Delete half-written artifacts that nobody will finish; returns how many."""
    swept = 0
    for path in (folder / "artifacts").rglob("*.part"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > older_than_s:
                path.unlink()
                swept += 1
    return swept


def _work_under_lock(
    queue: JobQueue, idle_exit_s: float | None, lease_s: float, runner: str, stop: threading.Event
) -> bool:
    """Hold the lock and work until idle or stopped; False if another worker holds it."""
    with _worker_lock(queue.folder) as held:
        if not held:
            return False
        _end_leftover_processes(queue.folder)
        sweep_orphans(queue.folder)
        idle_since = time.monotonic()
        while not stop.is_set():
            claimed = queue.claim(f"process {os.getpid()}", lease_s)
            if claimed is not None:
                job, token = claimed
                _supervise(queue, job, token, lease_s, runner, stop)
                idle_since = time.monotonic()
            elif idle_exit_s is not None and time.monotonic() - idle_since >= idle_exit_s:
                break
            else:
                stop.wait(POLL_S)
    return True


def _waiting(queue: JobQueue) -> bool:
    return any(job.started is None for job in queue.live())


@contextmanager
def _worker_lock(folder: Path) -> Iterator[bool]:
    """Hold the workspace's lock; the system gives it back however the process ends.

    ``worker_alive`` touches the lock for an instant, hence the patience.
    """
    try:
        file = (folder / LOCK_NAME).open("ab")
    except OSError as error:
        raise workspace_error(error, folder) from error
    with file:
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    yield False
                    return
                time.sleep(0.1)
        yield True


def _end_leftover_processes(folder: Path) -> None:
    """Kill what an earlier worker of this workspace left behind; nobody else works here now."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            mine = process.environ().get(MARKER) == str(folder.resolve())
            if mine and process.pid != os.getpid():
                process.kill()


# --- one job ---------------------------------------------------------------------------------------
def _supervise(
    queue: JobQueue, job: Job, token: int, lease_s: float, runner: str, stop: threading.Event
) -> None:
    """Run a job in a child and see it to its end."""
    try:
        child = _spawn(queue.folder, job, token, runner)
    except WorkspaceError as error:
        sentence = str(error)
        _settle(lambda: _fail(queue, job, token, sentence, pause=disk_is_full(error)), stop)
        return
    with _heartbeat(queue, job, token, lease_s) as lost:
        try:
            cancelled = _watch(child, queue, job, lost, stop)
        finally:
            _end_group(child)
        _settle(lambda: _conclude(queue, job, token, child.returncode, cancelled, stop), stop)


def _spawn(folder: Path, job: Job, token: int, runner: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "optim.worker", "--child", str(folder), job.id, str(token)]
    with _log(folder, job.id) as log:
        return subprocess.Popen(
            [*command, "--runner", runner],
            stdin=subprocess.PIPE,  # the lifeline
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**_environment(), MARKER: str(folder.resolve())},
        )


def _watch(
    child: subprocess.Popen[bytes],
    queue: JobQueue,
    job: Job,
    lost: threading.Event,
    stop: threading.Event,
) -> bool:
    """Wait for the child's end, or for a reason to end it; True if that was a cancel."""
    while True:
        try:
            child.wait(POLL_S)
            return False
        except subprocess.TimeoutExpired:
            pass
        if lost.is_set() or stop.is_set():
            return False
        with suppress(WorkspaceError):  # a store that is busy or full now is asked again
            now = queue.get(job.id)
            if now is not None and now.cancel_requested:
                return True


def _conclude(
    queue: JobQueue,
    job: Job,
    token: int,
    returncode: int,
    cancelled: bool,
    stop: threading.Event,
) -> None:
    """Write what the child's end means for the job. A stale token's write is refused."""
    if returncode == 0:
        queue.finish(job.id, token)
    elif cancelled:
        queue.cancelled(job.id, token)
    elif returncode == EXIT_DISK_FULL:
        full = str(workspace_error(OSError(28, "disk full"), queue.folder))
        _fail(queue, job, token, full, pause=True)
    elif returncode < 0:
        queue.release(job.id, token, died=not stop.is_set())
    else:
        queue.fail(job.id, token, _unexpected(job.id))


def _fail(queue: JobQueue, job: Job, token: int, sentence: str, *, pause: bool) -> None:
    if pause:
        queue.pause(sentence)
    queue.fail(job.id, token, sentence)


def _settle(write: Callable[[], None], stop: threading.Event) -> None:
    """Write a job's end; on a full disk again and again, until there is room for it."""
    while True:
        try:
            write()
            return
        except WorkspaceError as error:
            print(error, file=sys.stderr, flush=True)
            if stop.wait(FULL_DISK_RETRY_S):
                return


@contextmanager
def _heartbeat(queue: JobQueue, job: Job, token: int, lease_s: float) -> Iterator[threading.Event]:
    """Renew the lease from a thread; the event is set if the job has been given to somebody else."""
    done, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not done.wait(lease_s / 6):
            try:
                if not queue.beat(job.id, token, lease_s):
                    lost.set()
                    return
            except WorkspaceError as error:  # busy or full now; the next beat may get through
                print(error, file=sys.stderr, flush=True)

    thread = threading.Thread(target=beat, name=f"heartbeat {job.id}", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Leave no process of the child's group behind: SIGTERM, ten seconds, SIGKILL."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(TERMINATION_GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


@contextmanager
def _log(folder: Path, name: str) -> Iterator[IO[bytes]]:
    """``logs/NAME.log``, opened for appending, with the time written first."""
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        file = (folder / "logs" / f"{name}.log").open("ab")
    except OSError as error:
        raise workspace_error(error, folder) from error
    with file:
        with suppress(OSError):  # a full disk is found out by whoever needs the room
            file.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode())
            file.flush()
        yield file


def _environment() -> dict[str, str]:
    """Ours, with this very package first on the path of modules."""
    root = str(Path(optim.__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


# --- the child -------------------------------------------------------------------------------------
def child_main(folder: Path, job_id: str, token: int, runner: str = RUNNER) -> int:
    """Do one job in this process and report an error to the queue; the exit code says the rest."""
    queue = JobQueue(folder)
    job = queue.get(job_id)
    if job is None:
        return EXIT_SUPERSEDED
    try:
        with _Progress(queue, job_id, token) as progress:
            _load_runner(runner)(folder, job, progress)
    except _SupersededError:
        return EXIT_SUPERSEDED
    except Exception as error:
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


def _sentence(error: Exception, job_id: str) -> str:
    if isinstance(error, OptimError | ValueError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the memory did not suffice for this job. Close other programs, then ask again."
    return _unexpected(job_id)


def _unexpected(job_id: str) -> str:
    return f"something unexpected went wrong (job {job_id}); the log has the rest."


def _load_runner(name: str) -> Runner:
    """The function that ``module:function`` names."""
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


# --- the command -----------------------------------------------------------------------------------
def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m optim.worker FOLDER``; with ``--child`` the process that does one job."""
    parser = argparse.ArgumentParser(prog="python -m optim.worker", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="the workspace")
    parser.add_argument("job", nargs="?", help="with --child: the job's id")
    parser.add_argument("token", nargs="?", type=int, help="with --child: its fencing token")
    parser.add_argument("--child", action="store_true", help="do this one job and exit")
    parser.add_argument("--runner", default=RUNNER, help="module:function that does a job")
    parser.add_argument("--lease", type=float, default=LEASE_S, help="seconds a claim lasts")
    parser.add_argument("--idle-exit", type=float, default=120.0, help="seconds without work")
    options = parser.parse_args(arguments)
    if options.child:
        if options.job is None or options.token is None:
            parser.error("--child needs a job and a token.")
        threading.Thread(target=_die_with_worker, name="lifeline", daemon=True).start()
        _set_limits()
        return child_main(options.folder, options.job, options.token, options.runner)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        run_worker(
            options.folder,
            idle_exit_s=options.idle_exit,
            lease_s=options.lease,
            runner=options.runner,
            stop=stop,
        )
    except WorkspaceError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
