"""Candidates, their files and their figures, as rows.

A figure belongs to the very file it was taken from: a row keeps that file's hash, and a candidate
whose file was made anew with other bytes starts without figures.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from optim.artifact import Artifact, GraphFacts
from optim.candidate import Candidate, Role
from optim.devices.environment import Environment
from optim.errors import Refusal, StaleClaimError, WorkspaceError
from optim.measure.measurement import Latency, Moments, Score
from optim.recipe import Recipe
from optim.store.schema import STORE_NAME, reading, writing
from optim.store.unread import DamagedRowError, Unread, parsed, read_or_leave, unread_words

PLOTTED_SPLIT = "test"
USUAL_OF = 12
"""So many measurements say what a baseline usually takes."""
SCORE_COLUMNS = (
    "n", "correct", "worse", "better", "changed", "recorded", "split", "baseline_sha256", "metric",
    "moments",
)  # fmt: skip
LATENCY_COLUMNS = (
    "environment_facts", "rounds", "baseline_ms", "candidate_ms", "null_ms", "baseline_sha256",
    "cold_start_ms", "usual_ms",
)  # fmt: skip

LATENCIES_ELSEWHERE = f"""
SELECT l.candidate, {", ".join(f"l.{name} AS latency_{name}" for name in LATENCY_COLUMNS)}
FROM latencies l JOIN candidates c ON c.id = l.candidate AND c.sha256 = l.sha256
WHERE l.environment IS NOT :environment AND l.seq IN (
    SELECT max(seq) FROM latencies GROUP BY candidate, environment, sha256)
    AND"""

CANDIDATES = f"""
SELECT c.*,
    {", ".join(f"l.{name} AS latency_{name}" for name in LATENCY_COLUMNS)},
    {", ".join(f"a.{name} AS score_{name}" for name in SCORE_COLUMNS)}
FROM candidates c
LEFT JOIN latencies l ON l.seq = (
    SELECT max(seq) FROM latencies
    WHERE candidate = c.id AND environment = :environment AND sha256 = c.sha256)
LEFT JOIN accuracies a ON a.seq = (
    SELECT seq FROM accuracies
    WHERE candidate = c.id AND split = '{PLOTTED_SPLIT}' AND sha256 = c.sha256
    ORDER BY recorded, seq DESC LIMIT 1)
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """Candidates at one moment, and the baseline on a target, as the store has them.

    Attributes:
        candidates: those that are known, by id.
        predictions: of the baseline, as ``Results.predictions``.
        usual_ms: of the baseline, as ``Results.usual_baseline_ms``.
    """

    candidates: Mapping[str, Candidate]
    predictions: np.ndarray | None
    usual_ms: float | None


