"""Reference of every figure: the task's original network in FP32, on the same target.

It is prepared before anything is measured, in a step of its own: measuring never makes a file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optim.artifact import Artifact
from optim.candidate import Candidate, candidate_id
from optim.errors import BrokenArtifactError, RefusedError
from optim.measure.measurement import Latency
from optim.pipeline.make import make_candidate
from optim.progress import Progress
from optim.recipe import Recipe
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.devices.target import Target
    from optim.store.results import Known, Results


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The original's file with what is known of it.

    Attributes:
        candidate: the original, with its file.
        artifact: the file, checked.
        predictions: what is scored of its answers to the test split; None if they are not known.
        usual_ms: what its file takes on this target when nobody else needs the machine; None if it
            was never timed there.
    """

    candidate: Candidate
    artifact: Artifact
    predictions: np.ndarray | None
    usual_ms: float | None

    def after(self, latency: Latency) -> Reference:
        """With what a new measurement tells of its usual time."""
        times = (self.usual_ms, latency.baseline_quiet_ms)
        return replace(self, usual_ms=min(time for time in times if time is not None))


def prepare_reference(
    results: Results,
    task: Task,
    target: Target,
    *,
    known: Known | None = None,
    progress: Progress = lambda share, words: None,
) -> Reference:
    """Make the original's file unless it is there; nothing is measured.

    Args:
        known: what the store has just said, with the original among its candidates; it is asked
            if None.

    Raises:
        BrokenArtifactError: if the original's file is not the one that was made.
        RefusedError: if the original cannot be made.
    """
    name = candidate_id(task, Recipe())
    if known is None:
        known = results.known((name,), baseline=name, environment=target.fingerprint)
    found = known.candidates.get(name)
    if found is None or found.artifact is None or not found.artifact.path.exists():
        progress(0.0, "writing the original's file")
        found = make_candidate(results, task, Recipe(), known=known.candidates)
        if found.refusal is not None:
            raise RefusedError(found.refusal)
    return Reference(
        candidate=found,
        artifact=verified(found.artifact, of=found.words()),
        predictions=known.predictions,
        usual_ms=known.usual_ms,
    )


def verified(artifact: Artifact | None, *, of: str) -> Artifact:
    """Return the file of a candidate, if it is there and the one that was made.

    Raises:
        BrokenArtifactError: if it is not.
    """
    if artifact is None:
        raise BrokenArtifactError(
            f"{of} has no file yet, so nothing can be measured. Make it first."
        )
    artifact.verify()
    return artifact
