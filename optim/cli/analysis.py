"""An analysis that a command needs: the one that is known, or a new one."""

from __future__ import annotations

from typing import TypeVar

from optim.candidate import Candidate
from optim.progress import Progress
from optim.store.analyses import AnalysisKind
from optim.workspace import Workspace

A = TypeVar("A")


def known_or_made(
    opened: Workspace,
    candidate: Candidate,
    kind: AnalysisKind,
    expected: type[A],
    progress: Progress,
    *,
    anew: bool,
) -> A:
    """Return the known analysis of the candidate's file, or make it if asked or missing."""
    found = None if anew else opened.analysis_of(candidate.id, kind)
    found = found or opened.analyse(candidate.id, kind, progress=progress)
    assert isinstance(found, expected)  # that is what was asked for
    return found
