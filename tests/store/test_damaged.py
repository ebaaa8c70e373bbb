"""A store in which single rows are damaged: the others are shown, and a sentence tells of these."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from optim.errors import StaleClaimError, WorkspaceError
from optim.jobs.job import JobKind
from optim.jobs.queue import JobQueue
from optim.recipe import recipe_of
from optim.store.results import Results
from optim.store.schema import STORE_NAME
from optim.store.unread import unread_words
from tests.dashboard.factories import ENVIRONMENT, accuracy_of, candidate, latency_of

TASK = "fashion-resnet"
HERE = ENVIRONMENT.fingerprint


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Three candidates with files and figures."""
    filled = Results(tmp_path)
    for seed in range(3):
        keep(filled, seed)
    return filled


def keep(results: Results, seed: int) -> str:
    made = candidate(recipe_of(precision="int8", seed=seed))
    results.add(made.id, TASK, made.recipe)
    path = results.folder / "artifacts" / f"{seed}.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"file")
    artifact = made.artifact.__class__(**{**vars(made.artifact), "path": path})
    results.finish(made.id, artifact, made.facts, seconds=1.0)
    results.add_latency(made.id, latency_of(2.0))
    results.add_score(made.id, accuracy_of(3), np.zeros(10_000, np.uint8))
    return made.id


def damage(results: Results, statement: str) -> None:
    with closing(sqlite3.connect(results.folder / STORE_NAME)) as store:
        store.execute(statement)
        store.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE candidates SET recipe = '{' WHERE seq = 2",
        "UPDATE candidates SET recipe = CAST(x'7bff7d' AS TEXT) WHERE seq = 2",
        "UPDATE candidates SET role = CAST(x'ff' AS TEXT) WHERE seq = 2",
        "UPDATE candidates SET facts = 'nothing' WHERE seq = 2",
        "UPDATE latencies SET environment_facts = CAST(x'ff' AS TEXT) WHERE seq = 2",
        "UPDATE latencies SET rounds = 7 WHERE seq = 2",
        "UPDATE latencies SET rounds = 0 WHERE seq = 2",
        "UPDATE latencies SET candidate_ms = x'00' WHERE seq = 2",
        "UPDATE latencies SET candidate_ms = zeroblob(1800) WHERE seq = 2",
        "UPDATE latencies SET null_ms = CAST(replace(hex(zeroblob(450)), '00', char(1)) AS BLOB) "
        "WHERE seq = 2",
    ],
)
def test_a_damaged_row_is_told_and_the_others_are_shown(results: Results, statement: str) -> None:
    damage(results, statement)
    assert len(results.candidates(TASK, HERE)) == 2
    told = unread_words(results.unread(TASK, HERE))
    assert "damaged in the store" in told
    assert "the others are shown" in told
    assert "newer" not in told


def test_damaged_predictions_are_one_sentence(results: Results) -> None:
    name = results.candidates(TASK, HERE)[0].id
    damage(results, "UPDATE accuracies SET predictions = x'1234'")
    with pytest.raises(WorkspaceError, match="are damaged in the store"):
        results.predictions(name)


def test_a_damaged_latency_does_not_say_what_is_usual(results: Results) -> None:
    damage(results, "UPDATE latencies SET baseline_ms = x'00' WHERE seq = 2")
    sha = latency_of(2.0).baseline_sha256
    assert results.usual_baseline_ms(sha, HERE) == pytest.approx(
        latency_of(2.0).baseline_quiet_ms, rel=1e-6
    )


def test_a_damaged_job_is_told_and_the_others_are_taken(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    for key in ("one", "two"):
        queue.submit(JobKind.MAKE, key=key, payload={"task": TASK}, words=key)
    with closing(sqlite3.connect(tmp_path / STORE_NAME)) as store:
        store.execute("UPDATE jobs SET payload = '{' WHERE key = 'one'")
        store.commit()
    assert [job.key for job in queue.live()] == ["two"]
    assert "damaged" in unread_words(queue.unread())
    claimed = queue.claim("worker")
    assert claimed is not None
    assert claimed[0].key == "two"


def test_results_of_a_stale_claim_are_not_kept(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    queue.submit(JobKind.MAKE, key="a", payload={"task": TASK}, words="a")
    job, token = queue.claim("first", lease_s=0.0)
    stale = Results(tmp_path, claim=(job.id, token))
    name = keep(stale, 0)
    assert queue.claim("second") is not None
    before = stale.candidate(name, HERE)
    made = candidate(recipe_of(precision="int8", seed=1))
    for write in (
        lambda: stale.add(made.id, TASK, made.recipe),
        lambda: stale.finish(name, before.artifact, before.facts, seconds=9.0),
        lambda: stale.add_latency(name, latency_of(9.0)),
        lambda: stale.add_score(name, accuracy_of(9), None),
        lambda: stale.add_checkpoint("prefix", before.artifact),
    ):
        with pytest.raises(StaleClaimError, match="another worker"):
            write()
    after = Results(tmp_path).candidate(name, HERE)
    assert (after.seconds, after.latency.speedup) == (1.0, before.latency.speedup)
    assert Results(tmp_path).candidate(made.id, HERE) is None
