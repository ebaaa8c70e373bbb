"""Width of the browser's window: a chart for a phone has fewer words beside each other."""

from __future__ import annotations

import streamlit as st

from dashboard.state import keys as state

NARROW_PX = 640

SCRIPT = f"""
export default function({{ setStateValue, data }}) {{
  let told = data.narrow;
  const look = () => {{
    const narrow = window.innerWidth < {NARROW_PX};
    if (narrow !== told) {{
      told = narrow;
      setStateValue("narrow", narrow);
    }}
  }};
  look();
  window.addEventListener("resize", look);
  return () => window.removeEventListener("resize", look);
}}
"""


def watch() -> None:
    """Have the page drawn anew when its window becomes narrow or wide; takes no room."""
    component = st.components.v2.component("edge_optim_viewport", js=SCRIPT)
    component(
        key=state.VIEWPORT,
        data={"narrow": state.is_narrow()},
        default={"narrow": state.is_narrow()},
        on_narrow_change=_changed,
        height=1,
    )


def _changed() -> None:
    """Do nothing: streamlit keeps the value of a widget that has a callback."""
