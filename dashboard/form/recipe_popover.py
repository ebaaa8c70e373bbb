"""A recipe to take away: the file itself, the command and the Python that do the same."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard.state import keys as state
from dashboard.words.markup import plain
from optim.recipe import Recipe
from optim.report import commands
from optim.task.task import Task


def popover(
    task: Task, recipe: Recipe, *, width: Literal["stretch", "content"] = "content"
) -> None:
    """Draw the button that shows all three."""
    with st.popover("Recipe and command", icon=":material/terminal:", width=width):
        st.markdown(f"**{plain(recipe.words())}**")
        st.caption("recipe.yaml")
        st.code(recipe.to_yaml(), language="yaml")
        _same(task, recipe)


def command_popover(task: Task, recipe: Recipe) -> None:
    """Draw the button that shows command and Python, for where the file has a button of its own."""
    with st.popover("Command", icon=":material/terminal:"):
        _same(task, recipe)


def _same(task: Task, recipe: Recipe) -> None:
    st.caption("The same on the command line, and in Python.")
    st.code(commands.command_line(task, recipe, state.target()), language="bash", wrap_lines=True)
    st.code(commands.python_code(task, recipe, state.target()), language="python", wrap_lines=True)
