"""The queue: jobs that survive closed tabs, killed workers and restarts.

A worker claims a job for a while (the *lease*) and renews the lease as long as it lives; whoever
takes over the worker's lock frees the leases of earlier workers at once. Each claim
hands out a higher number (the *fencing token*), and only the newest token may write: a worker that
was given up for dead and wakes again finds its writes refused.

    queued --claim--> running --finish, fail--> done, failed
       |                 |  ^--- claim again once the lease has run out, up to three attempts
       '----cancel-------'-----> cancelled
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from optim.jobs.job import Job, JobKind, JobState
from optim.store.schema import reading, writing
from optim.store.unread import Unread, parsed, read_or_leave

LEASE_S = 30.0
MAX_ATTEMPTS = 3
PROGRESS_EVERY_S = 1.0
GIVEN_UP = (
    f"the worker died {MAX_ATTEMPTS} times while doing this. Close other programs if memory is "
    "short, then ask again; the log has the rest."
)

LIVE_STATES = "state IN ('queued', 'running')"
HELD = "id = :id AND token = :token AND state = 'running'"
ORDER = f"CASE kind WHEN '{JobKind.PREBUILT}' THEN 0 WHEN '{JobKind.VERIFY}' THEN 2 ELSE 1 END, seq"


class JobQueue:
    """The jobs of one workspace. Any thread and any process may call at any time.

    Args:
        folder: the workspace.
        clock: seconds since 1970; replaced in tests.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self._progress_written: dict[str, float] = {}

    # --- asking ----------------------------------------------------------------------------------
    def submit(self, kind: JobKind, key: str, payload: dict[str, Any], words: str) -> Job:
        """Ask for work. If a live job has the same key, that one is returned instead.

        A cancel that has not been carried out yet is withdrawn: somebody wants the work after all.
        """
        with writing(self.folder) as store:
            store.execute(
                f"UPDATE jobs SET cancel_requested = 0 WHERE key = ? AND {LIVE_STATES}", (key,)
            )
            store.execute(
                "INSERT INTO jobs (id, kind, key, payload, words, state, created) "
                "VALUES (?, ?, ?, ?, ?, 'queued', ?) ON CONFLICT DO NOTHING",
                (secrets.token_hex(6), kind, key, json.dumps(payload), words, self._clock()),
            )
            row = store.execute(
                f"SELECT * FROM jobs WHERE key = ? AND {LIVE_STATES}", (key,)
            ).fetchone()
        return _job(row)

    def cancel(self, job_id: str) -> None:
        """Stop a job: at once if nobody works on it, else its worker is told. Ended jobs stay."""
        with writing(self.folder) as store:
            store.execute(
                f"UPDATE jobs SET cancel_requested = 1 WHERE id = ? AND {LIVE_STATES}", (job_id,)
            )
            self._drop_cancelled(store)

    def pause(self, reason: str) -> None:
        """Hand out no more jobs; running ones go on."""
        with writing(self.folder) as store:
            store.execute("INSERT OR REPLACE INTO meta VALUES ('paused', ?)", (reason,))

    def resume(self) -> None:
        """Hand out jobs again."""
        with writing(self.folder) as store:
            store.execute("DELETE FROM meta WHERE name = 'paused'")

    # --- looking ---------------------------------------------------------------------------------
    def get(self, job_id: str) -> Job | None:
        """Return one job, or None if there is none with this id."""
        found = self._select("WHERE id = ?", job_id)
        return found[0] if found else None

    def list(self, limit: int = 200) -> tuple[Job, ...]:
        """Return jobs, newest first."""
        return self._select("ORDER BY seq DESC LIMIT ?", limit)

    def unread(self) -> tuple[Unread, ...]:
        """Return the jobs that a newer version asked for: they are neither listed nor taken."""
        return tuple(job for job in self._rows("ORDER BY seq") if isinstance(job, Unread))

    def live(self) -> tuple[Job, ...]:
        """Return the jobs that wait or run: running ones first, then in the order of taking."""
        return self._select(f"WHERE {LIVE_STATES} ORDER BY state = 'queued', {ORDER}")

    def paused(self) -> str | None:
        """Return why the queue is paused, or None."""
        with reading(self.folder) as store:
            return _paused(store)

    # --- working ---------------------------------------------------------------------------------
    def claim(self, worker: str, lease_s: float = LEASE_S) -> tuple[Job, int] | None:
        """Take the next job: prebuilt candidates first, then the oldest, verification last.

        Jobs whose lease has run out are taken again, and failed once they have had three attempts.
        What a newer version asked for waits for a worker of that version.

        Returns:
            The job and its fencing token; None if nothing waits or the queue is paused.
        """
        now = self._clock()
        with writing(self.folder) as store:
            self._drop_cancelled(store)
            store.execute(
                "UPDATE jobs SET state = 'failed', error = ?, finished = ? "
                "WHERE state = 'running' AND lease_until <= ? AND attempts >= ?",
                (GIVEN_UP, now, now, MAX_ATTEMPTS),
            )
            if _paused(store) is not None:
                return None
            waiting = store.execute(
                "SELECT * FROM jobs WHERE state = 'queued' "
                f"OR (state = 'running' AND lease_until <= ?) ORDER BY {ORDER}",
                (now,),
            )
            ours = next((row for row in waiting if isinstance(_read(row), Job)), None)
            if ours is None:
                return None
            row = store.execute(
                "UPDATE jobs SET state = 'running', worker = :worker, started = :now, "
                "lease_until = :now + :lease_s, token = token + 1, attempts = attempts + 1, "
                "progress = 0, message = '' WHERE seq = :seq RETURNING *",
                {"worker": worker, "now": now, "lease_s": lease_s, "seq": ours["seq"]},
            ).fetchone()
        return _job(row), row["token"]

    def free_leases(self) -> int:
        """Give back every job that is called running; for whoever holds the worker's lock.

        The lock proves that no other worker lives, whatever the clock says: leases of earlier
        workers end here, and a cancel that they did not see is carried out.

        Returns:
            How many jobs were given back.
        """
        with writing(self.folder) as store:
            freed = store.execute(
                "UPDATE jobs SET state = CASE WHEN attempts >= :most THEN 'failed' "
                "ELSE 'queued' END, error = CASE WHEN attempts >= :most THEN :given_up END, "
                "finished = CASE WHEN attempts >= :most THEN :now END, started = NULL, "
                "lease_until = NULL, progress = 0, message = '' WHERE state = 'running'",
                {"most": MAX_ATTEMPTS, "given_up": GIVEN_UP, "now": self._clock()},
            ).rowcount
            self._drop_cancelled(store)
        return freed

    def beat(self, job_id: str, token: int, lease_s: float = LEASE_S) -> bool:
        """Renew the lease. False if the job is no longer this worker's."""
        until = self._clock() + lease_s
        return self._write(job_id, token, "lease_until = :until", until=until)

    def progress(self, job_id: str, token: int, share: float, message: str) -> bool:
        """Note how far the job is (0..1) and what happens now; at most once a second.

        Returns:
            False if the job is no longer this worker's. True if it is, or if the note was left out
            because the last one is less than a second old.
        """
        now = self._clock()
        if 0 <= now - self._progress_written.get(job_id, -1e9) < PROGRESS_EVERY_S:
            return True
        self._progress_written[job_id] = now
        share = min(1.0, max(0.0, share))
        return self._write(
            job_id, token, "progress = :share, message = :message", share=share, message=message
        )

    def finish(self, job_id: str, token: int) -> bool:
        """Mark the work as done; False if the job is no longer this worker's."""
        return self._end(job_id, token, "state = 'done', progress = 1, message = ''")

    def fail(self, job_id: str, token: int, error: str) -> bool:
        """Mark the work as refused: a further attempt would meet the same reason."""
        return self._end(job_id, token, "state = 'failed', error = :error", error=error)

    def cancelled(self, job_id: str, token: int) -> bool:
        """Mark the work as stopped; if the cancel was withdrawn meanwhile, it waits again."""
        return self._end(
            job_id,
            token,
            "state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END, "
            "attempts = attempts - (NOT cancel_requested)",
        )

    def release(self, job_id: str, token: int, *, died: bool = True) -> bool:
        """Give the job back for another attempt.

        Args:
            died: the attempt counts, and the third one fails the job. False when the worker stops
                for a reason of its own.
        """
        if not died:
            return self._end(job_id, token, "state = 'queued', attempts = attempts - 1")
        return self._end(
            job_id,
            token,
            "state = CASE WHEN attempts >= :most THEN 'failed' ELSE 'queued' END, "
            "error = CASE WHEN attempts >= :most THEN :given_up END",
            most=MAX_ATTEMPTS,
            given_up=GIVEN_UP,
        )

    # ---------------------------------------------------------------------------------------------
    def _write(self, job_id: str, token: int, change: str, **values: float | str) -> bool:
        """Change a running job if this token is its newest."""
        values |= {"id": job_id, "token": token}
        with writing(self.folder) as store:
            return store.execute(f"UPDATE jobs SET {change} WHERE {HELD}", values).rowcount == 1

    def _end(self, job_id: str, token: int, change: str, **values: float | str) -> bool:
        """Change a running job's state; a job that waits again has no end and no lease."""
        values |= {"id": job_id, "token": token, "now": self._clock()}
        self._progress_written.pop(job_id, None)
        with writing(self.folder) as store:
            held = store.execute(
                f"UPDATE jobs SET {change}, finished = :now, lease_until = NULL WHERE {HELD}",
                values,
            ).rowcount
            store.execute(
                "UPDATE jobs SET finished = NULL, started = NULL, progress = 0, message = '' "
                "WHERE id = :id AND state = 'queued'",
                values,
            )
            self._drop_cancelled(store)
        return held == 1

    def _drop_cancelled(self, store: sqlite3.Connection) -> None:
        """End jobs that are to be cancelled and that nobody works on."""
        now = self._clock()
        store.execute(
            "UPDATE jobs SET state = 'cancelled', finished = ?, lease_until = NULL "
            "WHERE cancel_requested "
            "AND (state = 'queued' OR (state = 'running' AND lease_until <= ?))",
            (now, now),
        )

    def _select(self, condition: str, *values: float | str) -> tuple[Job, ...]:
        return tuple(job for job in self._rows(condition, *values) if isinstance(job, Job))

    def _rows(self, condition: str, *values: float | str) -> tuple[Job | Unread, ...]:
        with reading(self.folder) as store:
            rows = store.execute(f"SELECT * FROM jobs {condition}", values).fetchall()
        return tuple(map(_read, rows))


def _paused(store: sqlite3.Connection) -> str | None:
    row = store.execute("SELECT value FROM meta WHERE name = 'paused'").fetchone()
    return None if row is None else str(row["value"])


def _read(row: sqlite3.Row) -> Job | Unread:
    return read_or_leave(f"job {row['id']}", partial(_job, row))


def _job(row: sqlite3.Row) -> Job:
    """Return a job.

    Raises:
        ValueError, BrokenRecipeError: a newer version wrote it.
    """
    job = Job(
        id=row["id"],
        kind=JobKind(row["kind"]),
        key=row["key"],
        payload=parsed(row["payload"]),
        words=row["words"],
        state=JobState(row["state"]),
        progress=row["progress"],
        message=row["message"],
        attempts=row["attempts"],
        error=row["error"],
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        cancel_requested=bool(row["cancel_requested"]),
        token=row["token"],
    )
    _ = job.recipe  # read now, so that nobody meets a job whose recipe is not known here
    return job
