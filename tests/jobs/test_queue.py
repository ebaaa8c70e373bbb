from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from pathlib import Path

import pytest

from optim.jobs.job import JobKind, JobState
from optim.jobs.queue import GIVEN_UP, MAX_ATTEMPTS, JobQueue


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(quick_folder: Path, clock: Clock) -> JobQueue:
    return JobQueue(quick_folder, clock=clock)


def submit(queue: JobQueue, key: str, kind: JobKind = JobKind.MAKE):
    return queue.submit(kind, key=key, payload={"task": "t", "ratio": 0.5}, words=f"make {key}")


def test_a_job_comes_back_as_it_was_asked(queue: JobQueue, clock: Clock) -> None:
    asked = submit(queue, "a")
    found = queue.get(asked.id)
    assert found == asked
    assert (found.kind, found.key, found.words) == (JobKind.MAKE, "a", "make a")
    assert found.payload == {"task": "t", "ratio": 0.5}
    assert (found.state, found.created, found.live) == (JobState.QUEUED, clock.now, True)
    assert queue.get("unknown") is None


def test_the_same_key_asked_twice_is_one_job_until_it_has_ended(queue: JobQueue) -> None:
    first = submit(queue, "a")
    assert submit(queue, "a").id == first.id
    job, token = queue.claim("w")
    assert submit(queue, "a").id == job.id == first.id
    assert queue.finish(job.id, token)
    assert submit(queue, "a").id != first.id


def test_prebuilt_candidates_go_first_and_verification_goes_last(queue: JobQueue) -> None:
    for key, kind in [
        ("v", JobKind.VERIFY),
        ("m1", JobKind.MAKE),
        ("m2", JobKind.MEASURE),
        ("s", JobKind.PREBUILT),
    ]:
        submit(queue, key, kind)
    assert [job.key for job in queue.live()] == ["s", "m1", "m2", "v"]
    assert [queue.claim("w")[0].key for _ in range(4)] == ["s", "m1", "m2", "v"]
    assert queue.claim("w") is None


def test_a_stale_token_writes_nothing(queue: JobQueue, clock: Clock) -> None:
    submit(queue, "a")
    job, stale = queue.claim("sleeper", lease_s=30)
    clock.now += 31
    again, fresh = queue.claim("other", lease_s=30)
    assert again.id == job.id
    assert fresh > stale
    assert not queue.beat(job.id, stale, 30)
    assert not queue.progress(job.id, stale, 0.9, "stale")
    assert not queue.fail(job.id, stale, "stale")
    assert not queue.release(job.id, stale)
    assert not queue.cancelled(job.id, stale)
    assert not queue.finish(job.id, stale)
    assert queue.get(job.id) == again
    assert queue.finish(job.id, fresh)


def test_a_beat_keeps_the_lease(queue: JobQueue, clock: Clock) -> None:
    submit(queue, "a")
    job, token = queue.claim("w", lease_s=30)
    for _ in range(5):
        clock.now += 20
        assert queue.beat(job.id, token, 30)
        assert queue.claim("other") is None


def test_a_job_whose_worker_dies_three_times_fails_with_these_words(
    queue: JobQueue, clock: Clock
) -> None:
    submit(queue, "a")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        job, _ = queue.claim("w", lease_s=30)
        assert job.attempts == attempt
        clock.now += 31
    assert queue.claim("w") is None
    failed = queue.get(job.id)
    assert (failed.state, failed.error) == (JobState.FAILED, GIVEN_UP)
    assert "died 3 times" in GIVEN_UP


def test_progress_is_written_at_most_once_a_second(queue: JobQueue, clock: Clock) -> None:
    submit(queue, "a")
    job, token = queue.claim("w")
    for share, message, seen in [(0.1, "first", 0.1), (0.2, "at once", 0.1), (7.0, "later", 1.0)]:
        clock.now += 0.9 if message == "at once" else 1.1
        assert queue.progress(job.id, token, share, message)
        assert queue.get(job.id).progress == seen
    assert queue.get(job.id).message == "later"


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_is_asked_to_stop(
    queue: JobQueue,
) -> None:
    running = submit(queue, "a")
    _, token = queue.claim("w")
    queued = submit(queue, "b")
    queue.cancel(queued.id)
    queue.cancel(running.id)
    assert queue.get(queued.id).state is JobState.CANCELLED
    asked = queue.get(running.id)
    assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
    assert queue.cancelled(running.id, token)
    assert queue.get(running.id).state is JobState.CANCELLED


