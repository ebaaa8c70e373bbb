"""Jobs: what waits, what runs, what has ended, and what it takes on the disk."""

from __future__ import annotations

import streamlit as st

from dashboard import live, loaders
from dashboard.jobs import job_rows
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.markup import plain
from optim.errors import OptimError

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
    """Draw the whole queue; runs once a second."""
    workspace = loaders.workspace()
    if reason := workspace.paused():
        with st.container(horizontal=True, vertical_alignment="center", key="paused"):
            st.warning(f"The queue waits: {plain(reason)}", icon=":material/pause_circle:")
            st.button("Resume", key="resume", icon=":material/play_arrow:", on_click=_resume)
    jobs = loaders.jobs()
    if not jobs:
        with st.container(border=True, key="empty"):
            st.markdown("## No job yet")
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
    st.header(f"Waiting and running: {len(running)}", anchor=False)
    for job in running:
        job_rows.row(job)
    if not running:
        st.caption("Nothing is running.")
    if ended:
        st.header(f"Ended: {len(ended)}", anchor=False)
    for job in ended[:FINISHED_SHOWN]:
        job_rows.row(job)
    if len(ended) > FINISHED_SHOWN:
        st.caption(f"The {FINISHED_SHOWN} newest are shown; `edge-optim jobs` lists all.")


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
