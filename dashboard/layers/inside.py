"""Inside of a candidate: what is known, what is not, and how to find it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import live, loaders
from dashboard.words import words
from dashboard.words.markup import plain
from optim.analysis.layer_rows import LayerRow, Remainder, layer_rows, remainders
from optim.candidate import Candidate
from optim.errors import OptimError
from optim.jobs.job import Job, JobKind, JobState
from optim.recipe import INTEGER_PRECISIONS
from optim.store.analyses import AnalysisKind
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.analysis.sensitivity import Sensitivity
    from optim.analysis.waterfall import Waterfall
    from optim.engines.profile import Profile

Look = tuple[Candidate, AnalysisKind]
"""One analysis of one file."""

NAMES = {
    AnalysisKind.PROFILE: "time by layer",
    AnalysisKind.SENSITIVITY: "sensitivity by layer",
    AnalysisKind.WATERFALL: "where the accuracy went",
    AnalysisKind.PRUNING: "pruning curves",
}
GUESSED_S = {
    AnalysisKind.PROFILE: 4.0,
    AnalysisKind.SENSITIVITY: 60.0,
    AnalysisKind.WATERFALL: 60.0,
    AnalysisKind.PRUNING: 60.0,
}
"""Until a look at this model has been timed here."""


@dataclass(frozen=True, kw_only=True)
class Inside:
    """A candidate with everything that was found in it and in its float parent.

    Attributes:
        parent: the same network before quantization; itself, if it is not quantized.
        missing: the looks that nobody has taken yet.
        failed: why some of them could not be taken, by the newest job.
    """

    candidate: Candidate
    parent: Candidate | None
    profile: Profile | None
    float_profile: Profile | None
    sensitivity: Sensitivity | None
    waterfall: Waterfall | None
    missing: tuple[Look, ...]
    failed: tuple[Job, ...]

    @property
    def known(self) -> bool:
        """True if there is anything to draw."""
        return bool(self.profile or self.sensitivity or self.waterfall)

    def rows(self) -> tuple[LayerRow, ...]:
        """Return the layers."""
        return layer_rows(self.candidate.recipe, self.profile, self.float_profile, self.sensitivity)

    def rest(self) -> tuple[Remainder, ...]:
        """Return the time beyond the layers."""
        return remainders(self.profile, self.float_profile)


def look(task: Task, candidate: Candidate) -> Inside:
    """Read from the workspace what is known."""
    parent = loaders.candidate_of(task.name, candidate.recipe.training_prefix())
    parent = parent if parent is not None and parent.artifact is not None else None
    wanted = _wanted(candidate, parent)
    found = {(c.id, kind): loaders.analysis(c, kind) for c, kind in wanted}
    missing = tuple(each for each in wanted if found[each[0].id, each[1]] is None)

    def of(where: Candidate | None, kind: AnalysisKind) -> Any:
        return None if where is None else found.get((where.id, kind))

    return Inside(
        candidate=candidate,
        parent=parent,
        profile=of(candidate, AnalysisKind.PROFILE),
        float_profile=of(parent, AnalysisKind.PROFILE),
        sensitivity=of(parent, AnalysisKind.SENSITIVITY),
        waterfall=of(candidate, AnalysisKind.WATERFALL),
        missing=missing,
        failed=failed_looks(missing),
    )


def _wanted(candidate: Candidate, parent: Candidate | None) -> list[Look]:
    """Return what to measure, the file itself last: it is what the page is about."""
    looks = [(candidate, AnalysisKind.PROFILE)]
    if candidate.recipe.precision in INTEGER_PRECISIONS:
        looks.append((candidate, AnalysisKind.WATERFALL))
    if parent is not None:
        looks.insert(0, (parent, AnalysisKind.SENSITIVITY))
        if parent.id != candidate.id:
            looks.insert(0, (parent, AnalysisKind.PROFILE))
    return looks


def failed_looks(missing: tuple[Look, ...]) -> tuple[Job, ...]:
    """Return the newest job of each missing look, where it has failed."""
    newest: dict[tuple[str, str], Job] = {}
    for job in loaders.jobs():
        if job.kind is JobKind.ANALYSE:
            newest.setdefault((job.payload["candidate"], job.payload["analysis"]), job)
    jobs = [newest.get((candidate.id, str(kind))) for candidate, kind in missing]
    return tuple(job for job in jobs if job is not None and job.state is JobState.FAILED)


def seconds_to_look(looks: tuple[Look, ...], jobs: tuple[Job, ...]) -> float:
    """Guess how long looks take: as long as such looks at this model took."""
    return sum(_seconds(candidate, kind, jobs) for candidate, kind in looks)


def _seconds(candidate: Candidate, kind: AnalysisKind, jobs: tuple[Job, ...]) -> float:
    for job in jobs:
        alike = job.payload.get("task") == candidate.task and job.payload.get("analysis") == kind
        if alike and job.state is JobState.DONE and job.started and job.finished:
            return job.finished - job.started
    return GUESSED_S[kind]


def offer(task: Task, found: Inside) -> None:
    """Draw one button for everything not known yet; nothing if all is known or under way."""
    for job in found.failed:
        st.warning(plain(job.error or "The look inside failed."), icon=":material/block:")
    if not found.missing or loaders.live_jobs(task.name, JobKind.ANALYSE):
        return
    seconds = words.about(seconds_to_look(found.missing, loaders.jobs()))
    names = list(dict.fromkeys(NAMES[kind] for _, kind in found.missing))
    with st.container(border=True, key="look_inside"):
        if not found.known:
            st.markdown("## Nobody has looked inside yet")
            st.markdown(
                "How long does each layer take, which one cannot bear few bits, and where does "
                "the accuracy go? That is measured on this machine, on validation examples; the "
                "test examples are not touched."
            )
        else:
            st.markdown(f"Not known yet: {', '.join(names)}.")
        st.button(
            f"Look inside ({seconds})",
            key="look_inside_button",
            type="primary",
            icon=":material/search:",
            on_click=submit,
            args=([(candidate.id, kind) for candidate, kind in found.missing],),
        )


def submit(looks: list[tuple[str, AnalysisKind]]) -> None:
    """Ask for analyses of candidates; what speaks against it is said on top of the page."""
    try:
        for candidate_id, kind in looks:
            loaders.workspace().submit_analysis(candidate_id, kind)
    except OptimError as error:
        live.say(str(error))