def test_asking_again_withdraws_a_cancel_that_is_not_carried_out_yet(queue: JobQueue) -> None:
    job = submit(queue, "a")
    _, token = queue.claim("w")
    queue.cancel(job.id)
    assert submit(queue, "a").id == job.id
    assert queue.cancelled(job.id, token)
    found = queue.get(job.id)
    assert (found.state, found.attempts) == (JobState.QUEUED, 0)


def test_cancelling_an_ended_job_changes_nothing(queue: JobQueue) -> None:
    submit(queue, "a")
    job, token = queue.claim("w")
    queue.finish(job.id, token)
    done = queue.get(job.id)
    queue.cancel(job.id)
    assert queue.get(job.id) == done


def test_a_paused_queue_hands_out_nothing_and_says_why(queue: JobQueue) -> None:
    submit(queue, "a")
    queue.pause("the disk is full")
    assert queue.claim("w") is None
    assert queue.paused() == "the disk is full"
    queue.resume()
    assert queue.paused() is None
    assert queue.claim("w") is not None


def test_the_list_is_newest_first_and_bounded(queue: JobQueue) -> None:
    for key in "abc":
        submit(queue, key)
    assert [job.key for job in queue.list(2)] == ["c", "b"]


def test_a_polite_stop_does_not_count_as_an_attempt(queue: JobQueue) -> None:
    submit(queue, "a")
    for _ in range(5):
        job, token = queue.claim("w")
        assert job.attempts == 1
        assert queue.release(job.id, token, died=False)
    assert queue.get(job.id).state is JobState.QUEUED


def claim_all(folder: Path) -> list[str]:
    queue, taken = JobQueue(folder), []
    while (claimed := queue.claim("w", lease_s=600)) is not None:
        job, token = claimed
        taken.append(job.id)
        assert queue.finish(job.id, token)
    return taken


def submit_many(folder: Path, n: int) -> set[str]:
    queue = JobQueue(folder)
    return {submit(queue, f"key {i}").id for i in range(n)}


def test_eight_threads_claim_each_job_exactly_once(quick_folder: Path) -> None:
    asked = submit_many(quick_folder, 200)
    taken: list[str] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            taken.extend(claim_all(quick_folder))
        except BaseException as error:  # shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert Counter(taken) == Counter(asked)
    assert {job.state for job in JobQueue(quick_folder).list(1000)} == {JobState.DONE}


@pytest.mark.parametrize("attempt", range(10))
def test_two_tabs_asking_at_once_get_one_job(tmp_path: Path, attempt: int) -> None:
    barrier = threading.Barrier(8)
    found: list[str] = []

    def ask() -> None:
        barrier.wait()  # the store itself is made by all eight at once, too
        found.append(submit(JobQueue(tmp_path), "same").id)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.slow
def test_eight_processes_claim_a_thousand_jobs_exactly_once(tmp_path: Path) -> None:
    asked = submit_many(tmp_path, 1000)
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        taken = [job for jobs in pool.map(claim_all, [tmp_path] * 8) for job in jobs]
        pool.close()
        pool.join()
    assert Counter(taken) == Counter(asked)


def test_whoever_holds_the_lock_frees_leases_whatever_the_clock_says(
    queue: JobQueue, clock: Clock
) -> None:
    first, second = (
        queue.submit(JobKind.MAKE, key=key, payload={}, words=key) for key in ("a", "b")
    )
    assert queue.claim("dead") is not None
    assert queue.claim("dead") is not None
    clock.now -= 3600.0
    queue.cancel(second.id)
    assert queue.claim("next") is None  # by the clock both leases last an hour
    assert queue.free_leases() == 2
    assert queue.get(second.id).state is JobState.CANCELLED
    job, token = queue.claim("next")
    assert (job.id, job.attempts) == (first.id, 2)
    assert queue.finish(job.id, token)


def test_a_job_that_three_dead_workers_held_is_given_up_when_leases_are_freed(
    queue: JobQueue,
) -> None:
    job = queue.submit(JobKind.MAKE, key="a", payload={}, words="a")
    for _ in range(3):
        assert queue.claim("dead") is not None
        queue.free_leases()
    assert queue.get(job.id).state is JobState.FAILED
    assert queue.get(job.id).error == GIVEN_UP
