from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from optim.artifact import workspace_error
from optim.errors import WorkspaceError
from optim.jobs.job import JobKind
from optim.jobs.queue import JobQueue
from optim.store import schema
from optim.store.results import Results
from optim.store.schema import (
    STORE_NAME,
    connect,
    disk_is_full,
    translated_errors,
    writing,
)
from optim.store.versions import SCHEMA_VERSION
from optim.workspace import Workspace


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_store_is_opened_for_safe_writing_by_many(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "new" / "folder")) as store:
        assert pragma(store, "journal_mode") == "wal"
        assert pragma(store, "synchronous") == 2  # FULL
        assert pragma(store, "busy_timeout") == 10_000
        assert pragma(store, "foreign_keys") == 1
        assert pragma(store, "user_version") == SCHEMA_VERSION


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / STORE_NAME).write_bytes(b"a shopping list " * 300)
    with pytest.raises(WorkspaceError, match="damaged or is not a store of edge-optim"):
        Results(tmp_path).version()
    assert (tmp_path / STORE_NAME).read_bytes() == b"a shopping list " * 300


@pytest.mark.parametrize("version", [0, 1, SCHEMA_VERSION, SCHEMA_VERSION + 1])
def test_the_database_of_another_program_is_refused(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / STORE_NAME)) as other:
        other.execute("CREATE TABLE notes (text)")
        other.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(WorkspaceError, match="not a store of edge-optim"):
        JobQueue(tmp_path).live()


def test_a_folder_that_cannot_exist_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="cannot be used: Not a directory"):
        Results(tmp_path / "file" / "workspace").version()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EROFS, "cannot be written"), (errno.ENOSPC, "is full")],
)
def test_a_read_only_or_full_disk_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WorkspaceError, match=words):
        JobQueue(tmp_path).submit(JobKind.MAKE, "key", {}, "words")


def test_a_database_that_the_system_keeps_read_only_is_one_sentence(tmp_path: Path) -> None:
    with closing(connect(tmp_path)):
        pass
    with (
        closing(sqlite3.connect(f"file:{tmp_path / STORE_NAME}?mode=ro", uri=True)) as store,
        pytest.raises(WorkspaceError, match="cannot be written"),
        translated_errors(tmp_path),
    ):
        store.execute("DELETE FROM jobs")


def test_a_full_disk_under_the_database_is_told_apart(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as store:
        store.execute("PRAGMA max_page_count = 2")
        with pytest.raises(WorkspaceError, match="is full") as caught, translated_errors(tmp_path):
            store.execute("CREATE TABLE large AS SELECT zeroblob(100000) AS bytes")
    assert disk_is_full(caught.value)
    assert not disk_is_full(WorkspaceError("something else"))


def test_a_full_disk_still_lets_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = JobQueue(tmp_path)
    job = queue.submit(JobKind.MAKE, "key", {}, "words")

    def refuse(folder: Path) -> sqlite3.Connection:
        raise workspace_error(OSError(errno.ENOSPC, "disk full"), folder) from OSError(
            errno.ENOSPC, "disk full"
        )

    monkeypatch.setattr(schema, "connect", refuse)
    assert queue.get(job.id) == job
    with pytest.raises(WorkspaceError, match="is full"):
        queue.cancel(job.id)


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def struck_by_lightning() -> None:
        with writing(tmp_path) as store:
            store.execute("INSERT OR REPLACE INTO meta VALUES ('paused', 'half done')")
            raise RuntimeError("lightning")

    with pytest.raises(RuntimeError):
        struck_by_lightning()
    assert JobQueue(tmp_path).paused() is None


def disk_says(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize(
    ("number", "full", "words"),
    [
        (errno.ENOSPC, True, "is full"),
        (errno.EDQUOT, True, "is full"),
        (errno.EIO, False, "cannot be used: Input/output error"),
        (errno.EROFS, False, "cannot be written"),
        (0, False, "cannot be used: disk error"),
    ],
)
@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE])
def test_the_disk_itself_is_asked_what_a_disk_error_means(
    code: int, number: int, full: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code  # type: ignore[misc]
    if number:
        disk_says(number, monkeypatch)
    with pytest.raises(WorkspaceError, match=words) as caught, translated_errors(tmp_path):
        raise error
    assert disk_is_full(caught.value) == full
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_stores_place_is_called_one(tmp_path: Path) -> None:
    (tmp_path / STORE_NAME).mkdir()
    with pytest.raises(WorkspaceError, match="must be the store of edge-optim, and is a folder"):
        Results(tmp_path).version()


def test_a_store_that_cannot_be_written_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = JobQueue(tmp_path)
    job = queue.submit(JobKind.MAKE, "key", {}, "words")

    def refuse(folder: Path) -> sqlite3.Connection:
        refusal = OSError(errno.EROFS, "read-only")
        raise workspace_error(refusal, folder) from refusal

    monkeypatch.setattr(schema, "connect", refuse)
    assert queue.get(job.id) == job
    with pytest.raises(WorkspaceError, match="cannot be written"):
        queue.cancel(job.id)


@pytest.mark.parametrize("name", ["a" * 300, "loop", "~nobody-of-this-name/x"])
def test_a_workspace_that_no_path_leads_to_is_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(WorkspaceError) as caught:
        Workspace(name).version()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.getuid() == 0, reason="no folder is closed to root")
def test_a_workspace_below_a_closed_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(WorkspaceError, match="cannot be written"):
        Workspace(tmp_path / "closed" / "x").jobs()


def test_a_log_that_cannot_be_looked_at_counts_as_unfolded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(WorkspaceError, match="cannot be written"):
        JobQueue(tmp_path).live()
