"""Jobs: what waits, what runs, what has ended, and what it takes on the disk."""

from __future__ import annotations

import streamlit as st

from dashboard import live, loaders, state, words
from dashboard.markup import plain
from optim.errors import OptimError
from optim.store.job import Job, JobState

COLOURS = {
    JobState.QUEUED: "gray",
    JobState.RUNNING: "blue",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "orange",
}
FINISHED_SHOWN = 30


def page() -> None:
    """Draw the page."""
    st.title("Jobs", anchor=False)
    st.caption(
        "Closing the tab loses nothing: jobs go on in their own processes, and what has finished "
        "is kept. A job that dies with the machine is taken up again."
    )
    live.show_note()
    st.fragment(_queue, run_every=live.QUICK_S, key="queue")()
    _disk()


def _queue() -> None:
    """The whole queue; runs once a second."""
    workspace = loaders.workspace()
    if reason := workspace.paused():
        with st.container(horizontal=True, vertical_alignment="center", key="paused"):
            st.warning(f"The queue waits: {plain(reason)}", icon=":material/pause_circle:")
            st.button("Resume", key="resume", icon=":material/play_arrow:", on_click=_resume)
    jobs = loaders.jobs()
    if not jobs:
        with st.container(border=True, key="empty"):
            st.markdown("### No job yet")
            st.markdown("Press **Measure this** on the Explore page, and its job appears here.")
            st.page_link(
                state.EXPLORE,
                label="Explore",
                icon=":material/scatter_plot:",
                query_params={state.MODEL: state.model()},
            )
        return
    running = [job for job in jobs if job.live]
    ended = [job for job in jobs if not job.live]
    st.subheader(f"Waiting and running: {len(running)}", anchor=False)
    for job in running:
        _job(job)
    if not running:
        st.caption("Nothing is running.")
    if ended:
        st.subheader(f"Ended: {len(ended)}", anchor=False)
    for job in ended[:FINISHED_SHOWN]:
        _job(job)
    if len(ended) > FINISHED_SHOWN:
        st.caption(f"The {FINISHED_SHOWN} newest are shown; `edge-optim jobs` lists all.")


def _job(job: Job) -> None:
    with st.container(border=True, gap="xsmall", key=f"row_{job.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(words.job_state(job), color=COLOURS[job.state])  # type: ignore[arg-type]
            st.markdown(f"**{plain(job.words)}**", width="stretch")
            _actions(job)
        if job.live:
            st.progress(min(max(job.progress, 0.0), 1.0), text=plain(job.message) or None)
        st.caption(" · ".join(_facts(job)))
        if job.error:
            st.markdown(f":red[{plain(job.error)}]")
        if log := loaders.workspace().job_log(job.id):
            with st.expander("Log", key=f"log_{job.id}"):
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
        st.button(
            "Cancel",
            key=f"cancel_{job.id}",
            type="tertiary",
            icon=":material/stop_circle:",
            disabled=job.cancel_requested,
            on_click=loaders.workspace().cancel,
            args=(job.id,),
        )
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


def _resume() -> None:
    try:
        loaders.workspace().resume()
    except OptimError as error:
        live.say(str(error))


def _disk() -> None:
    used, free = loaders.workspace().disk_bytes()
    st.caption(
        f":material/hard_drive: The workspace {plain(str(loaders.workspace().path))} takes "
        f"{words.size(used)}; {words.size(free)} are free on its disk."
    )


if __name__ == "__main__":  # streamlit runs it so; a test imports it
    page()
