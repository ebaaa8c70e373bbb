"""The Pareto plot of a table, for notebooks: accuracy against latency.

The dashboard draws far more from the store; this is the figure that a DataFrame alone can give.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from optim.recipe import Precision
from optim.search.dominance import pareto_front
from optim.words import megabytes, milliseconds, share

COLOURS = {
    Precision.FP32: "#0072B2",
    Precision.FP16: "#56B4E9",
    Precision.INT8: "#E69F00",
    Precision.INT4: "#CC79A7",
}
SYMBOLS = {
    Precision.FP32: "circle",
    Precision.FP16: "square",
    Precision.INT8: "diamond",
    Precision.INT4: "triangle-up",
}

LOG_FROM = 20.0
"""From this ratio of slowest to fastest on, latency is drawn on a logarithmic axis."""


def pareto_figure(table: pd.DataFrame, *, title: str = "") -> go.Figure:
    """Draw measured candidates: latency, accuracy with its 95 % interval, size as marker area.

    Args:
        table: rows as ``sweep`` or ``Workspace.frame`` gives them; rows without figures are
            left out.

    Raises:
        ValueError: if no row is measured.
    """
    measured = table.dropna(subset=["accuracy", "latency_ms", "size_bytes"])
    if measured.empty:
        raise ValueError(
            "the table has no measured candidate. Make some with optim.sweep, or wait for the jobs."
        )
    figure = go.Figure(layout=_layout(title, measured["latency_ms"]))
    figure.add_trace(_staircase(measured))
    for precision in Precision:
        rows = measured[measured["precision"] == precision.value]
        if len(rows):
            figure.add_trace(_points(rows, precision, largest=measured["size_bytes"].max()))
    return figure


def _points(rows: pd.DataFrame, precision: Precision, *, largest: float) -> go.Scatter:
    low, high = rows["accuracy_low"], rows["accuracy_high"]
    fast, slow = rows["latency_p10_ms"], rows["latency_p90_ms"]
    return go.Scatter(
        x=rows["latency_ms"],
        y=100 * rows["accuracy"],
        error_x={
            "array": slow - rows["latency_ms"],
            "arrayminus": rows["latency_ms"] - fast,
            "thickness": 1,
        },
        error_y={
            "array": 100 * (high - rows["accuracy"]),
            "arrayminus": 100 * (rows["accuracy"] - low),
            "thickness": 1,
        },
        mode="markers",
        name=precision.upper(),
        marker={
            "color": COLOURS[precision],
            "symbol": SYMBOLS[precision],
            "size": 8 + 14 * np.sqrt(rows["size_bytes"] / largest),
        },
        customdata=rows["id"],
        text=[_hover(row) for row in rows.to_dict("records")],
        hovertemplate="%{text}<extra></extra>",
    )


def _hover(row: dict[Hashable, Any]) -> str:
    figures = (
        share(float(row["accuracy"])),
        milliseconds(float(row["latency_ms"])),
        megabytes(float(row["size_bytes"])),
    )
    return f"{row['recipe']}<br>{', '.join(figures)}"


def _staircase(measured: pd.DataFrame) -> go.Scatter:
    """Return the front in latency and accuracy: between two points nobody has a better network."""
    costs = np.column_stack([measured["latency_ms"], -measured["accuracy"]]).astype(float)
    front = measured[pareto_front(costs)].sort_values("latency_ms")
    return go.Scatter(
        x=front["latency_ms"],
        y=100 * front["accuracy"],
        mode="lines",
        line={"shape": "hv", "width": 1.5, "color": "#6B7678"},
        name="front",
        hoverinfo="skip",
    )


def _layout(title: str, latency_ms: pd.Series[float]) -> go.Layout:
    """Return axes that hold every point; error bars of an unstable measurement may be cut off."""
    low, high = float(latency_ms.min()), float(latency_ms.max())
    wide = high > LOG_FROM * low
    limits = [math.log10(low / 1.3), math.log10(high * 1.3)] if wide else [0, 1.15 * high]
    return go.Layout(
        title={"text": title},
        xaxis={
            "title": {"text": "Latency p50, ms (lower is better ←)"},
            "type": "log" if wide else "linear",
            "range": limits,
        },
        yaxis={"title": {"text": "Accuracy, % (higher is better ↑)"}},
        template="simple_white",
        legend={"orientation": "h", "y": 1.08},
    )
