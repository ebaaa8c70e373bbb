"""The tables of a store, version by version: what each brought, never changed once published.

A store of version v is brought up to date by what came after v, in order. A new version is one more
entry of ``VERSIONS``, and one more dump in ``tests/store/old_versions``.
"""

from __future__ import annotations

from collections.abc import Iterator

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT;
INSERT INTO meta VALUES ('changes', 0);

CREATE TABLE candidates (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    recipe TEXT NOT NULL,
    role TEXT NOT NULL,
    starter INTEGER NOT NULL,
    created REAL NOT NULL,
    path TEXT,
    sha256 TEXT,
    size_bytes INTEGER,
    compressed_bytes INTEGER,
    facts TEXT,
    seconds REAL,
    refusal_reason TEXT,
    refusal_remedy TEXT
) STRICT;
CREATE INDEX candidates_of_task ON candidates (task);

CREATE TABLE latencies (
    seq INTEGER PRIMARY KEY,
    candidate TEXT NOT NULL REFERENCES candidates (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    environment TEXT NOT NULL,
    environment_facts TEXT NOT NULL,
    rounds INTEGER NOT NULL,
    baseline_ms BLOB NOT NULL,
    candidate_ms BLOB NOT NULL,
    null_ms BLOB NOT NULL,
    baseline_sha256 TEXT NOT NULL,
    cold_start_ms REAL NOT NULL,
    created REAL NOT NULL
) STRICT;
CREATE INDEX latencies_of_candidate ON latencies (candidate, environment, sha256, seq);

CREATE TABLE accuracies (
    seq INTEGER PRIMARY KEY,
    candidate TEXT NOT NULL REFERENCES candidates (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    split TEXT NOT NULL,
    n INTEGER NOT NULL,
    correct INTEGER NOT NULL,
    worse INTEGER NOT NULL,
    better INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    baseline_sha256 TEXT NOT NULL,
    recorded INTEGER NOT NULL,
    predictions BLOB,
    created REAL NOT NULL
) STRICT;
CREATE INDEX accuracies_of_candidate ON accuracies (candidate, split, sha256, recorded, seq);

CREATE TABLE checkpoints (
    prefix TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    compressed_bytes INTEGER NOT NULL,
    created REAL NOT NULL
) STRICT;

CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    words TEXT NOT NULL,
    state TEXT NOT NULL,
    progress REAL NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    token INTEGER NOT NULL DEFAULT 0,
    lease_until REAL
) STRICT;
CREATE UNIQUE INDEX one_live_job_per_key ON jobs (key) WHERE state IN ('queued', 'running');
CREATE INDEX live_jobs ON jobs (state) WHERE state IN ('queued', 'running');
"""

_ANALYSES = """
CREATE TABLE analyses (
    seq INTEGER PRIMARY KEY,
    candidate TEXT NOT NULL REFERENCES candidates (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    environment TEXT NOT NULL,
    content TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;
CREATE INDEX analyses_of_candidate ON analyses (candidate, kind, environment, sha256, seq)
"""

_TRAINING = """
CREATE TABLE epochs (
    prefix TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    loss REAL NOT NULL,
    accuracy REAL NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (prefix, epoch)
) STRICT
"""


def _created(tables: str, *, counted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the statements that make tables, and triggers that count the writes to some."""
    return (
        *filter(str.strip, tables.split(";")),
        *(
            f"CREATE TRIGGER {table}_{event.lower()} AFTER {event} ON {table} BEGIN "
            "UPDATE meta SET value = value + 1 WHERE name = 'changes'; END"
            for table in counted
            for event in ("INSERT", "UPDATE", "DELETE")
        ),
    )


VERSIONS: tuple[tuple[str, ...], ...] = (
    _created(_TABLES, counted=("candidates", "latencies", "accuracies")),
    _created(_ANALYSES, counted=("analyses",)),
    _created(_TRAINING, counted=("epochs",)),
    ("ALTER TABLE latencies ADD COLUMN usual_ms REAL",),
    (
        "ALTER TABLE accuracies ADD COLUMN metric TEXT NOT NULL DEFAULT 'accuracy'",
        "ALTER TABLE accuracies ADD COLUMN moments TEXT",
        "ALTER TABLE accuracies ADD COLUMN predictions_form TEXT",
    ),
)
"""What version 1, 2, 3, ... brought. Every write to a counted table raises ``changes``, by trigger
and so in the same transaction."""

SCHEMA_VERSION = len(VERSIONS)


def statements_from(version: int) -> Iterator[str]:
    """Yield the statements that bring a store of this version, 0 for an empty one, up to date."""
    for statements in VERSIONS[version:]:
        yield from statements
