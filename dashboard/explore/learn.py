"""The strip that teaches in which order to try things, with this model's own figures."""

from __future__ import annotations

import streamlit as st

from dashboard import loaders
from dashboard.state import keys as state
from dashboard.words.markup import plain
from optim.task.task import Task


def strip(task: Task) -> None:
    """Draw what this model's figures teach, in the order in which to try things."""
    lessons = loaders.lessons(task.name)
    if not lessons:
        return
    st.header("What this model says so far", anchor=False)
    for i, (box, lesson) in enumerate(
        zip(st.columns(len(lessons), gap="small"), lessons, strict=True)
    ):
        with box, st.container(border=True, height="stretch", key=f"lesson_{i}"):
            st.markdown(f"**{i + 1}. {lesson.title}**")
            st.caption(plain(lesson.text))
            if lesson.candidate_id is not None:
                st.button(
                    "Show",
                    key=f"lesson_show_{i}",
                    type="tertiary",
                    icon=":material/my_location:",
                    on_click=state.select,
                    args=(lesson.candidate_id,),
                )
            elif lesson.recipe is not None:
                st.button(
                    "Set the sliders",
                    key=f"lesson_set_{i}",
                    type="tertiary",
                    icon=":material/tune:",
                    on_click=state.set_sliders,
                    args=(lesson.recipe, task),
                )
