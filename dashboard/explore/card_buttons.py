"""The buttons of a card: take the file or the recipe away, measure again, look further."""

from __future__ import annotations

import streamlit as st

from dashboard import live, loaders
from dashboard.form import recipe_popover
from dashboard.state import keys as state
from optim.candidate import Candidate, Role
from optim.errors import OptimError
from optim.task.task import Task


def buttons(candidate: Candidate, task: Task) -> None:
    """Draw what can be done with a candidate that is made."""
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="card_buttons"
    ):
        _downloads(candidate, task)
        recipe_popover.command_popover(task, candidate.recipe)
        st.button(
            "Measure again",
            key="measure_again",
            type="tertiary",
            icon=":material/refresh:",
            on_click=_measure_again,
            args=(candidate.id,),
        )
        layers_link(candidate, task, "Layers")
        if candidate.role is not Role.BASELINE:
            _beside_the_original(candidate, task)


def layers_link(candidate: Candidate, task: Task, label: str) -> None:
    """Draw the way to the Layers page of a candidate."""
    st.page_link(
        state.LAYERS,
        label=label,
        icon=":material/layers:",
        query_params={state.MODEL: task.name, state.CANDIDATE: candidate.id},
    )


def _downloads(candidate: Candidate, task: Task) -> None:
    st.download_button(
        "Download ONNX",
        lambda: _file(candidate),
        file_name=f"{task.name}-{candidate.id}.onnx",
        mime="application/octet-stream",
        key="download_onnx",
        icon=":material/download:",
        on_click="ignore",
    )
    st.download_button(
        "Recipe",
        candidate.recipe.to_yaml,  # called on a click: a file made now may be gone by then
        file_name=f"{task.name}-{candidate.id}.yaml",
        mime="application/yaml",
        key="download_recipe",
        icon=":material/receipt_long:",
        on_click="ignore",
    )


def _beside_the_original(candidate: Candidate, task: Task) -> None:
    st.page_link(
        state.COMPARE,
        label="Compare with original",
        icon=":material/compare_arrows:",
        query_params=_comparison(candidate, task),
    )
    if state.fits_sliders(candidate.recipe, task):
        st.button(
            "Use these settings",
            key="use_settings",
            type="tertiary",
            icon=":material/tune:",
            on_click=state.set_sliders,
            args=(candidate.recipe, task),
        )


def _file(candidate: Candidate) -> bytes:
    """Return the very file that was measured: its hash is checked before it leaves."""
    artifact = candidate.artifact
    assert artifact is not None  # the button is drawn for made candidates only
    artifact.verify()
    return artifact.path.read_bytes()


def _measure_again(candidate_id: str) -> None:
    try:
        live.watch(loaders.workspace().submit_measure(candidate_id))
    except OptimError as error:
        live.say(str(error))


def _comparison(candidate: Candidate, task: Task) -> dict[str, str]:
    baseline = loaders.baseline(task.name)
    ids = [baseline.id] if baseline else []
    return {state.MODEL: task.name, state.IDS: ",".join([*ids, candidate.id])}
