"""A recipe to take away: the file itself, the command and the Python that do the same."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard import commands
from dashboard.markup import plain
from optim.recipe import Recipe
from optim.task import Task


def popover(
    task: Task, recipe: Recipe, *, width: Literal["stretch", "content"] = "content"
) -> None:
    """The button that shows it."""
    with st.popover("Recipe and command", icon=":material/terminal:", width=width):
        st.markdown(f"**{plain(recipe.words())}**")
        st.caption("recipe.yaml")
        st.code(recipe.to_yaml(), language="yaml")
        st.caption("The same on the command line, and in Python.")
        st.code(
            f"edge-optim run {task.name} --recipe recipe.yaml", language="bash", wrap_lines=True
        )
        st.code(commands.python_code(task, recipe), language="python", wrap_lines=True)
