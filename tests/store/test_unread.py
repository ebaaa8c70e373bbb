"""What a newer version wrote is left out and told in one sentence; the rest is shown, all is kept.

The rows are those of ``write_dump``; a newer version changes one of them in a way of its own.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from optim.errors import WorkspaceError
from optim.jobs.queue import JobQueue
from optim.store.results import Results
from optim.store.schema import STORE_NAME
from optim.store.unread import LONGEST_REASON, Unread, read_or_leave, unread_words
from optim.workspace import Workspace
from tests.store.write_dump import BASELINE, CONTROL, HERE, INT8, TASK, fill

NEWER_CANDIDATES = {
    "step": """UPDATE candidates SET recipe =
        '{"version": 1, "seed": 0, "steps": [{"step": "dream", "depth": 3}]}'""",
    "field of a step": """UPDATE candidates SET recipe =
        '{"version": 1, "seed": 0, "steps": [{"step": "quantize", "mood": "calm"}]}'""",
    "value of a field": """UPDATE candidates SET recipe =
        '{"version": 1, "seed": 0, "steps": [{"step": "quantize", "precision": "int3"}]}'""",
    "recipe": "UPDATE candidates SET recipe = '{\"version\": 2}'",
    "role": "UPDATE candidates SET role = 'ancestor'",
    "fact of the graph": 'UPDATE candidates SET facts = \'{"parameters": 1, "dreams": 2}\'',
}
NEWER_JOBS = {
    "kind": "UPDATE jobs SET kind = 'dream'",
    "state": "UPDATE jobs SET state = 'asleep'",
    "step": """UPDATE jobs SET payload =
        '{"task": "fashion-resnet", "recipe": {"steps": [{"step": "dream"}]}}'""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path)
    return tmp_path


def change(folder: Path, statement: str) -> list[str]:
    """Carry a statement out as a newer version would; the whole store afterwards."""
    with closing(sqlite3.connect(folder / STORE_NAME, isolation_level=None)) as store:
        store.execute(statement)
        return list(store.iterdump())


def content(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / STORE_NAME)) as store:
        return list(store.iterdump())


@pytest.mark.parametrize("what", NEWER_CANDIDATES)
def test_a_candidate_of_a_newer_version_is_left_out_and_told(folder: Path, what: str) -> None:
    before = change(folder, f"{NEWER_CANDIDATES[what]} WHERE id = '{INT8}'")
    results = Results(folder)
    assert [c.id for c in results.candidates(TASK, HERE.fingerprint)] == [BASELINE, CONTROL]
    (row,) = results.unread(TASK, HERE.fingerprint)
    assert row.name == f"candidate {INT8}"
    assert row.reason
    with pytest.raises(WorkspaceError, match=f"{INT8} was written by a newer edge-optim"):
        results.candidate(INT8, HERE.fingerprint)
    assert content(folder) == before


def test_an_environment_of_a_newer_version_is_left_out_and_told(folder: Path) -> None:
    change(
        folder,
        "UPDATE latencies SET environment = 'newer', environment_facts = "
        """json_set(environment_facts, '$.accelerator', 'NPU') """
        f"WHERE candidate = '{INT8}'",
    )
    results = Results(folder)
    assert results.environments(TASK) == (HERE,)
    (row,) = results.unread(TASK, HERE.fingerprint)
    assert "accelerator" in row.reason
    here = results.candidates(TASK, HERE.fingerprint)
    assert [c.id for c in here if c.latency is not None] == [BASELINE]
    there = results.candidates(TASK, "newer")
    assert [c.id for c in there] == [BASELINE, CONTROL]


@pytest.mark.parametrize("what", NEWER_JOBS)
def test_a_job_of_a_newer_version_waits_for_a_worker_of_that_version(
    folder: Path, what: str
) -> None:
    before = change(folder, f"{NEWER_JOBS[what]} WHERE state = 'queued'")
    queue = JobQueue(folder)
    assert [job.words for job in queue.list()] == ["INT8"]
    assert queue.live() == ()
    assert queue.claim("worker") is None
    (row,) = queue.unread()
    assert row.name.startswith("job ")
    assert content(folder) == before


def test_a_newer_job_does_not_stand_in_the_way_of_those_behind_it(folder: Path) -> None:
    change(folder, f"{NEWER_JOBS['step']} WHERE state = 'queued'")
    queue = JobQueue(folder)
    (done,) = queue.list()
    asked = queue.submit(done.kind, "again", done.payload, "again")
    claimed = queue.claim("worker")
    assert claimed is not None
    assert claimed[0].id == asked.id
    assert claimed[0].recipe is not None


def test_the_workspace_tells_of_all_of_them_in_one_sentence(folder: Path) -> None:
    workspace = Workspace(folder)
    assert workspace.unread(TASK) == ""
    change(folder, f"{NEWER_CANDIDATES['role']} WHERE id = '{INT8}'")
    change(folder, f"{NEWER_JOBS['kind']} WHERE state = 'queued'")
    assert workspace.unread(TASK) == (
        f"candidate {INT8} and 1 more were written by a newer edge-optim ('ancestor' is not a "
        "valid Role); they are kept, and left out until you update."
    )
    assert workspace.unread().startswith("job ")


def test_a_reason_stays_short_and_other_errors_are_not_hidden() -> None:
    def fail(error: Exception) -> None:
        raise error

    long = read_or_leave("candidate a", lambda: fail(ValueError("x" * 1000)))
    assert isinstance(long, Unread)
    assert len(long.reason) <= LONGEST_REASON + 4
    assert read_or_leave("candidate a", lambda: 3) == 3
    assert unread_words([]) == ""
    with pytest.raises(ZeroDivisionError):
        read_or_leave("candidate a", lambda: fail(ZeroDivisionError()))
