"""Models & data: which networks there are, and how to bring one's own."""

from __future__ import annotations

import streamlit as st

from dashboard import live, loaders
from dashboard.models.panel import panel
from dashboard.words import words
from dashboard.words.markup import plain
from optim.task.task import Task


def page() -> None:
    """Draw the page."""
    st.title("Models & data", anchor=False)
    live.show_note()
    _listed()
    panel()


def _listed() -> None:
    """Draw every task with what judges it."""
    workspace = loaders.workspace()
    st.dataframe([_row(task) for task in workspace.tasks()], hide_index=True)
    for sentence in workspace.broken_tasks():
        st.warning(plain(sentence), icon=":material/broken_image:")


def _row(task: Task) -> dict[str, str]:
    return {
        "model": task.title,
        "name": task.name,
        "parameters": "" if task.parameters is None else words.count(task.parameters),
        "takes": " x ".join(map(str, task.input_shape)),
        "data": task.dataset.title,
        "judged by": task.metric.title.lower(),
        "can be trained": "yes" if task.untrainable is None else "no",
    }


if __name__ == "__main__":  # streamlit runs it so; a test imports it
    page()
