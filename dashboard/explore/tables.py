"""Candidates as a table: the plot for who does not use a mouse, and for sorting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import loaders
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.glossary import what_is
from dashboard.words.markup import plain
from optim.candidate import Candidate
from optim.search.pareto import Front
from optim.task.metric import Metric


def candidate_table(
    front: Front, *, baseline: Candidate | None, key: str, height: int = 360
) -> None:
    """Draw every measured candidate; the chosen row's card is opened."""
    rows = front.measured + front.unmeasured
    if not rows:
        st.caption("No candidate is measured yet.")
        return
    ids = [row.id for row in rows]
    task = rows[0].task
    name = f"{key}_{task}_{loaders.workspace().version()}_{len(rows)}"

    def select() -> None:
        chosen = st.session_state[name].selection.rows
        if chosen:
            state.select(ids[chosen[0]])

    chosen = state.selected()
    st.dataframe(
        table_of(rows, front, baseline),
        key=name,
        height=min(height, 38 + 35 * len(rows)),
        hide_index=True,
        on_select=select,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [ids.index(chosen)]}} if chosen in ids else None,
        column_config=columns(words.metric_of(rows)),
        alt="The candidates of the plot as a table; choose a row to open its card.",
    )


def table_of(rows: Sequence[Candidate], front: Front, baseline: Candidate | None) -> pd.DataFrame:
    """Return the figures of candidates, numbers as numbers so that they can be sorted."""
    standing = {
        **{c.id: "on the front" for c in front.members},
        **{c.id: "tied with the front" for c in front.tied},
        **{c.id: "dominated" for c in front.dominated},
        **{c.id: "out of limits" for c in front.out_of_limits},
    }
    metric = words.metric_of(rows)
    base_bytes = baseline.artifact.size_bytes if baseline and baseline.artifact else None
    return pd.DataFrame(
        {
            "Candidate": [c.words() for c in rows],
            "Accuracy": [metric.scale * c.score.value if c.score else None for c in rows],
            "Points": [metric.scale * c.score.difference if c.score else None for c in rows],
            "Latency": [c.latency.p50_ms if c.latency else None for c in rows],
            "Faster": [c.latency.speedup if c.latency else None for c in rows],
            "Size": [c.artifact.size_bytes / 1e6 if c.artifact else None for c in rows],
            "Smaller": [
                base_bytes / c.artifact.size_bytes if c.artifact and base_bytes else None
                for c in rows
            ],
            "Standing": [standing.get(c.id, "not measured") for c in rows],
            "Figures": [words.provenance(c) for c in rows],
            "Id": [c.id for c in rows],
        }
    )


def metrics_table(chosen: list[Candidate]) -> dict[str, list[str]]:
    """Return one column of figures per candidate, in words."""
    rows = (
        words.metric_of(chosen).title, "Against the original", "Changed answers", "Latency, p50",
        "Speed-up",
        "File", "Compressed", "Parameters", "Left in float", "Figures",
    )  # fmt: skip
    table = {"": list(rows)}
    for c in chosen:
        table[plain(_name(c, table))] = [
            f"{words.score(c.score)}: {words.score_interval(c.score)}",
            words.score_change(c.score),
            words.changed_answers(c.score),
            words.latency(c.latency.p50_ms if c.latency else None),
            words.speedup_interval(c.latency),
            words.size(c.artifact.size_bytes if c.artifact else None),
            words.size(c.artifact.compressed_bytes if c.artifact else None),
            words.count(c.facts.parameters if c.facts else None),
            words.float_operators(c.facts),
            words.provenance(c),
        ]
    return table


def _name(candidate: Candidate, taken: dict[str, list[str]]) -> str:
    name = candidate.words()
    return name if plain(name) not in taken else f"{name} ({candidate.id})"


_number = st.column_config.NumberColumn
_COLUMNS = {
    "Candidate": st.column_config.TextColumn("Candidate", width="medium"),
    "Latency": _number("Latency, ms", format="%.3g", help=what_is("Latency")),
    "Faster": _number("Faster", format="%.3gx", help=what_is("Speed-up")),
    "Size": _number("Size, MB", format="%.3g", help=what_is("File size")),
    "Smaller": _number("Smaller", format="%.3gx"),
    "Standing": st.column_config.TextColumn("Standing", help=what_is("Pareto front")),
    "Figures": st.column_config.TextColumn("Figures", help=what_is("Recorded")),
    "Id": st.column_config.TextColumn("Id", width="small"),
}


def columns(metric: Metric) -> dict[str, Any]:
    """Return how columns are shown; the score has the metric's own name and unit."""
    digits = "%.2f" if metric.right_or_wrong else "%.3g"
    title = f"{metric.title}, {metric.unit}" if metric.unit else metric.title
    return {
        **_COLUMNS,
        "Accuracy": _number(title, format=digits, help=what_is(metric.title)),
        "Points": _number(
            metric.step.capitalize() if metric.right_or_wrong else "Change",
            format=digits.replace("%", "%+"),
            help=what_is("Points"),
        ),
    }
