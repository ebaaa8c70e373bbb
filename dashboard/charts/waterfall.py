"""Waterfall: accuracy from FP32 down to the file, one bar for each part that is quantized."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import accumulate, pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from dashboard.charts.theme import theme
from optim.task.metric import ACCURACY, Metric
from optim.task.metric_words import value_words
from optim.words import digits

if TYPE_CHECKING:
    from optim.analysis.waterfall import Stage


def waterfall_figure(
    stages: Sequence[Stage],
    *,
    n: int,
    metric: Metric = ACCURACY,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw what is lost or won of the score at each stage, and in all.

    Args:
        stages: FP32 first, the file last.
        n: validation examples.
        metric: what scores them.
    """
    colours = theme(dark)
    steps = [metric.scale * (after.score - before.score) for before, after in pairwise(stages)]
    total = metric.scale * (stages[-1].score - stages[0].score) if stages else 0.0
    names = [stage.name for stage in stages[1:]] + ["in all"]
    lengths = [*steps, total]
    running = list(accumulate(steps, initial=0.0))
    low, high = min(running), max(running)
    span = max(high - low, 100 / max(n, 1) if metric.right_or_wrong else 1e-6)
    among = "" if narrow else f", {n:,} validation"
    figure = go.Figure(
        go.Waterfall(
            x=lengths,
            y=list(range(len(lengths))),
            measure=["relative"] * len(steps) + ["total"],
            orientation="h",
            text=[_change(metric, value, n) for value in lengths],
            textposition="outside",
            cliponaxis=False,
            textfont={"size": 12, "color": colours.text},
            increasing={"marker": {"color": colours.primary}},
            decreasing={"marker": {"color": colours.limit}},
            totals={"marker": {"color": colours.muted}},
            connector={"line": {"color": colours.guide, "width": 1}},
            customdata=[_hover(metric, stage, n) for stage in stages[1:]]
            + ["from FP32 to the file"],
            hovertemplate="%{customdata}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_layout(
        template=colours.template,
        uirevision="waterfall",
        height=92 + 34 * len(lengths),
        margin={"l": 8, "r": 8, "t": 8, "b": 44},
        dragmode=False,
        xaxis={
            "title": {"text": f"{_unit(metric)} against FP32{among}"},
            "range": [low - 0.35 * span, high + 0.35 * span],
            "fixedrange": True,
            "zeroline": True,
            "zerolinecolor": colours.guide,
        },
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": ["<br>".join(wrap(escape(name), 18 if narrow else 26)) for name in names],
            "range": [len(names) - 0.4, -0.6],
            "fixedrange": True,
            "showgrid": False,
        },
    )
    return figure


def waterfall_alt(stages: Sequence[Stage], *, n: int, metric: Metric = ACCURACY) -> str:
    """Return the chart in sentences, with its numbers."""
    if not stages:
        return "An empty chart: it is not known where the accuracy went."
    steps = [
        f"{after.name}: {_change(metric, metric.scale * (after.score - before.score), n)} "
        f"{metric.step}".rstrip()
        for before, after in pairwise(stages)
    ]
    first, last = (value_words(metric, stage.score, n) for stage in (stages[0], stages[-1]))
    told = "; ".join(steps)
    return f"From {first} in FP32 to {last} on {n:,} validation examples. {told}."


def _unit(metric: Metric) -> str:
    return metric.step.capitalize() if metric.right_or_wrong else metric.step or metric.title


def _change(metric: Metric, value: float, n: int) -> str:
    """Return a signed change in shown units, of a share fine enough to show one answer of n."""
    if metric.right_or_wrong:
        text = f"{value:+.{max(0, math.ceil(math.log10(max(n, 1) / 100)))}f}"
    else:
        text = f"{'+' if value > 0 else ''}{digits(value)}"
    return "0" if float(text.replace(",", "")) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _hover(metric: Metric, stage: Stage, n: int) -> str:
    noise = "" if stage.sqnr_db is None else f"<br>{stage.sqnr_db:.1f} dB signal to noise"
    return f"<b>{escape(stage.name)}</b><br>{value_words(metric, stage.score, n)}{noise}"
