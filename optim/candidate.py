"""A candidate: a task plus a recipe, with whatever has been found out about it so far."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from optim.artifact import Artifact, GraphFacts
from optim.devices.target import Target
from optim.errors import Refusal
from optim.measure.measurement import Latency, Score
from optim.recipe import Recipe
from optim.task.task import Task


class Role(StrEnum):
    """Role of a candidate in its task's plots."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"
    CONTROL = "control"
    """A small network trained from scratch: what a compressed one must beat."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One row of a page.

    Attributes:
        id: 12 hexadecimal digits, from task, recipe and the steps' versions.
        task: name of the task.
        recipe: how it was made.
        role: baseline, candidate or control.
        prebuilt: True if its file came with the sample task.
        artifact: the ONNX file, once made.
        facts: parameters, MACs, operators.
        latency: on the target that was asked for; None until measured there.
        elsewhere: the newest latency on each other target.
        score: on the test split; may be the recorded one.
        refusal: why it could not be made, if so.
        created: seconds since 1970, UTC.
        seconds: how long making it took.
    """

    id: str
    task: str
    recipe: Recipe
    role: Role
    prebuilt: bool = False
    artifact: Artifact | None = None
    facts: GraphFacts | None = None
    latency: Latency | None = None
    elsewhere: tuple[Latency, ...] = ()
    score: Score | None = None
    refusal: Refusal | None = None
    created: float = 0.0
    seconds: float | None = None

    @property
    def measured(self) -> bool:
        """True if it can stand on a plot: latency measured here, accuracy known, size on disk."""
        return self.latency is not None and self.score is not None and self.artifact is not None

    def latency_on(self, target: Target) -> Latency | None:
        """Return its newest latency on a target; None if it was not measured there."""
        measured = (self.latency, *self.elsewhere)
        return next(
            (
                latency
                for latency in measured
                if latency is not None and latency.environment.fingerprint == target.fingerprint
            ),
            None,
        )

    def words(self) -> str:
        """Return the recipe in words."""
        return self.recipe.words()


def role_of(recipe: Recipe) -> Role:
    """Return the role that a recipe gives its candidate."""
    if not recipe.steps:
        return Role.BASELINE
    return Role.CONTROL if recipe.is_control else Role.CANDIDATE


def candidate_id(task: Task, recipe: Recipe) -> str:
    """Return a candidate's name: the same task, recipe and algorithms give the same 12 digits."""
    text = f"{task.fingerprint}/{recipe.fingerprint}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
