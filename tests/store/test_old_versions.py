"""Every older version of the store is opened by today's code with every figure still there.

The dumps in ``old_versions`` were written by the code of their time, each with the same candidates,
figures and jobs, and with whatever else that version could keep; ``write_dump.py`` writes the next.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from optim.candidate import Role
from optim.errors import WorkspaceError
from optim.jobs.job import JobKind, JobState
from optim.jobs.queue import JobQueue
from optim.measure.measurement import Latency
from optim.progress import Epoch
from optim.store import schema
from optim.store.analyses import Analyses, AnalysisKind
from optim.store.results import Results
from optim.store.schema import STORE_NAME, connect
from optim.store.training_log import TrainingLog
from optim.store.versions import SCHEMA_VERSION
from tests.store.write_dump import (
    BASELINE,
    CONTROL,
    DUMPS,
    EIGHT_BITS,
    FROM_SCRATCH,
    HERE,
    INT8,
    TASK,
    TRAINED,
    USUAL_MS,
    samples,
)

TABLE_NAMES = "SELECT name, type FROM sqlite_master ORDER BY type, name"
COLUMNS = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?) ORDER BY name'


@pytest.fixture(params=range(1, SCHEMA_VERSION + 1))
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def old(version: int, tmp_path: Path) -> Path:
    """A workspace as that version left it."""
    with closing(sqlite3.connect(tmp_path / STORE_NAME)) as store:
        store.executescript((DUMPS / f"version_{version}.sql").read_text(encoding="utf-8"))
    return tmp_path


def test_each_candidate_is_still_there_with_its_recipe_and_file(old: Path) -> None:
    baseline, int8, control = Results(old).candidates(TASK, HERE.fingerprint)
    assert (baseline.id, baseline.role, baseline.prebuilt) == (BASELINE, Role.BASELINE, True)
    assert baseline.recipe.steps == ()
    assert baseline.facts is not None
    assert baseline.facts.float_operators == {"Conv": 3}
    assert (int8.id, int8.role, int8.seconds) == (INT8, Role.CANDIDATE, 1.5)
    assert int8.recipe == EIGHT_BITS
    assert int8.artifact is not None
    assert int8.artifact.path.is_relative_to(old / "artifacts")
    assert int8.artifact.size_bytes == len(b"eight bits")
    assert (control.id, control.role) == (CONTROL, Role.CONTROL)
    assert control.recipe == FROM_SCRATCH
    assert control.refusal is not None
    assert control.refusal.reason == "no layer can be pruned."
    assert control.refusal.remedy == "Try INT8."


def test_each_figure_is_still_there(old: Path, version: int) -> None:
    results = Results(old)
    baseline, int8, _ = results.candidates(TASK, HERE.fingerprint)
    assert results.environments(TASK) == (HERE,)
    assert_times(baseline.latency, 3.0)
    assert_times(int8.latency, 1.5)
    assert int8.latency is not None
    assert int8.latency.usual_ms == (USUAL_MS if version >= 4 else None)
    assert baseline.score is not None
    assert (baseline.score.correct, baseline.score.recorded) == (7, True)
    assert int8.score is not None
    found = int8.score
    assert (found.n, found.correct, found.worse, found.better, found.changed) == (8, 6, 2, 1, 4)
    predictions = results.predictions(INT8)
    assert predictions is not None
    assert predictions.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert results.checkpoint(TRAINED) is not None


def test_each_job_is_still_there(old: Path) -> None:
    waiting, done = JobQueue(old).list()
    assert (done.kind, done.state, done.payload["task"]) == (JobKind.MAKE, JobState.DONE, TASK)
    assert (waiting.kind, waiting.state) == (JobKind.MEASURE, JobState.QUEUED)
    assert waiting.payload == {"task": TASK, "candidate": CONTROL}


def test_what_later_versions_keep_is_there_or_can_be_kept(old: Path, version: int) -> None:
    kept = {"kind": "profile", "layers": [1, 2]}
    analyses, log = Analyses(old), TrainingLog(old)
    found = analyses.get(INT8, AnalysisKind.PROFILE, HERE.fingerprint)
    assert found == (kept if version >= 2 else None)
    assert [epoch.loss for epoch in log.get(TRAINED)] == ([1.25, 0.75] if version >= 3 else [])
    analyses.add(INT8, AnalysisKind.PROFILE, HERE.fingerprint, {"new": True})
    assert analyses.get(INT8, AnalysisKind.PROFILE, HERE.fingerprint) == {"new": True}
    log.add("new", Epoch(epoch=1, loss=1.0, score=0.5, seconds=1.0))
    assert len(log.get("new")) == 1


def test_an_old_store_and_a_new_one_have_the_same_tables(old: Path, tmp_path: Path) -> None:
    with closing(connect(old)) as store, closing(connect(tmp_path / "new")) as new:
        names = [tuple(row) for row in new.execute(TABLE_NAMES)]
        assert [tuple(row) for row in store.execute(TABLE_NAMES)] == names
        for table in (name for name, kind in names if kind == "table"):
            columns = [tuple(row) for row in new.execute(COLUMNS, (table,))]
            assert [tuple(row) for row in store.execute(COLUMNS, (table,))] == columns, table


def test_an_upgrade_that_fails_leaves_the_old_version_whole(
    old: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_of_it(start: int) -> tuple[str, ...]:
        return ("CREATE TABLE half_done (a)", "INSERT INTO no_such_table VALUES (1)")

    before = dump(old)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        patched.setattr(schema, "statements_from", half_of_it)
        with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
            connect(old)
    assert dump(old) == before
    with closing(connect(old)) as store:
        assert store.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION


def test_a_workspace_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(connect(tmp_path)) as store:
        store.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (tmp_path / STORE_NAME).read_bytes()
    for look in (Results(tmp_path).version, JobQueue(tmp_path).live):
        with pytest.raises(WorkspaceError, match=r"newer version.*Update edge-optim, or choose"):
            look()
    assert (tmp_path / STORE_NAME).read_bytes() == before


def test_every_version_has_its_dump() -> None:
    kept = {path.stem for path in DUMPS.glob("*.sql")}
    assert kept == {f"version_{number}" for number in range(1, SCHEMA_VERSION + 1)}


def dump(folder: Path) -> list[object]:
    with closing(sqlite3.connect(folder / STORE_NAME)) as store:
        return [*store.iterdump(), *store.execute("PRAGMA user_version")]


def assert_times(latency: Latency | None, first_ms: float) -> None:
    assert latency is not None
    np.testing.assert_array_equal(latency.candidate_ms, samples(first_ms))
    np.testing.assert_array_equal(latency.baseline_ms, samples(3.0))
    np.testing.assert_array_equal(latency.null_ms, samples(3.125))
    assert (latency.cold_start_ms, latency.environment) == (12.5, HERE)
