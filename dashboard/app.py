"""The dashboard's frame: navigation and the model picker. Nothing is computed here.

Started by ``dashboard.launch``: `edge-optim dashboard`.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import loaders, state
from dashboard.markup import plain
from optim.errors import OptimError

EXPLORE, COMPARE, JOBS = state.EXPLORE, state.COMPARE, state.JOBS
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
    page = st.navigation(
        {
            "Choose": [
                st.Page(EXPLORE, title="Explore", icon=":material/scatter_plot:", default=True),
                st.Page(COMPARE, title="Compare", icon=":material/compare_arrows:"),
            ],
            "Set up": [st.Page(JOBS, title="Jobs", icon=":material/list_alt:")],
        }
    )
    try:
        _pick_model()
        page.run()
    except OptimError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _pick_model() -> None:
    """The model picker in the sidebar; the link decides where it opens."""
    titles = loaders.task_titles()
    if not titles:
        raise OptimError(
            "no sample model has its weights. Restore sample_models, for example with "
            "`git checkout sample_models`."
        )
    if state.MODEL_BOX not in st.session_state:
        st.session_state[state.MODEL_BOX] = state.model_from_url(titles) or next(iter(titles))
    st.sidebar.selectbox(
        "Model",
        list(titles),
        format_func=lambda name: titles[name],
        key=state.MODEL_BOX,
        on_change=state.forget_choices,
    )
    state.keep_model_in_url()
    st.sidebar.caption(f"Measured on {plain(loaders.environment().cpu)}")


main()
