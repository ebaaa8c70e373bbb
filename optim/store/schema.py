"""The one SQLite file of a workspace: how it is opened, and brought up to date.

Connections are short-lived: each call opens one, uses it and closes it, so that any thread and any
process may call at any time. The file is in WAL mode, so readers never wait for a writer.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from optim.artifact import workspace_error
from optim.errors import DiskFullError, StoreBusyError, WorkspaceError
from optim.store.versions import SCHEMA_VERSION, statements_from

STORE_NAME = "store.sqlite"
APPLICATION_ID = 0x656F7074  # "eopt": tells our file from any other SQLite file
BUSY_TIMEOUT_S = 10.0
PROBE_BYTES = 64 * 1024
"""As many as SQLite needs at once for the index of its log."""


def connect(folder: Path) -> sqlite3.Connection:
    """Open the store of a workspace, making folder, file and tables at first use.

    The connection commits each statement by itself unless ``BEGIN`` says otherwise; rows can be
    read by column name. The caller closes it.

    Raises:
        WorkspaceError: the folder cannot be written, the disk is full, the file is no store of
            ours, or a newer version wrote it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise workspace_error(error, folder) from error
    return _open(folder)


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection for reading; a full disk does not stand in the way.

    Raises:
        WorkspaceError: as ``connect``.
    """
    with closing(_connect_to_read(folder)) as connection, translated_errors(folder):
        yield connection


@contextmanager
def writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection in one transaction: committed at the end, undone if anything is raised.

    Raises:
        WorkspaceError: as ``connect``; also if another process writes for longer than 10 s.
    """
    with closing(connect(folder)) as connection, translated_errors(folder):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def translated_errors(folder: Path) -> Iterator[None]:
    """Turn what SQLite says about disk and file into the sentence a user can act on.

    Raises:
        WorkspaceError: for everything but mistakes in our own statements.
    """
    try:
        yield
    except UnicodeDecodeError as error:  # in the text of the tables themselves
        raise _not_a_store(folder) from error
    except sqlite3.Error as error:
        sentence = _workspace_error(error, folder)
        if sentence is None:
            raise
        raise sentence from error


def disk_is_full(error: BaseException) -> bool:
    """True if a full disk (or quota) stands somewhere behind this error."""
    return any(
        isinstance(cause, DiskFullError)
        or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT))
        or (isinstance(cause, sqlite3.Error) and _code(cause) == sqlite3.SQLITE_FULL)
        for cause in _causes(error)
    )


def may_pass(error: BaseException) -> bool:
    """True if the store is only full or busy now: the same may work a moment later."""
    return disk_is_full(error) or any(isinstance(e, StoreBusyError) for e in _causes(error))


def _may_not_write(error: BaseException) -> bool:
    """True if this user has no right to write there, or nobody has."""
    forbidden = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
    return any(
        (isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS))
        or (isinstance(cause, sqlite3.Error) and _primary_code(cause) in forbidden)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _connect_to_read(folder: Path) -> sqlite3.Connection:
    """Connect to read, also where nothing can be written: WAL mode writes even to read."""
    try:
        return connect(folder)
    except WorkspaceError as error:
        looks = disk_is_full(error) or _may_not_write(error)
        if not looks or not _is_folded(folder):  # the newest rows would be missing
            raise
        return _open(folder, options="?immutable=1")


def _is_folded(folder: Path) -> bool:
    """True if the store is there and nothing waits in its log."""
    try:
        store, log = folder / STORE_NAME, folder / f"{STORE_NAME}-wal"
        return store.stat().st_size > 0 and (not log.exists() or log.stat().st_size == 0)
    except OSError:  # not even the folder can be looked into
        return False


def _open(folder: Path, *, options: str = "") -> sqlite3.Connection:
    address = (folder.absolute() / STORE_NAME).as_uri() + options
    with translated_errors(folder):
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
        )
        try:
            connection.row_factory = sqlite3.Row
            # A damaged text must not hide the other rows; whoever reads it finds it wrong.
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            _prepare(connection, folder)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, folder: Path) -> None:
    """Check whose file it is and which version; bring it up to date, or make the tables."""
    ours = _pragma(connection, "application_id") == APPLICATION_ID
    if ours and _known_version(connection, folder) == SCHEMA_VERSION:
        return
    # In this order: tables come with their version, and another process may be making both now.
    has_tables = _has_tables(connection)
    used = has_tables or _pragma(connection, "user_version") != 0
    if used and _pragma(connection, "application_id") != APPLICATION_ID:
        raise _not_a_store(folder)
    _switch_to_wal(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:  # another process may have been quicker, or newer
        for statement in statements_from(_known_version(connection, folder)):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _known_version(connection: sqlite3.Connection, folder: Path) -> int:
    """Return the store's version, 0 for an empty one.

    Raises:
        WorkspaceError: a newer edge-optim wrote it.
    """
    version = _pragma(connection, "user_version")
    if version > SCHEMA_VERSION:
        raise WorkspaceError(
            f"the workspace {folder} was written by a newer version of edge-optim (store version "
            f"{version}, known here: {SCHEMA_VERSION}). Update edge-optim, or choose another "
            "workspace with --workspace."
        )
    return version


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Turn WAL mode on; SQLite does not wait here when another process does the same, so we do."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            busy = _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's result code without its extension; 0 for errors of the module itself."""
    return _code(error) & 0xFF


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's result code with its extension; 0 for errors of the module itself."""
    return int(getattr(error, "sqlite_errorcode", 0))


def _workspace_error(error: sqlite3.Error, folder: Path) -> WorkspaceError | None:
    match _primary_code(error):
        case sqlite3.SQLITE_FULL:
            return workspace_error(OSError(errno.ENOSPC, "disk full"), folder)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            if (folder / STORE_NAME).is_dir():
                return _not_a_store(folder)
            return workspace_error(OSError(errno.EACCES, "no right to write"), folder)
        case sqlite3.SQLITE_IOERR:
            return workspace_error(_disk_error(error, folder), folder)
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return _not_a_store(folder)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusyError(
                f"the store in {folder} was kept busy by another program for more than "
                f"{BUSY_TIMEOUT_S:.0f} s. Close what else uses it, then try again."
            )
        case _:
            return None


def _disk_error(error: sqlite3.Error, folder: Path) -> OSError:
    """Tell a full disk from a broken one: SQLite says "disk I/O error" of both.

    So the disk is asked: what it answers to a few bytes more is the reason.
    """
    try:
        with NamedTemporaryFile(dir=folder, suffix=".part") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as found:
        return found
    return OSError(errno.EIO, f"disk error ({error})")


def _not_a_store(folder: Path) -> WorkspaceError:
    if (folder / STORE_NAME).is_dir():
        return WorkspaceError(
            f"{folder / STORE_NAME} must be the store of edge-optim, and is a folder. Move it "
            "away, or choose another workspace with --workspace."
        )
    return WorkspaceError(
        f"the file {folder / STORE_NAME} is damaged or is not a store of edge-optim. Move it away, "
        "or choose another workspace with --workspace."
    )
