"""A precision for each layer, chosen by a budget: the least noise for so many bytes or so long."""

from __future__ import annotations

import math

import streamlit as st

from dashboard import loaders
from dashboard.layers.inside import Inside
from dashboard.layers.layer_mix import Mix
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.analysis.allocation import Allocation, Cost
from optim.errors import RefusedError
from optim.recipe import Precision


def panel(found: Inside, mix: Mix[Precision]) -> None:
    """Draw a budget, what it would give, and the button that fills the table with it."""
    if found.sensitivity is None or found.parent is None:
        return
    with st.container(border=True, gap="small", key="budget"):
        st.markdown("**Let a budget choose**", help=what_is("Budget"))
        cost = st.segmented_control(
            "Budget of",
            list(Cost),
            default=Cost.SIZE,
            required=True,
            format_func={Cost.SIZE: "file size", Cost.TIME: "time"}.__getitem__,
            key=state.BUDGET_OF,
            label_visibility="collapsed",
        )
        try:
            found_for = loaders.allocations(found.parent, found.sensitivity, cost)
        except RefusedError as error:
            st.caption(plain(str(error)))
            return
        if len(found_for) < 2:
            st.caption("All precisions cost the same here: there is nothing to choose.")
            return
        place = st.select_slider(
            "At most",
            range(len(found_for)),
            value=len(found_for) // 2,
            format_func=lambda i: price(found_for[i], cost),
            key=f"{state.BUDGET}_{found.candidate.id}_{cost}_{len(found_for)}",
        )
        chosen = found_for[place]
        st.caption(told(chosen))
        st.button(
            "Fill the table",
            key="fill_mix",
            icon=":material/auto_fix_high:",
            on_click=mix.choose,
            args=({**mix.now, **dict(chosen.layers)},),
        )


def price(allocation: Allocation, cost: Cost) -> str:
    """Return the cost of an allocation in words."""
    if cost is Cost.TIME:
        return words.latency(allocation.time_ms)
    return words.size(allocation.size_bytes)


def told(allocation: Allocation) -> str:
    """Return how many layers get which precision, and the noise that is predicted."""
    counts: dict[str, int] = {}
    for _, precision in allocation.layers:
        counts[precision.upper()] = counts.get(precision.upper(), 0) + 1
    layers = ", ".join(f"{count} in {name}" for name, count in sorted(counts.items()))
    parts = [words.size(allocation.size_bytes)]
    if allocation.time_ms is not None:
        parts.append(f"{words.latency(allocation.time_ms)} without conversions")
    parts.append(f"{words.percent(math.sqrt(allocation.noise))} noise in the logits")
    return f"{layers}. Predicted: {', '.join(parts)}."