class Results:
    """Store of every candidate. Any thread and any process may call at any time.

    Args:
        folder: the workspace; model files lie in its ``artifacts`` folder.
        clock: seconds since 1970; replaced in tests.
        claim: a job's id and its fencing token, if a job writes: nothing is written any more once
            the job was given to another worker. Then ``StaleClaimError`` is raised.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        claim: tuple[str, int] | None = None,
    ) -> None:
        self.folder = folder
        self._claim = claim
        self._rows: tuple[object, tuple[Candidate | Unread, ...]] | None = None
        self.artifacts = folder / "artifacts"
        self._clock = clock

    # --- writing ---------------------------------------------------------------------------------
    def add(
        self,
        candidate_id: str,
        task: str,
        recipe: Recipe,
        role: Role = Role.CANDIDATE,
        prebuilt: bool = False,
    ) -> None:
        """Make a candidate known; one that is known already stays as it is."""
        text = json.dumps(recipe.to_dict())
        with self._writing() as store:
            store.execute(
                "INSERT INTO candidates (id, task, recipe, role, starter, created) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (candidate_id, task, text, role, prebuilt, self._clock()),
            )

    def finish(
        self, candidate_id: str, artifact: Artifact, facts: GraphFacts, seconds: float | None
    ) -> None:
        """Keep a candidate's finished file; an earlier refusal is forgotten.

        Raises:
            ValueError: if the candidate is unknown or the file lies outside the workspace.
        """
        with self._writing() as store:
            changed = store.execute(
                "UPDATE candidates SET path = :path, sha256 = :sha256, size_bytes = :size_bytes, "
                "compressed_bytes = :compressed_bytes, facts = :facts, seconds = :seconds, "
                "refusal_reason = NULL, refusal_remedy = NULL WHERE id = :id",
                {
                    "id": candidate_id,
                    "facts": json.dumps(asdict(facts)),
                    "seconds": seconds,
                    **self._artifact_values(artifact),
                },
            ).rowcount
            _check_known(changed, candidate_id)

    def refuse(self, candidate_id: str, refusal: Refusal) -> None:
        """Keep why a candidate cannot be made.

        Raises:
            ValueError: if the candidate is unknown.
        """
        with self._writing() as store:
            changed = store.execute(
                "UPDATE candidates SET refusal_reason = ?, refusal_remedy = ? WHERE id = ?",
                (refusal.reason, refusal.remedy, candidate_id),
            ).rowcount
            _check_known(changed, candidate_id)

    def add_latency(self, candidate_id: str, latency: Latency) -> None:
        """Keep a latency measurement of the candidate's present file, raw samples and all.

        Raises:
            ValueError: if the candidate has no file yet.
        """
        environment = latency.environment
        self._add_figure(
            "latencies",
            candidate_id,
            {
                "environment": environment.fingerprint,
                "environment_facts": json.dumps(environment.to_dict()),
                "rounds": len(latency.candidate_ms),
                "baseline_ms": _to_blob(latency.baseline_ms),
                "candidate_ms": _to_blob(latency.candidate_ms),
                "null_ms": _to_blob(latency.null_ms),
                "baseline_sha256": latency.baseline_sha256,
                "cold_start_ms": float(latency.cold_start_ms),
                "usual_ms": latency.usual_ms,
            },
        )

    def add_score(self, candidate_id: str, score: Score, predictions: np.ndarray | None) -> None:
        """Keep a score of the candidate's present file.

        Args:
            predictions: what was scored of each example, shape (n, ...); None if not known.

        Raises:
            ValueError: if the candidate has no file yet, or the predictions do not fit.
        """
        values: dict[str, Any] = {
            **vars(score),
            "correct": score.correct or 0,
            "recorded": int(score.recorded),
            "moments": None if score.moments is None else json.dumps(vars(score.moments)),
        }
        values = {name: values[name] for name in SCORE_COLUMNS}
        if predictions is not None:
            values |= _packed(predictions, n=score.n)
        self._add_figure("accuracies", candidate_id, values)

    def add_checkpoint(self, prefix_id: str, artifact: Artifact) -> None:
        """Keep the trained weights of a training prefix, for every precision made from it.

        Raises:
            ValueError: if the file lies outside the workspace.
        """
        values = {"id": prefix_id, "created": self._clock(), **self._artifact_values(artifact)}
        with self._writing() as store:
            store.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES "
                "(:id, :path, :sha256, :size_bytes, :compressed_bytes, :created)",
                values,
            )

    # --- reading ---------------------------------------------------------------------------------
    def version(self) -> int:
        """Return a number that grows with each change to a candidate or figure, not to a job."""
        with reading(self.folder) as store:
            row = store.execute("SELECT value FROM meta WHERE name = 'changes'").fetchone()
        return int(row["value"])

    def candidates(self, task: str, environment_fingerprint: str | None) -> tuple[Candidate, ...]:
        """Return every candidate of a task, baseline first, then in the order they were added.

        Each comes with its newest latency in that environment (none if the environment is None) and
        its newest accuracy on the test split; one measured here beats a recorded one. Its newest
        latency in every other environment comes as well, in ``elsewhere``. What a newer version
        wrote is left out; ``unread`` tells of it.
        """
        rows = self._of_task(task, environment_fingerprint)
        return tuple(row for row in rows if isinstance(row, Candidate))

    def candidate(self, candidate_id: str, environment_fingerprint: str | None) -> Candidate | None:
        """Return one candidate with its figures as in ``candidates``; None if it is unknown.

        Raises:
            WorkspaceError: if a newer version wrote it and it cannot be read here.
        """
        values = {"id": candidate_id, "environment": environment_fingerprint}
        return next(iter(_all_read(self._read("c.id = :id", values))), None)

    def unread(self, task: str, environment_fingerprint: str | None) -> tuple[Unread, ...]:
        """Return the candidates of a task, and the environments, that a newer version wrote.

        They are missing from ``candidates`` and ``environments``.
        """
        rows = self._of_task(task, environment_fingerprint)
        found = (*rows, *self._environments(task))
        return tuple(each for each in found if isinstance(each, Unread))

    def known(self, ids: Sequence[str], *, baseline: str, environment: str) -> Known:
        """Read, in one look, all that making and measuring some candidates needs to know.

        Args:
            ids: of candidates.
            baseline: the id of the task's original, which may be among them.
            environment: the fingerprint of where latencies are wanted.
        """
        wanted = tuple(dict.fromkeys((*ids, baseline)))
        places = ", ".join(f":id{i}" for i in range(len(wanted)))
        values: dict[str, str | None] = {f"id{i}": name for i, name in enumerate(wanted)}
        with reading(self.folder) as store:
            rows = self._select(
                store, f"c.id IN ({places})", {**values, "environment": environment}
            )
            found = {row.id: row for row in _all_read(rows)}
            artifact = found[baseline].artifact if baseline in found else None
            return Known(
                candidates=found,
                predictions=_predictions(store, baseline),
                usual_ms=None
                if artifact is None
                else _usual_ms(store, artifact.sha256, environment),
            )

    def predictions(self, candidate_id: str) -> np.ndarray | None:
        """Return the score of each test example, (n, ...), from the newest score that has it.

        For a network that classifies these are the predicted classes, unsigned integers (n,).
        Predictions made here beat recorded ones; those of an earlier file are not given.
        """
        with reading(self.folder) as store:
            return _predictions(store, candidate_id)

    def usual_baseline_ms(self, baseline_sha256: str, environment_fingerprint: str) -> float | None:
        """Return a baseline's usual time: the least of its latest dozen measurements.

        Only the latest, because a processor that has become warm or was set otherwise is under
        no load. None if it was never timed there.
        """
        with reading(self.folder) as store:
            return _usual_ms(store, baseline_sha256, environment_fingerprint)

    def environments(self, task: str) -> tuple[Environment, ...]:
        """Return the environments of a task's latencies, latest use first."""
        return tuple(e for e in self._environments(task) if isinstance(e, Environment))

    def _environments(self, task: str) -> tuple[Environment | Unread, ...]:
        with reading(self.folder) as store:
            rows = store.execute(
                "SELECT environment_facts, max(l.seq) AS latest FROM latencies l "
                "JOIN candidates c ON c.id = l.candidate WHERE c.task = ? "
                "GROUP BY l.environment ORDER BY latest DESC",
                (task,),
            ).fetchall()
        return tuple(
            read_or_leave("an environment", partial(_environment, row["environment_facts"]))
            for row in rows
        )

    def checkpoint(self, prefix_id: str) -> Artifact | None:
        """Return the trained weights of a training prefix, if they are kept."""
        with reading(self.folder) as store:
            row = store.execute(
                "SELECT * FROM checkpoints WHERE prefix = ?", (prefix_id,)
            ).fetchone()
        return None if row is None else self._artifact(row)

    # ---------------------------------------------------------------------------------------------
    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Yield one transaction, refused whole where the claim is stale."""
        with writing(self.folder) as store:
            if self._claim is not None:
                held = store.execute(
                    "SELECT 1 FROM jobs WHERE id = ? AND token = ? AND state = 'running'",
                    self._claim,
                ).fetchone()
                if held is None:
                    raise StaleClaimError(
                        f"job {self._claim[0]} was given to another worker; what this one found "
                        "is not kept."
                    )
            yield store

    def _of_task(
        self, task: str, environment_fingerprint: str | None
    ) -> tuple[Candidate | Unread, ...]:
        """Return every row of a task; read again only if the store has changed.

        Whoever asks for the candidates asks next what was left out, and thousands take seconds.
        """
        files = (self.folder / STORE_NAME, self.folder / f"{STORE_NAME}-wal")
        key = (task, environment_fingerprint, self.version(), *map(_stamp, files))
        if self._rows is None or self._rows[0] != key:
            values = {"task": task, "environment": environment_fingerprint}
            self._rows = (key, self._read("c.task = :task", values))
        return self._rows[1]

    def _read(
        self, condition: str, values: dict[str, str | None]
    ) -> tuple[Candidate | Unread, ...]:
        with reading(self.folder) as store:
            return self._select(store, condition, values)

    def _select(
        self, store: sqlite3.Connection, condition: str, values: dict[str, str | None]
    ) -> tuple[Candidate | Unread, ...]:
        order = "ORDER BY c.role != 'baseline', c.seq"
        rows = store.execute(f"{CANDIDATES} WHERE {condition} {order}", values).fetchall()
        elsewhere: dict[str, list[Latency]] = {}
        for row in store.execute(f"{LATENCIES_ELSEWHERE} {condition}", values):
            found = read_or_leave(f"a latency of {row['candidate']}", partial(_latency, row))
            if isinstance(found, Latency):  # else it is of a target that no page here can show
                elsewhere.setdefault(row["candidate"], []).append(found)
        return tuple(
            read_or_leave(
                f"candidate {row['id']}",
                partial(self._candidate, row, tuple(elsewhere.get(row["id"], ()))),
            )
            for row in rows
        )

    def _add_figure(self, table: str, candidate_id: str, values: dict[str, Any]) -> None:
        """Insert a row that carries the hash of the candidate's present file."""
        names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        with self._writing() as store:
            added = store.execute(
                f"INSERT INTO {table} (candidate, sha256, created, {names}) "
                f"SELECT id, sha256, :created, {places} FROM candidates "
                "WHERE id = :id AND sha256 IS NOT NULL",
                {**values, "id": candidate_id, "created": self._clock()},
            ).rowcount
            if added != 1:
                raise ValueError(
                    f"a figure belongs to a file, and candidate {candidate_id!r:.40} has none. "
                    "Finish it first."
                )

    def _artifact_values(self, artifact: Artifact) -> dict[str, str | int]:
        """Return an artifact's columns; its path is relative, so that a workspace can be moved."""
        root = self.folder.resolve()
        path = artifact.path.resolve()
        if not path.is_relative_to(root):
            raise ValueError(
                f"a model file must lie in the workspace {root}, got {path}. Store it there first."
            )
        return {
            "path": path.relative_to(root).as_posix(),
            "sha256": artifact.sha256,
            "size_bytes": artifact.size_bytes,
            "compressed_bytes": artifact.compressed_bytes,
        }

    def _artifact(self, row: sqlite3.Row) -> Artifact:
        return Artifact(
            path=self.folder / row["path"],
            sha256=row["sha256"],
            size_bytes=row["size_bytes"],
            compressed_bytes=row["compressed_bytes"],
        )

    def _candidate(self, row: sqlite3.Row, elsewhere: tuple[Latency, ...]) -> Candidate:
        refused = row["refusal_reason"] is not None
        return Candidate(
            id=row["id"],
            task=row["task"],
            recipe=_recipe(row["recipe"]),
            role=Role(row["role"]),
            prebuilt=bool(row["starter"]),
            artifact=None if row["path"] is None else self._artifact(row),
            facts=None if row["facts"] is None else GraphFacts(**parsed(row["facts"])),
            latency=None if row["latency_rounds"] is None else _latency(row),
            elsewhere=elsewhere,
            score=None if row["score_n"] is None else _score(row),
            refusal=Refusal(reason=row["refusal_reason"], remedy=row["refusal_remedy"])
            if refused
            else None,
            created=row["created"],
            seconds=row["seconds"],
        )


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return when a file was changed last, and its size; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=32_768)
def _recipe(text: str) -> Recipe:
    return Recipe.from_dict(parsed(text))


