"""The table of layers in which a precision can be chosen for each, and the mix measured.

A mix gives each layer something; here it is a precision, in ``channel_mix`` a share of channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pandas as pd
import streamlit as st

from dashboard import live, loaders
from dashboard.form import recipe_popover
from dashboard.layers.inside import Inside
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.analysis.layer_rows import LayerRow
from optim.candidate import Candidate
from optim.errors import OptimError
from optim.recipe import INTEGER_PRECISIONS, Precision, Recipe
from optim.recipe.edit import with_precisions
from optim.task.task import Task

CHOICES = (Precision.FP32, *INTEGER_PRECISIONS)
CHOSEN = "Precision"
MOST_ROWS, TABLE_PX = 14, 500
"""A longer table scrolls."""

V = TypeVar("V")
"""What each layer is given."""
Choice = dict[str, Precision]
"""The precision of every layer."""


@dataclass
class Mix(Generic[V]):
    """This session's choice for one candidate; it lives in the session state.

    Attributes:
        history: every choice so far, the candidate's own first.
        drawn_with: what each table was drawn with, by the key of its widget: its edits are
            counted from there.
        tables: how many were drawn; a new one forgets the edits of the one before.
    """

    history: list[dict[str, V]]
    drawn_with: dict[str, dict[str, V]] = field(default_factory=dict)
    tables: int = 0

    @property
    def now(self) -> dict[str, V]:
        """The present choice."""
        return self.history[-1]

    def choose(self, choice: dict[str, V]) -> None:
        """Make a choice outside the table."""
        self.history.append(choice)
        self.tables += 1

    def undo(self) -> None:
        """Take the last choice back."""
        if len(self.history) > 1:
            self.history.pop()
        self.tables += 1

    def reset(self) -> None:
        """Go back to the candidate as it is."""
        del self.history[1:]
        self.tables += 1


def mix_of(candidate: Candidate, rows: Sequence[LayerRow]) -> Mix[Precision]:
    """Return this session's mix of a candidate; begun anew if its layers have changed."""
    mixes: dict[str, Mix[Precision]] = st.session_state.setdefault(state.MIXES, {})
    own = {row.layer: row.precision for row in rows}
    known = mixes.get(candidate.id)
    if known is None or known.history[0] != own:
        known = mixes[candidate.id] = Mix(history=[own])
    return known


def panel(task: Task, found: Inside, rows: Sequence[LayerRow]) -> None:
    """Draw the table, what the mix would change, and the buttons."""
    mix = mix_of(found.candidate, rows)
    _table(found.candidate, rows, mix)
    recipe = with_precisions(found.candidate.recipe, mix.now)
    changed = {name: p for name, p in mix.now.items() if p != mix.history[0][name]}
    if not changed:
        st.caption("Choose another precision for a layer in the table, and measure the mix.")
        return
    outcome(
        task,
        found.candidate,
        recipe,
        mix,
        name="mix",
        told=_changes(changed),
        foreseen=_foreseen(found, changed),
    )


def outcome(
    task: Task,
    current: Candidate,
    recipe: Recipe,
    mix: Mix[V],
    *,
    name: str,
    what: str = "mix",
    told: str,
    foreseen: str,
) -> None:
    """Draw the choice, what is known of it, and the buttons that measure it or take it back.

    Args:
        current: the candidate that the mix was made from.
        name: of the mix, in the keys of its widgets; ``what``: the word for it on the page.
        told: what differs from the candidate; ``foreseen``: what that will probably give.
    """
    with st.container(border=True, key=name):
        st.markdown(f"**Your {what}:** {plain(told)}.")
        known = loaders.candidate_of(task.name, recipe)
        if known is not None and known.measured:
            _measured_already(known, current, name)
        elif known is not None and known.refusal is not None:
            st.warning(plain(str(known.refusal)), icon=":material/block:")
        else:
            st.caption(plain(foreseen))
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            if known is None or not (known.measured or known.refusal is not None):
                st.button(
                    f"Measure this {what}",
                    key=f"measure_{name}",
                    type="primary",
                    icon=":material/timer:",
                    on_click=measure,
                    args=(task.name, recipe, current.id),
                )
            st.button(
                "Undo", key=f"undo_{name}", type="tertiary", icon=":material/undo:",
                on_click=mix.undo,
            )  # fmt: skip
            st.button(
                "Reset", key=f"reset_{name}", type="tertiary", icon=":material/restart_alt:",
                on_click=mix.reset,
            )  # fmt: skip
            recipe_popover.popover(task, recipe)


def measure(task: str, recipe: Recipe, mixed_from: str) -> None:
    """Ask for a recipe that was made on this page; its candidate is shown here when it is done."""
    st.session_state[state.MIXED_FROM] = mixed_from
    known = loaders.candidate_of(task, recipe)
    if known is not None and known.measured:
        state.select(known.id)
        return
    try:
        live.watch(loaders.workspace().submit(task, recipe))
    except OptimError as error:
        live.say(str(error))


