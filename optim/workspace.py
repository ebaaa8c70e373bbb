"""The workspace: a folder with the store and the artifacts, and the facade that everyone calls.

Pages, command line and scripts go through this one class. It never draws, and it imports torch and
the engine only when a call needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from optim.candidate import Candidate
from optim.recipe import Recipe
from optim.search.predict import Prediction
from optim.store.job import Job
from optim.task import Task

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Progress = Callable[[float, str], None]


class Workspace:
    """A folder that holds everything: ``store.sqlite`` and ``artifacts/``.

    Args:
        path: the folder; it is made if missing.

    Raises:
        WorkspaceError: read-only, full disk, or written by a newer version.
    """

    def __init__(self, path: Path | str) -> None: ...

    # --- looking -------------------------------------------------------------------------------
    def version(self) -> int:
        """A number that changes whenever a candidate or measurement does (not for job progress)."""
        ...

    def candidates(self, task: str) -> tuple[Candidate, ...]:
        """Every candidate of a task with its newest figures for this machine, baseline first."""
        ...

    def candidate(self, candidate_id: str) -> Candidate:
        """One candidate. Raises: OptimError if there is none with this id."""
        ...

    def predictions_of(self, candidate_id: str) -> np.ndarray | None:
        """The predicted class of each test example, uint8 (n,), once measured here; else None."""
        ...

    def predict(self, task: str, recipe: Recipe) -> Prediction | None:
        """What the recipe will probably give."""
        ...

    def frame(self, task: str) -> pd.DataFrame:
        """The candidates of a task as a table, one row each."""
        ...

    # --- doing, in the background ----------------------------------------------------------------
    def submit(self, task: str, recipe: Recipe) -> Job:
        """Ask for a candidate: made if needed, then measured. Asked twice, it is one job."""
        ...

    def submit_measure(self, candidate_id: str) -> Job:
        """Ask for a finished candidate to be measured again."""
        ...

    def start_task(self, task: str) -> Job | None:
        """First look at a task: take in its starters. None if nothing is left to do."""
        ...

    def jobs(self, *, limit: int = 200) -> tuple[Job, ...]:
        """Newest first."""
        ...

    def job(self, job_id: str) -> Job | None: ...

    def cancel(self, job_id: str) -> None:
        """Stop a job; what it has finished stays."""
        ...

    def job_log(self, job_id: str) -> str:
        """The last lines of a job's log, for a technical reader."""
        ...

    def ensure_worker(self) -> None:
        """Start the background worker of this workspace unless one is alive."""
        ...

    # --- doing, here and now -----------------------------------------------------------------------
    def make(
        self, task: str | Task, recipe: Recipe, *, progress: Progress = lambda share, words: None
    ) -> Candidate:
        """Make and measure a candidate in this process; finished parts are re-used."""
        ...

    def export(self, candidate_id: str, folder: Path) -> tuple[Path, ...]:
        """Write model, recipe and a card with hashes to a folder."""
        ...