@lru_cache(maxsize=64)
def _environment(text: str) -> Environment:
    return Environment.from_dict(parsed(text))


def _all_read(rows: Iterable[Candidate | Unread]) -> Iterator[Candidate]:
    """Yield the rows, if each can be read.

    Raises:
        WorkspaceError: at the first that a newer version wrote.
    """
    for row in rows:
        if isinstance(row, Unread):
            raise WorkspaceError(unread_words([row]))
        yield row


def _predictions(store: sqlite3.Connection, candidate_id: str) -> np.ndarray | None:
    row = store.execute(
        "SELECT predictions, predictions_form FROM accuracies a "
        "JOIN candidates c ON c.id = a.candidate "
        "WHERE c.id = ? AND a.sha256 = c.sha256 AND split = ? AND predictions IS NOT NULL "
        "ORDER BY recorded, a.seq DESC LIMIT 1",
        (candidate_id, PLOTTED_SPLIT),
    ).fetchone()
    if row is None:
        return None
    try:
        return _unpacked(row["predictions"], row["predictions_form"])
    except (ValueError, TypeError, KeyError, zlib.error) as error:
        raise WorkspaceError(
            f"the predictions of candidate {candidate_id!r:.40} are damaged in the store. Measure "
            "its accuracy again."
        ) from error


