"""The order in which to make a network small: quantize, prune, distil, with figures."""

from __future__ import annotations

import streamlit as st

from dashboard import loaders
from dashboard.state import keys as state
from dashboard.train import words as training_words
from dashboard.words.markup import plain
from dashboard.words.story import Lesson
from optim.task.task import Task
from optim.training_history.distillation_gain import pairs


def strip(task: Task) -> None:
    """Draw three steps side by side; each says what it gave here, and where to see it."""
    st.header("Quantize first, then prune, then distil", anchor=False)
    quantize, prune = (loaders.lessons(task.name) or (None, None))[:2]
    for i, (box, lesson) in enumerate(
        zip(
            st.columns(3, gap="small"),
            (quantize, prune, _distil(task)),
            strict=True,
        )
    ):
        if lesson is None:
            continue
        with box, st.container(border=True, height="stretch", key=f"order_{i}"):
            st.markdown(f"**{i + 1}. {lesson.title}**")
            st.caption(plain(lesson.text))
            if lesson.candidate_id is not None:
                st.page_link(
                    state.EXPLORE,
                    label="See it",
                    icon=":material/scatter_plot:",
                    query_params={state.MODEL: task.name, state.CANDIDATE: lesson.candidate_id},
                )


def _distil(task: Task) -> Lesson:
    """Return the largest distillation gain measured here, a clear one first, or what to try."""
    why = "When cutting costs accuracy, a teacher gives some of it back while the rest trains."
    n = loaders.validation_examples(task.name)
    known = [
        (not compared.tied, compared.gain, i, pair)
        for i, pair in enumerate(pairs(loaders.trainings(task.name)))
        if pair.over and (compared := pair.at_equal_epochs(n)) is not None
    ]
    if not known:
        return Lesson(title="Then distil", text=f"{why} Not tried for this model yet.")
    *_, best = max(known, key=lambda each: each[:3])
    return Lesson(
        title="Then distil",
        text=f"{why} Most here, {training_words.title(best)}: {training_words.gain(best, n)}.",
        candidate_id=best.with_teacher.shown,
    )
