"""One job as a row of the Jobs page."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard import live, loaders
from dashboard.words import words
from dashboard.words.markup import plain
from optim.errors import OptimError
from optim.jobs.job import Job, JobState

COLOURS: dict[JobState, Literal["gray", "blue", "green", "red", "orange"]] = {
    JobState.QUEUED: "gray",
    JobState.RUNNING: "blue",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "orange",
}


def row(job: Job) -> None:
    """Draw state, progress and result of a job, and what can be done about it."""
    with st.container(border=True, gap="xsmall", key=f"row_{job.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(words.job_state(job), color=COLOURS[job.state])
            st.markdown(f"**{plain(job.words[:1].upper() + job.words[1:])}**", width="stretch")
            _log(job)
            _actions(job)
        if job.state is JobState.RUNNING:
            st.progress(min(max(job.progress, 0.0), 1.0), text=plain(job.message or "begins"))
        st.caption(" · ".join(_facts(job)))
        if job.error:
            st.markdown(f":red[{plain(job.error)}]")


def _log(job: Job) -> None:
    """Draw the log, for a technical reader; every attempt begins with a line of its own."""
    log = loaders.workspace().job_log(job.id)
    if any(not line.startswith("---") for line in log.splitlines()):
        with st.popover("Log", type="tertiary", icon=":material/notes:", key=f"log_{job.id}"):
            st.code(log, language=None, wrap_lines=True, height=240)


def _facts(job: Job) -> list[str]:
    facts = [words.job_kind(job.kind), plain(str(job.payload.get("task", "")))]
    if job.started is None:
        facts.append(f"asked for {words.ago(job.created)}")
    else:
        facts.append(f"started {words.ago(job.started)}")
    if job.started is not None and job.finished is not None:
        facts.append(f"took {words.duration(job.finished - job.started)}")
    if job.attempts > 1:
        facts.append(f"attempt {job.attempts}")
    return [*facts, f"job {job.id}"]


def _actions(job: Job) -> None:
    if job.live:
        live.cancel_button(job)
    elif job.state is not JobState.DONE:
        st.button(
            "Try again",
            key=f"retry_{job.id}",
            type="tertiary",
            icon=":material/refresh:",
            on_click=_retry,
            args=(job.id,),
        )


def _retry(job_id: str) -> None:
    try:
        loaders.workspace().retry(job_id)
    except OptimError as error:
        live.say(str(error))