def difference(candidate: Candidate, other: Candidate) -> str:
    """Return the difference between two measured candidates in words."""
    parts = []
    if candidate.score and other.score:
        change = candidate.score.value - other.score.value
        parts.append(words.lost(change, n=candidate.score.n))
    if candidate.latency and other.latency:
        parts.append(words.faster(candidate.latency.speedup / other.latency.speedup))
    if candidate.artifact and other.artifact:
        parts.append(bytes_change(candidate.artifact.size_bytes - other.artifact.size_bytes))
    return ", ".join(parts)


def bytes_change(difference_bytes: float) -> str:
    """Return how much larger or smaller a file becomes.

    >>> bytes_change(12_000), bytes_change(-1_500_000), bytes_change(0)
    ('12 KB larger', '1.5 MB smaller', 'as large')
    """
    if difference_bytes == 0:
        return "as large"
    more = "larger" if difference_bytes > 0 else "smaller"
    return f"{words.size(abs(difference_bytes))} {more}"


def _table(candidate: Candidate, rows: Sequence[LayerRow], mix: Mix[Precision]) -> None:
    key = f"mix_{candidate.id}_{loaders.workspace().version()}_{mix.tables}"
    base = mix.drawn_with.setdefault(key, dict(mix.now))
    layers = [row.layer for row in rows]

    def edited() -> None:
        cells = st.session_state[key]["edited_rows"]
        edits = {layers[i]: row[CHOSEN] for i, row in cells.items() if CHOSEN in row}
        mix.history.append({**base, **{name: Precision(p.lower()) for name, p in edits.items()}})

    st.data_editor(
        table_of(rows, base),
        key=key,
        hide_index=True,
        height="content" if len(rows) <= MOST_ROWS else TABLE_PX,
        disabled=[name for name in COLUMNS if name != CHOSEN],
        column_config=COLUMNS,
        on_change=edited,
    )


def table_of(rows: Sequence[LayerRow], choice: Choice) -> pd.DataFrame:
    """Return the layers with their figures as numbers, so that they can be sorted."""
    return pd.DataFrame(
        {
            "Layer": [row.layer for row in rows],
            CHOSEN: [choice[row.layer].upper() for row in rows],
            "Time": [_micro(row.time_ms) for row in rows],
            "Before": [_micro(row.float_time_ms) for row in rows],
            "Weights": [_kilo(row.size_bytes) for row in rows],
            "Noise": [None if row.noise is None else 100 * row.noise for row in rows],
            "Lost": [None if row.score_drop is None else 100 * row.score_drop for row in rows],
            "Operator": [row.operator for row in rows],
            "Kernel": [row.kernel for row in rows],
            "Reason": [row.reason for row in rows],
        }
    )


def _micro(ms: float | None) -> float | None:
    return None if ms is None else 1000 * ms


def _kilo(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / 1000


def _changes(changed: Choice) -> str:
    groups: dict[Precision, list[str]] = {}
    for name, precision in changed.items():
        groups.setdefault(precision, []).append(name)
    return "; ".join(f"{', '.join(names)} in {p.upper()}" for p, names in groups.items())


def _foreseen(found: Inside, changed: Choice) -> str:
    """Return what the sensitivities predict for the mix before it is measured."""
    told = (
        {(row.layer, row.precision): row for row in found.sensitivity.rows}
        if (found.sensitivity)
        else {}
    )
    before = {row.layer: row.precision for row in found.rows()}
    pairs = [(told.get((name, before[name])), told.get((name, p))) for name, p in changed.items()]
    if any(one is None or other is None for one, other in pairs):
        return "What it will give is not known before it is measured."
    grown = sum(b.size_bytes - a.size_bytes for a, b in pairs if a and b)
    parts = [bytes_change(grown)]
    times = [(a.time_ms, b.time_ms) for a, b in pairs if a and b]
    known = [(a, b) for a, b in times if a is not None and b is not None]
    if len(known) == len(times):
        change = sum(b - a for a, b in known)
        slower = "slower" if change > 0 else "faster"
        parts.append(f"{words.latency(abs(change))} {slower}" if change else "as fast")
    return f"Predicted from the layers: {', '.join(parts)}. Accuracy is known when it is measured."


def _measured_already(known: Candidate, current: Candidate, name: str) -> None:
    st.badge("measured already", icon=":material/check_circle:", color="green")
    st.markdown(f"Against {plain(current.words())}: {difference(known, current)}.")
    st.button(
        "Show it",
        key=f"show_{name}",
        icon=":material/my_location:",
        on_click=state.select,
        args=(known.id,),
    )


_number = st.column_config.NumberColumn
_text = st.column_config.TextColumn
COLUMNS = {
    "Layer": _text("Layer", width="medium", pinned=True),
    CHOSEN: st.column_config.SelectboxColumn(
        CHOSEN,
        options=[choice.upper() for choice in CHOICES],
        required=True,
        width=110,
        help=what_is("Precision"),
    ),
    "Time": _number("Time, µs", format="%.1f", help="Of this layer in the candidate."),
    "Before": _number("In FP32, µs", format="%.1f", help="Of this layer in the float parent."),
    "Weights": _number("Weights, KB", format="%.1f"),
    "Noise": _number("Noise, %", format="%.2f", help=what_is("Noise")),
    "Lost": _number("Points lost", format="%.2f", help=what_is("Sensitivity")),
    "Operator": _text("Operator", width="small"),
    "Kernel": _text("Runs as"),
    "Reason": _text("Why in float", width="medium"),
}
