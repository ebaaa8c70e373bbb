"""The dashboard's frame: navigation, the model picker, what is measured on. It computes nothing.

Started by ``dashboard.launch``: `edge-optim dashboard`.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import streamlit as st

from dashboard import loaders, viewport
from dashboard.pages import PAGES
from dashboard.state import keys as state
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.devices.target import thread_choices
from optim.engines import ENGINES, engine_title
from optim.errors import OptimError

STATIC = Path(__file__).resolve().parent / "static"
SIDEBAR_PX = 240


def main() -> None:
    """Draw the frame and the current page; what goes wrong in the world is one sentence."""
    st.set_page_config(
        page_title="Edge Optimizer",
        page_icon=str(STATIC / "icon.svg"),
        layout="wide",
        initial_sidebar_state=SIDEBAR_PX,
        menu_items={"About": "Edge Optimizer: measured Pareto plots for small, fast networks."},
    )
    st.logo(str(STATIC / "logo.svg"), size="large", icon_image=str(STATIC / "icon.svg"))
    st.html(STATIC / "page.css")
    pages = [st.Page(each.path, title=each.title, default=each is PAGES[0]) for each in PAGES]
    page = st.navigation(pages, position="hidden")
    try:
        titles = _titles()
        _open_model(titles)
        state.open_target()
        state.keep_target_in_url()
        with st.sidebar:
            _navigation()
            _model_picker(titles)
            _measured_on()
            if unread := loaders.unread(state.model()):
                st.warning(plain(unread), icon=":material/update:")
        page.run()
        viewport.watch()
    except OptimError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _titles() -> dict[str, str]:
    titles = loaders.task_titles()
    if not titles:
        raise OptimError(
            "no sample model has its weights. Restore sample_models, for example with "
            "`git checkout sample_models`."
        )
    return titles


def _open_model(titles: dict[str, str]) -> None:
    """Choose the model of a new session: the link decides."""
    if (brought := st.session_state.pop(state.NEXT_MODEL, None)) in titles:
        st.session_state[state.MODEL_BOX] = brought
        state.forget_choices()
    if state.MODEL_BOX not in st.session_state:
        st.session_state[state.MODEL_BOX] = state.model_from_url(titles) or next(iter(titles))
    state.keep_model_in_url()


def _navigation() -> None:
    """Draw links that take the model with them, in groups.

    Streamlit's own grouped navigation puts a ``div`` between list and items, which a screen reader
    cannot count, and it drops the model from the address.
    """
    for group, pages in groupby(PAGES, key=lambda each: each.group):
        with st.container(gap="xxsmall", key=f"group_{group.lower().replace(' ', '_')}"):
            st.caption(group)
            for each in pages:
                st.page_link(
                    each.path,
                    icon=each.icon,
                    width="stretch",
                    query_params={state.MODEL: state.model(), **state.target_in_url()},
                )


def _model_picker(titles: dict[str, str]) -> None:
    st.divider()
    st.selectbox(
        "Model",
        list(titles),
        format_func=lambda name: titles[name],
        key=state.MODEL_BOX,
        on_change=state.forget_choices,
    )


def _measured_on() -> None:
    """Draw where latency is measured, for every page: the machine, the engine and its threads."""
    engine = "" if len(ENGINES) > 1 else f", {engine_title(state.target().engine)}"
    st.caption(plain(f"Measured on {loaders.environment().cpu}{engine}"))
    if note := st.session_state.get(state.TARGET_NOTE):
        st.warning(plain(note), icon=":material/warning:")
    if len(ENGINES) > 1:
        st.selectbox(
            "Engine",
            list(ENGINES),
            format_func=engine_title,
            key=state.ENGINE_BOX,
            on_change=state.forget_target_note,
        )
    choices = sorted({*thread_choices(), state.target().threads})
    if len(choices) > 1:
        st.segmented_control(
            "Threads",
            [str(threads) for threads in choices],
            required=True,
            format_func=lambda text: f"{text} (all)" if int(text) == choices[-1] else text,
            key=state.THREADS_BOX,
            on_change=state.forget_target_note,
            width="stretch",
            help=what_is("Threads"),
        )


main()