def _usual_ms(store: sqlite3.Connection, baseline_sha256: str, environment: str) -> float | None:
    rows = store.execute(
        f"SELECT {', '.join(f'{name} AS latency_{name}' for name in LATENCY_COLUMNS)} "
        "FROM latencies WHERE baseline_sha256 = ? AND environment = ? ORDER BY seq DESC LIMIT ?",
        (baseline_sha256, environment, USUAL_OF),
    ).fetchall()
    found = (read_or_leave("a latency", partial(_latency, row)) for row in rows)
    return min((x.baseline_quiet_ms for x in found if isinstance(x, Latency)), default=None)


def _latency(row: sqlite3.Row) -> Latency:
    rounds = row["latency_rounds"]
    return Latency(
        baseline_ms=_from_blob(row["latency_baseline_ms"], rounds),
        candidate_ms=_from_blob(row["latency_candidate_ms"], rounds),
        null_ms=_from_blob(row["latency_null_ms"], rounds),
        baseline_sha256=row["latency_baseline_sha256"],
        cold_start_ms=row["latency_cold_start_ms"],
        environment=_environment(row["latency_environment_facts"]),
        usual_ms=row["latency_usual_ms"],
    )


def _score(row: sqlite3.Row) -> Score:
    values = {name: row[f"score_{name}"] for name in SCORE_COLUMNS}
    values["recorded"] = bool(values["recorded"])
    if values["moments"] is not None:
        values |= {"correct": None, "moments": Moments(**parsed(values["moments"]))}
    return Score(**values)


