"""The background worker: takes jobs from a workspace's queue and runs each in a child process.

    worker (one per workspace, holds a lock) --spawns--> child (one job, own process group, limits)

The worker renews the lease, passes a cancel on, and decides what the child's end means. If the
worker itself dies, so does the child, and the next worker takes the job again: the lock that it
holds proves that nobody else works here. A store that is full or busy is asked again; one that has
become unusable (damaged, or of a newer version) ends the worker, and so gives the lock back.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from optim.artifact import workspace_error
from optim.errors import WorkspaceError
from optim.jobs.child import EXIT_DISK_FULL, RUNNER, unexpected
from optim.jobs.job import Job, JobState
from optim.jobs.queue import LEASE_S, JobQueue
from optim.store.schema import connect, disk_is_full, may_pass

LOCK_NAME = "worker.lock"
MARKER = "EDGE_OPTIM_WORKER_OF"
"""Environment variable that every process below a worker inherits: the workspace's path."""

POLL_S = 0.25
LOCK_PATIENCE_S = 2.0
TERMINATION_GRACE_S = 10.0
FULL_DISK_RETRY_S = 5.0
ORPHAN_AGE_S = 5.0
"""A file that is being written is locked, but for an instant at its beginning."""


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
            [sys.executable, "-m", "optim.jobs.worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(),
        )
    # Somebody has to take note of its end, or it would stay behind as a zombie.
    threading.Thread(target=process.wait, name="edge-optim worker", daemon=True).start()


def free_leases_of_the_dead(folder: Path) -> None:
    """Give back what dead workers had claimed, unless a worker is alive.

    Raises:
        WorkspaceError: if the workspace cannot be used.
    """
    if worker_alive(folder):
        return
    with _worker_lock(folder) as held:
        if held:
            JobQueue(folder).free_leases()


def sweep_orphans(folder: Path, *, older_than_s: float = ORPHAN_AGE_S) -> int:
    """Delete half-written artifacts that nobody is writing any more; returns how many."""
    swept = 0
    for path in (folder / "artifacts").rglob("*.part"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # fails while somebody writes it
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
        queue.free_leases()
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
    return any(job.state is JobState.QUEUED for job in queue.live())


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


# --- one job --------------------------------------------------------------------------------------
def _supervise(
    queue: JobQueue, job: Job, token: int, lease_s: float, runner: str, stop: threading.Event
) -> None:
    """Run a job in a child and see it to its end."""
    try:
        child = _spawn(queue.folder, job, token, runner)
    except WorkspaceError as error:
        sentence, full = str(error), disk_is_full(error)
        _settle(lambda: _fail(queue, job, token, sentence, pause=full), stop)
        return
    with _heartbeat(queue, job, token, lease_s) as lost:
        try:
            cancelled = _watch(child, queue, job, lost, stop)
        except BaseException:
            _end_group(child)
            with suppress(WorkspaceError):  # what is raised tells of it
                queue.release(job.id, token, died=False)
            raise
        _end_group(child)
        _settle(lambda: _conclude(queue, job, token, child.returncode, cancelled, stop), stop)


def _spawn(folder: Path, job: Job, token: int, runner: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "optim.jobs.child", str(folder), job.id, str(token)]
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
        try:
            now = queue.get(job.id)
        except WorkspaceError as error:
            if not may_pass(error):
                raise
        else:
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
        full = str(workspace_error(OSError(errno.ENOSPC, "disk full"), queue.folder))
        _fail(queue, job, token, full, pause=True)
    elif returncode < 0:
        queue.release(job.id, token, died=not stop.is_set())
    else:
        queue.fail(job.id, token, unexpected(job.id))


def _fail(queue: JobQueue, job: Job, token: int, sentence: str, *, pause: bool) -> None:
    if pause:
        queue.pause(sentence)
    queue.fail(job.id, token, sentence)


def _settle(write: Callable[[], None], stop: threading.Event) -> None:
    """Write a job's end; on a full disk again and again, until there is room for it.

    Raises:
        WorkspaceError: if the store cannot be used any more.
    """
    while True:
        try:
            write()
            return
        except WorkspaceError as error:
            if not may_pass(error):
                raise
            print(error, file=sys.stderr, flush=True)
            if stop.wait(FULL_DISK_RETRY_S):
                return


@contextmanager
def _heartbeat(queue: JobQueue, job: Job, token: int, lease_s: float) -> Iterator[threading.Event]:
    """Renew the lease from a thread; the event is set if the job is somebody else's."""
    done, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not done.wait(lease_s / 6):
            try:
                if not queue.beat(job.id, token, lease_s):
                    lost.set()
                    return
            except WorkspaceError as error:  # the watch meets it as well, and ends the worker
                if not may_pass(error):
                    return
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
    """Open ``logs/NAME.log`` for appending, and write the time first."""
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
    """Return our environment, with this very package first on the path of modules.

    The small linear algebra of quantization loses more by waiting for a second thread than it
    gains.
    """
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    inherited = {name: value for name, value in os.environ.items() if name != MARKER}
    inherited.setdefault("OPENBLAS_NUM_THREADS", "1")
    return {**inherited, "PYTHONPATH": os.pathsep.join(paths)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m optim.jobs.worker FOLDER`` until no job is left."""
    parser = argparse.ArgumentParser(prog="python -m optim.jobs.worker", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="the workspace")
    parser.add_argument("--runner", default=RUNNER, help="module:function that does a job")
    parser.add_argument("--lease", type=float, default=LEASE_S, help="seconds a claim lasts")
    parser.add_argument("--idle-exit", type=float, default=120.0, help="seconds without work")
    options = parser.parse_args(arguments)
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
