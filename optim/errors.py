"""Errors of the world, as opposed to a wrong argument (which is a ``ValueError``).

Every message says what must hold, what came, and what to do. The command line prints it alone and
exits with 2; a page shows it in one line.
"""

from __future__ import annotations

from dataclasses import dataclass


class OptimError(Exception):
    """The family of errors that a user can do something about."""


class UnknownTaskError(OptimError):
    """No task has this name, neither a sample nor one of the workspace."""


class BrokenTaskError(OptimError):
    """A task's card or data cannot be read, or says what cannot be."""


class BrokenDataError(OptimError):
    """A user's examples cannot be read, or do not fit the network."""


class BrokenRecipeError(OptimError):
    """A recipe file cannot be read, or holds something that is not a recipe."""


class BrokenArtifactError(OptimError):
    """A model file is missing, damaged, or not what its hash says."""


class WorkspaceError(OptimError):
    """The workspace cannot be used: read-only, full, or written by a newer version."""


class DiskFullError(WorkspaceError):
    """No room is left on the workspace's disk, or in this user's share of it."""


class StoreBusyError(WorkspaceError):
    """Another program keeps the store busy; a moment later it may not."""


class StaleClaimError(OptimError):
    """A job's result comes too late: the job was given to another worker meanwhile."""


class EngineError(OptimError):
    """An engine is missing, or cannot load or run a file."""


class TargetError(OptimError, ValueError):
    """Nothing can be measured on such a target: an unknown device, too many threads."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A recipe that cannot be done: a result like any other, with a reason and what would help."""

    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.reason} {self.remedy}".strip()


class RefusedError(OptimError):
    """Carries a ``Refusal`` up to the place where it becomes a row."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
