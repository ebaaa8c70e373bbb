"""The worker under fault: nothing is lost, nothing is done twice, nobody survives."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from optim.jobs import worker
from optim.jobs.job import Job, JobKind, JobState
from optim.jobs.queue import GIVEN_UP, JobQueue
from optim.jobs.worker import (
    MARKER,
    ensure_worker,
    free_leases_of_the_dead,
    run_worker,
    sweep_orphans,
    worker_alive,
)
from optim.store.schema import STORE_NAME

RUNNER = "job_runners:run"
RUNNER_FOLDER = Path(__file__).parent
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _runners_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(RUNNER_FOLDER), prepend=os.pathsep)


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path)


def ask(queue: JobQueue, do: str, *, key: str = "job", **payload: object) -> Job:
    return queue.submit(JobKind.MAKE, key=key, payload={"do": do, **payload}, words=do)


def work(folder: Path) -> bool:
    """Do everything that waits, in this process."""
    return run_worker(folder, idle_exit_s=0, runner=RUNNER)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def pids(folder: Path, key: str = "job") -> list[int]:
    path = folder / f"{key}.pids"
    wait_until(path.exists)
    return [int(pid) for pid in path.read_text(encoding="utf-8").split()]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def results_of(folder: Path) -> list[str]:
    path = folder / "results"
    return sorted(path.read_text(encoding="utf-8").split()) if path.exists() else []


@contextmanager
def worker_process(folder: Path, *, lease_s: float = 1.5) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "optim.jobs.worker", str(folder), "--runner", RUNNER]
    root = str(Path(worker.__file__).parents[2])
    path = os.pathsep.join([root, os.environ["PYTHONPATH"]])
    process = subprocess.Popen(
        [*command, "--lease", str(lease_s), "--idle-exit", "0"],
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def worker_thread(folder: Path) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(
        target=run_worker, args=(folder,), kwargs={"runner": RUNNER, "stop": stop}
    )
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


def test_a_job_is_done_in_a_child_and_marked_done(tmp_path: Path, queue: JobQueue) -> None:
    job = ask(queue, "finish")
    assert work(tmp_path)
    done = queue.get(job.id)
    assert (done.state, done.progress, done.error) == (JobState.DONE, 1.0, None)
    assert results_of(tmp_path) == ["job"]


def test_progress_of_the_child_reaches_the_queue(tmp_path: Path, queue: JobQueue) -> None:
    job = ask(queue, "wait")
    with worker_thread(tmp_path):
        wait_until(lambda: queue.get(job.id).message == "waiting")
        assert queue.get(job.id).progress == 0.3
        (tmp_path / "go").touch()
        wait_until(lambda: not queue.get(job.id).live)
    assert queue.get(job.id).state is JobState.DONE


def test_a_wrong_wish_fails_with_its_own_sentence(tmp_path: Path, queue: JobQueue) -> None:
    job = ask(queue, "refuse")
    work(tmp_path)
    failed = queue.get(job.id)
    assert (failed.state, failed.attempts) == (JobState.FAILED, 1)
    assert failed.error == "pruning_ratio must be below 1, got 1.0. Try 0.9."


def test_a_mistake_of_ours_shows_one_sentence_and_the_log_has_the_rest(
    tmp_path: Path, queue: JobQueue
) -> None:
    job = ask(queue, "stumble")
    work(tmp_path)
    error = queue.get(job.id).error
    assert error == f"something unexpected went wrong (job {job.id}); the log has the rest."
    log = (tmp_path / "logs" / f"{job.id}.log").read_text(encoding="utf-8")
    assert "RuntimeError: a secret of the inside" in log


def test_a_runner_that_cannot_be_loaded_fails_the_job(tmp_path: Path, queue: JobQueue) -> None:
    job = ask(queue, "finish")
    run_worker(tmp_path, idle_exit_s=0, runner="no_such_module:run")
    assert queue.get(job.id).state is JobState.FAILED


def test_a_killed_child_is_tried_again_and_completes(tmp_path: Path, queue: JobQueue) -> None:
    job = ask(queue, "die", times=2)
    work(tmp_path)
    done = queue.get(job.id)
    assert (done.state, done.attempts) == (JobState.DONE, 3)
    assert results_of(tmp_path) == ["job"]


def test_a_child_that_always_dies_is_given_up(tmp_path: Path, queue: JobQueue) -> None:
    job = ask(queue, "die", times=99)
    work(tmp_path)
    failed = queue.get(job.id)
    assert (failed.state, failed.error, failed.attempts) == (JobState.FAILED, GIVEN_UP, 3)


def test_a_full_disk_fails_the_job_with_those_words_and_pauses_the_queue(
    tmp_path: Path, queue: JobQueue
) -> None:
    filling = ask(queue, "fill the disk", key="first")
    waiting = ask(queue, "finish", key="second")
    work(tmp_path)
    assert queue.get(filling.id).state is JobState.FAILED
    assert "is full" in queue.get(filling.id).error
    assert queue.paused() == queue.get(filling.id).error
    assert queue.get(waiting.id).state is JobState.QUEUED
    queue.resume()
    work(tmp_path)
    assert queue.get(waiting.id).state is JobState.DONE


def test_cancel_leaves_no_process_behind(tmp_path: Path, queue: JobQueue) -> None:
    job = ask(queue, "wait")
    with worker_thread(tmp_path):
        processes = pids(tmp_path)
        queue.cancel(job.id)
        wait_until(lambda: not queue.get(job.id).live)
        assert queue.get(job.id).state is JobState.CANCELLED
        wait_until(lambda: all(map(gone, processes)))
    assert results_of(tmp_path) == []


def test_a_child_that_will_not_be_told_is_killed(
    tmp_path: Path, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "TERMINATION_GRACE_S", 0.2)
    job = ask(queue, "ignore SIGTERM")
    with worker_thread(tmp_path):
        processes = pids(tmp_path)
        queue.cancel(job.id)
        wait_until(lambda: queue.get(job.id).state is JobState.CANCELLED)
        wait_until(lambda: all(map(gone, processes)))


def test_a_worker_that_is_stopped_gives_its_job_back(tmp_path: Path, queue: JobQueue) -> None:
    job = ask(queue, "wait")
    with worker_thread(tmp_path):
        processes = pids(tmp_path)
    back = queue.get(job.id)
    assert (back.state, back.attempts) == (JobState.QUEUED, 0)
    wait_until(lambda: all(map(gone, processes)))


def test_a_killed_worker_takes_its_child_along_and_the_next_one_finishes_the_job(
    tmp_path: Path, queue: JobQueue
) -> None:
    job = ask(queue, "wait")
    with worker_process(tmp_path) as first:
        processes = pids(tmp_path)
        first.kill()
        first.wait()
        wait_until(lambda: all(map(gone, processes)))
        assert queue.get(job.id).state is JobState.RUNNING
    (tmp_path / "go").touch()
    with worker_process(tmp_path) as second:
        assert second.wait(PATIENCE_S) == 0
    done = queue.get(job.id)
    assert (done.state, done.attempts) == (JobState.DONE, 2)
    assert results_of(tmp_path) == ["job"]


def test_a_clock_set_back_loses_no_job_and_cancel_goes_on_working(
    tmp_path: Path, queue: JobQueue
) -> None:
    ahead = JobQueue(tmp_path, clock=lambda: time.time() + 3600)
    lost, unwanted = (ask(queue, "finish", key=key) for key in ("lost", "unwanted"))
    assert ahead.claim("a worker that died") is not None
    assert ahead.claim("a worker that died") is not None
    queue.cancel(unwanted.id)
    free_leases_of_the_dead(tmp_path)
    assert queue.get(unwanted.id).state is JobState.CANCELLED
    assert ahead.claim("another that died") is not None
    begun = time.monotonic()
    work(tmp_path)
    assert time.monotonic() - begun < 25  # no lease is waited for
    assert queue.get(lost.id).state is JobState.DONE
    assert results_of(tmp_path) == ["lost"]


@pytest.mark.parametrize(
    "ruin",
    [
        lambda store: newer_version(store),
        lambda store: store.write_bytes(b"this is no database " * 4000),
    ],
)
def test_a_worker_whose_store_becomes_unusable_ends_and_gives_the_lock_back(
    tmp_path: Path, queue: JobQueue, ruin: Callable[[Path], object]
) -> None:
    ask(queue, "wait")
    with worker_process(tmp_path) as process:
        running = pids(tmp_path)
        ruin(tmp_path / STORE_NAME)
        assert process.wait(PATIENCE_S) == 2
        wait_until(lambda: all(map(gone, running)))
    assert not worker_alive(tmp_path)


def newer_version(store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA user_version = 9999")


def test_what_an_earlier_worker_left_running_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    ours = subprocess.Popen(command, env={**os.environ, MARKER: str(tmp_path.resolve())})
    foreign = subprocess.Popen(command, env={**os.environ, MARKER: "/another/workspace"})
    try:
        work(tmp_path)
        assert ours.wait(PATIENCE_S) == -signal.SIGKILL
        assert foreign.poll() is None
    finally:
        for process in (ours, foreign):
            process.kill()
            process.wait()


def test_one_worker_per_workspace(
    tmp_path: Path, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOCK_PATIENCE_S", 0.1)
    assert not worker_alive(tmp_path)
    job = ask(queue, "wait")
    with worker_thread(tmp_path):
        pids(tmp_path)
        assert worker_alive(tmp_path)
        assert not work(tmp_path)
        assert queue.get(job.id).attempts == 1
    assert not worker_alive(tmp_path)
    assert not worker_alive(tmp_path / "no such folder")


def test_a_detached_worker_is_started_once_and_ends_politely(tmp_path: Path) -> None:
    ensure_worker(tmp_path)
    wait_until(lambda: worker_alive(tmp_path))
    found = workers_of(tmp_path)
    ensure_worker(tmp_path)
    assert workers_of(tmp_path) == found
    assert len(found) == 1
    assert os.getsid(found[0]) == found[0]  # a session of its own: closing ours does not end it
    os.kill(found[0], signal.SIGTERM)
    wait_until(lambda: not worker_alive(tmp_path))
    wait_until(lambda: gone(found[0]))


def workers_of(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cmdline()[1:] == ["-m", "optim.jobs.worker", str(folder)]:
                found.append(process.pid)
    return found


def test_half_written_files_are_swept_once_they_are_old(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts" / "ab"
    folder.mkdir(parents=True)
    old, new, whole = folder / "old.part", folder / "new.part", folder / "model.onnx"
    for path in (old, new, whole):
        path.touch()
    os.utime(old, (0, 0))
    os.utime(whole, (0, 0))
    assert sweep_orphans(tmp_path) == 1
    assert (old.exists(), new.exists(), whole.exists()) == (False, True, True)


def test_a_child_cannot_fill_memory_or_leave_a_core_dump(tmp_path: Path) -> None:
    code = (
        "import resource as r; from optim.jobs.child import _set_limits; _set_limits(); "
        "print(r.getrlimit(r.RLIMIT_AS)[0] <= 16 * 2**30, r.getrlimit(r.RLIMIT_CORE)[0] == 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(worker.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killing_children_and_workers_at_random_times_loses_and_doubles_nothing(
    tmp_path: Path, queue: JobQueue
) -> None:
    rng = random.Random(0)
    for round_ in range(50):
        keys = [f"{round_}-{i}" for i in range(4)]
        jobs = [ask(queue, "finish", key=key) for key in keys]
        while any(queue.get(job.id).live for job in jobs):
            with worker_process(tmp_path, lease_s=1.0) as process:
                time.sleep(rng.uniform(0.05, 1.5))
                if rng.random() < 0.5:
                    victims = psutil.Process(process.pid).children() or [process]
                else:
                    victims = [process]
                for victim in victims:
                    with suppress(psutil.NoSuchProcess):
                        victim.kill()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(5)
        for job in jobs:
            ended = queue.get(job.id)
            assert ended.state is JobState.DONE or ended.error == GIVEN_UP
    finished = [job.key for job in queue.list(1000) if job.state is JobState.DONE]
    assert len(queue.list(1000)) == 200
    assert set(finished) <= set(results_of(tmp_path))
