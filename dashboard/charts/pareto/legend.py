"""The legend of a Pareto plot: one short entry for each thing that is really drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dashboard.charts.pareto.frame import View
from dashboard.charts.pareto.points import third
from dashboard.charts.sheet import Sheet
from dashboard.charts.theme import METHOD_SYMBOLS
from dashboard.words.words import method
from optim.candidate import Candidate, Role

SHORT = {
    "fused": "fused",
    "quantized": "quantized",
    "pruned": "pruned",
    "pruned + quantized": "both",
    "small net from scratch": "from scratch",
    "other activations": "activations",
    "student": "student",
    "sparse": "sparse",
}


def add_legend(
    sheet: Sheet,
    view: View,
    drawn: Iterable[Candidate],
    *,
    pending: bool,
) -> None:
    """Draw traces without points that only stand in the legend."""
    theme = view.theme
    drawn = tuple(drawn)
    if len(view.staircase) > 1:
        _entry(sheet, "front", mode="lines", line={"color": theme.primary, "width": 2.5})
    present = {method(c.recipe) for c in drawn if c.role is not Role.BASELINE}
    for name, short in SHORT.items():
        if name in present:
            marker = {
                "symbol": METHOD_SYMBOLS[name],
                "color": theme.methods[name],
                "size": 11,
                "line": {"width": 2 if name == "small net from scratch" else 0},
            }
            _entry(sheet, short, mode="markers", marker=marker)
    if view.front.out_of_limits:
        marker = {"symbol": "x", "color": theme.muted, "size": 9, "opacity": 0.6}
        _entry(sheet, "off limits", mode="markers", marker=marker)
    if pending:
        marker = {"symbol": "hourglass-open", "color": theme.predicted, "size": 11}
        _entry(sheet, "in the queue", mode="markers", marker=marker)
    if len(drawn) > 1:
        larger = "larger file" if third(view.kind) == "size" else "slower"
        marker = {
            "symbol": "circle",
            "color": theme.guide,
            "size": 13,
            "line": {"width": 0},
        }
        _entry(sheet, f"bigger = {larger}", mode="markers", marker=marker)


def _entry(sheet: Sheet, name: str, **style: Any) -> None:
    sheet.scatter(x=[None], y=[None], name=name, hoverinfo="skip", showlegend=True, **style)
