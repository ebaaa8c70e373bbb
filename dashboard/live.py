"""Background jobs, looked at once a second: progress, cancel, and arriving points.

Jobs live in the workspace, not in the tab. A fragment looks there; when a figure arrives it has the
whole page drawn anew, and when the job that the user started ends, its candidate's card is opened.
"""

from __future__ import annotations

import streamlit as st

from dashboard import loaders
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.markup import plain
from optim.devices.target import Target
from optim.errors import OptimError
from optim.jobs.job import Job, JobKind, JobState

QUICK_S, SLOW_S = 1.0, 5.0


def begin(task: str) -> None:
    """Have the prebuilt candidates of a task measured, once per session and target.

    Shows why if it cannot be.
    """
    begun: set[tuple[str, Target]] = st.session_state.setdefault(state.BEGUN, set())
    asked = (task, state.target())
    if asked in begun:
        return
    try:
        loaders.workspace().start_task(task)
    except OptimError as error:
        st.error(plain(str(error)))
    begun.add(asked)


def watch(job: Job) -> None:
    """Open this job's candidate when it is done."""
    st.session_state[state.WATCHED] = job.id


def say(note: str) -> None:
    """Show a sentence once, at the top of the next run."""
    st.session_state[state.NOTE] = note


def show_note() -> None:
    """Draw the sentence that ``say`` has left, if any."""
    note = st.session_state.pop(state.NOTE, None)
    if note:
        st.warning(plain(note))


def jobs_panel(task: str, kinds: tuple[JobKind, ...], *, key: str) -> None:
    """Draw the progress of a task's jobs of these kinds; nothing when there is none."""
    busy = bool(loaders.live_jobs(task, *JobKind)) or state.WATCHED in st.session_state
    version = loaders.workspace().version()
    st.fragment(_look, run_every=QUICK_S if busy else SLOW_S, key=key)(task, kinds, version, busy)


def _look(task: str, kinds: tuple[JobKind, ...], drawn: int, busy: bool) -> None:
    """Draw the jobs; ask for a new page if a figure has arrived since ``drawn``."""
    running = loaders.live_jobs(task, *JobKind)
    if _watched_has_ended(task) or loaders.workspace().version() != drawn or busy != bool(running):
        st.rerun()
    for job in reversed([job for job in running if job.kind in kinds]):
        _progress(job)
    if JobKind.PREBUILT in kinds:
        _checking([job for job in running if job.kind is JobKind.VERIFY])


def _watched_has_ended(task: str) -> bool:
    """Look after the job that this session has started; True once, when it has ended."""
    watched = st.session_state.get(state.WATCHED)
    job = loaders.workspace().job(watched) if watched else None
    if watched is None or (job is not None and job.live):
        return False
    del st.session_state[state.WATCHED]
    if job is None:
        return True
    if job.state is JobState.FAILED:
        say(f"{job.error or 'The job failed.'} (job {job.id}; its log is on the Jobs page)")
    elif job.state is JobState.DONE and (name := _candidate_of(task, job)):
        state.select(name)
    return True


def _candidate_of(task: str, job: Job) -> str | None:
    if job.payload.get("task") != task:
        return None
    if "candidate" in job.payload:
        return str(job.payload["candidate"])
    if job.recipe is None:
        return None
    found = loaders.candidate_of(task, job.recipe)
    return None if found is None else found.id


def _progress(job: Job) -> None:
    with st.container(gap="xsmall", key=f"job_{job.id}"):
        waits = job.state is JobState.QUEUED
        message = "waits for its turn" if waits else job.message or "begins"
        name = plain(job.words[:1].upper() + job.words[1:])
        st.progress(min(max(job.progress, 0.0), 1.0), text=f"**{name}**")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(plain(words.job_state(job) if job.cancel_requested else message))
            cancel_button(job)


def _checking(jobs: list[Job]) -> None:
    if jobs:
        number = "one file" if len(jobs) == 1 else f"{len(jobs)} files"
        st.caption(
            f":material/autorenew: In the background, the recorded accuracy of {number} is "
            "measured again on this machine."
        )


def cancel_button(job: Job) -> None:
    """Draw a button that stops a job; grey once it was asked to stop."""
    st.button(
        "Cancel",
        key=f"cancel_{job.id}",
        type="tertiary",
        icon=":material/stop_circle:",
        disabled=job.cancel_requested,
        on_click=loaders.workspace().cancel,
        args=(job.id,),
    )