def _to_blob(samples_ms: np.ndarray) -> bytes:
    return np.ascontiguousarray(samples_ms, dtype="<f4").tobytes()


def _from_blob(blob: bytes, rounds: int) -> np.ndarray:
    try:
        times_ms = np.frombuffer(blob, dtype="<f4").reshape(rounds, -1)
    except (ValueError, TypeError) as error:
        raise DamagedRowError(f"its times are no {rounds} rounds: {error}") from error
    if not times_ms.size or not 0 < times_ms.min() <= times_ms.max() < np.inf:  # nan is neither
        raise DamagedRowError("its times are no positive numbers")
    return times_ms


def _packed(predictions: np.ndarray, *, n: int) -> dict[str, Any]:
    """Return the columns of predictions: compressed bytes, and the array's form."""
    if len(predictions) != n:
        raise ValueError(
            f"predictions must hold one row per example, {n}; got shape {predictions.shape}."
        )
    narrow = predictions.dtype
    if narrow.kind in "iu" and predictions.min() >= 0:
        narrow = np.min_scalar_type(predictions.max())
    portable = predictions.astype(narrow.newbyteorder("<"))
    return {
        "predictions": zlib.compress(portable.tobytes()),
        "predictions_form": json.dumps({"dtype": portable.dtype.str, "shape": portable.shape}),
    }


def _unpacked(content: bytes, form: str | None) -> np.ndarray:
    """Read what ``_packed`` wrote; up to version 4 of the store it was one byte an example."""
    known: dict[str, Any] = {"dtype": "|u1", "shape": [-1]} if form is None else parsed(form)
    flat = np.frombuffer(zlib.decompress(content), np.dtype(known["dtype"]))
    return flat.reshape(known["shape"])


def _check_known(changed: int, candidate_id: str) -> None:
    if changed != 1:
        raise ValueError(f"there is no candidate {candidate_id!r:.40} in the store. Add it first.")
