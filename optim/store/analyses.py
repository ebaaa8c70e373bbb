"""Analyses of candidates' files as rows: one document per kind of analysis.

Like a figure, an analysis belongs to the very file it was taken from and, where it holds times, to
the environment they were taken in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from optim.store.schema import reading, writing


class AnalysisKind(StrEnum):
    """Kind of analysis of a file."""

    PROFILE = "profile"
    """Time by operator, what fused, what stayed in float and why."""
    SENSITIVITY = "sensitivity"
    """What each precision costs in each layer."""
    WATERFALL = "waterfall"
    """Where the accuracy of a quantized file went."""
    PRUNING = "pruning"
    """What each channel of each layer costs."""


class Analyses:
    """The analyses of a workspace. Any thread and any process may call at any time."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock

    def add(
        self, candidate_id: str, kind: AnalysisKind, environment: str, content: dict[str, Any]
    ) -> None:
        """Keep an analysis of the candidate's present file.

        Args:
            environment: fingerprint of where it was made.
            content: plain data, ready for JSON.

        Raises:
            ValueError: if the candidate has no file.
        """
        with writing(self.folder) as store:
            added = store.execute(
                "INSERT INTO analyses (candidate, kind, sha256, environment, content, created) "
                "SELECT id, ?, sha256, ?, ?, ? FROM candidates "
                "WHERE id = ? AND sha256 IS NOT NULL",
                (kind, environment, json.dumps(content), self._clock(), candidate_id),
            ).rowcount
        if added != 1:
            raise ValueError(
                f"an analysis belongs to a file, and candidate {candidate_id!r:.40} has none. "
                "Finish it first."
            )

    def get(self, candidate_id: str, kind: AnalysisKind, environment: str) -> dict[str, Any] | None:
        """Return the newest analysis, made here, of this kind of the candidate's present file."""
        with reading(self.folder) as store:
            row = store.execute(
                "SELECT content FROM analyses a JOIN candidates c ON c.id = a.candidate "
                "WHERE c.id = ? AND a.kind = ? AND a.environment = ? AND a.sha256 = c.sha256 "
                "ORDER BY a.seq DESC LIMIT 1",
                (candidate_id, kind, environment),
            ).fetchone()
        return None if row is None else json.loads(row["content"])
