"""Any order of submit, claim, beat, expire, cancel, finish and crash keeps the queue's promises."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from optim.jobs.job import JobKind
from optim.jobs.queue import JobQueue
from tests.jobs.queue_reference import ReferenceJob, ReferenceQueue

MEMORY_DISK = Path("/dev/shm")


class QueueMachine(RuleBasedStateMachine):
    jobs = Bundle("jobs")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        root = MEMORY_DISK if MEMORY_DISK.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(dir=root))
        self.expected = ReferenceQueue()
        self.queue = JobQueue(self.folder, clock=lambda: self.expected.now)
        self.tokens: dict[str, list[int]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(target=jobs)
    def begin_with_three_jobs(self):
        return multiple(*(self.submit_one(JobKind.MAKE, key) for key in "abc"))

    @rule(target=jobs, kind=st.sampled_from(JobKind), key=st.sampled_from("abc"))
    def submit(self, kind: JobKind, key: str) -> str:
        return self.submit_one(kind, key)

    def submit_one(self, kind: JobKind, key: str) -> str:
        job = self.queue.submit(kind, key, {"n": 1}, "words")
        known = self.expected.live_with(key)
        if known is None:
            self.expected.jobs.append(ReferenceJob(id=job.id, kind=kind, key=key))
        else:
            assert job.id == known.id
            known.cancel_requested = False
        return job.id

    @rule(target=claims, lease_s=st.sampled_from([5.0, 30.0]))
    def claim(self, lease_s: float):
        expected = self.expected.claim(lease_s)
        claimed = self.queue.claim("worker", lease_s)
        if expected is None:
            assert claimed is None
            return multiple()
        assert claimed is not None
        job, token = claimed
        assert (job.id, job.attempts) == (expected.id, expected.attempts)
        assert all(token > earlier for earlier in self.tokens.setdefault(job.id, []))
        self.tokens[job.id].append(token)
        return (job.id, token)

    @rule(claim=claims, lease_s=st.sampled_from([5.0, 30.0]))
    def beat(self, claim: tuple[str, int], lease_s: float) -> None:
        held = self.expected.holds(*claim)
        assert self.queue.beat(*claim, lease_s) == held
        if held:
            self.expected.job(claim[0]).lease_until = self.expected.now + lease_s

    @rule(data=st.data())
    def the_newest_worker_dies_or_ends(self, data: st.DataObject) -> None:
        running = [job for job in self.expected.jobs if job.state == "running"]
        if running:
            job = max(running, key=lambda job: job.lease_until)
            how = data.draw(st.sampled_from(["died", "died", "died", "finish", "cancelled"]))
            self.end((job.id, job.token), how)

    @rule(claim=claims, how=st.sampled_from(["finish", "fail", "died", "stopped", "cancelled"]))
    def some_worker_ends(self, claim: tuple[str, int], how: str) -> None:
        self.end(claim, how)

    def end(self, claim: tuple[str, int], how: str) -> None:
        write = {
            "finish": lambda: self.queue.finish(*claim),
            "fail": lambda: self.queue.fail(*claim, "a sentence"),
            "died": lambda: self.queue.release(*claim),
            "stopped": lambda: self.queue.release(*claim, died=False),
            "cancelled": lambda: self.queue.cancelled(*claim),
        }[how]
        assert write() == self.expected.end(*claim, how)

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        self.queue.cancel(job_id)
        self.expected.cancel(job_id)

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        """A worker that crashed is one that nobody hears of any more while time passes."""
        self.expected.now += seconds

    @rule()
    def a_pause_hands_out_nothing(self) -> None:
        self.queue.pause("the disk is full")
        self.expected.paused = True
        assert self.queue.paused() == "the disk is full"
        assert self.expected.claim(5.0) is None
        assert self.queue.claim("worker", 5.0) is None
        self.queue.resume()
        self.expected.paused = False
        assert self.queue.paused() is None

    @invariant()
    def the_store_says_the_same(self) -> None:
        found = {job.id: job for job in self.queue.list(1000)}
        assert len(found) == len(self.expected.jobs)  # none lost, none duplicated
        for job in self.expected.jobs:
            stored = found[job.id]
            assert (stored.state, stored.attempts) == (job.state, job.attempts)
            assert stored.cancel_requested == job.cancel_requested
            assert (stored.finished is None) == stored.live
            assert (stored.error is None) == (job.state != "failed")


def campaign(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_order_of_events_leaves_the_queue_as_promised() -> None:
    campaign(examples=100, steps=40)


@pytest.mark.slow
def test_a_long_campaign_of_events_leaves_the_queue_as_promised() -> None:
    campaign(examples=1000, steps=60)
