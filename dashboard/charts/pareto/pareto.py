"""The Pareto plot: accuracy against latency or size.

Role by symbol and method by colour, with the method's own symbol on top, so that nothing hangs on
colour alone. Layers from the bottom: shades, staircase, beaten points, the front, controls, the
original, and the hollow points that are only predicted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from dashboard.charts.axes import DEEPEST, XAxis, stored_x, x_axis, y_axis
from dashboard.charts.pareto.decoration import (
    Text,
    add_good_corner,
    add_guides,
    add_hypervolume,
    add_iso_lines,
    add_labels,
    add_limits,
    obstacles_of,
)
from dashboard.charts.pareto.frame import NARROW, WIDE, Layout, View
from dashboard.charts.pareto.legend import add_legend
from dashboard.charts.pareto.points import staircase_of
from dashboard.charts.pareto.sentences import as_front
from dashboard.charts.pareto.traces import (
    Pending,
    add_heart,
    add_hollow,
    add_points,
    add_ring,
    add_staircase,
)
from dashboard.charts.sheet import Sheet
from dashboard.charts.theme import theme
from dashboard.words import words
from optim.candidate import Candidate
from optim.search.hypervolume import reference_of
from optim.search.pareto import Front, Limits, ranked_front
from optim.search.predict import Prediction
from optim.task.metric_words import value_words


def pareto_figure(
    front: Front | Sequence[Candidate],
    *,
    x: XAxis = "latency",
    limits: Limits | None = None,
    prediction: Prediction | None = None,
    pending: Sequence[Pending] = (),
    selected: str | None = None,
    recommended: str | None = None,
    show_dominated: bool = True,
    log_x: bool | None = None,
    iso_lines: bool = False,
    show_hypervolume: bool = False,
    narrow: bool = False,
    dark: bool = False,
    height: int | None = None,
) -> go.Figure:
    """Draw a front: accuracy upwards, latency or size to the right.

    ``customdata[0]`` of every point is its candidate's id; empty for the sliders' predicted point.

    Args:
        front: as ranked by ``ranked_front``; plain candidates are ranked in all three objectives.
        x: what the horizontal axis shows.
        limits: drawn and shaded; the front's own if left out.
        prediction: the predicted point of the sliders, with its doubt as a box.
        pending: candidates in the queue or failed, hollow too.
        selected, recommended: ids to ring.
        show_dominated: False hides what is clearly beaten.
        log_x: None takes a logarithmic axis if the largest value is above 20 times the smallest.
        iso_lines: lines at 1, 2 and 4 times the original's speed (or smallness).
        show_hypervolume: fill the area up to the reference point, and show that point.
        narrow: for phones.
        height: of the whole chart in pixels, if the page fixes it; None takes what suits.
    """
    ranked = as_front(front) if limits is None else _reranked(front, limits)
    guesses = [*([prediction] if prediction else []), *(p.prediction for p in pending)]
    view = _view(
        ranked,
        x,
        guesses,
        log_x=log_x,
        show_dominated=show_dominated,
        show_reference=show_hypervolume,
        layout=NARROW if narrow else WIDE,
        dark=dark,
    )
    sheet, legend = Sheet(), Sheet()
    add_legend(legend, view, _drawn(ranked, show_dominated), pending=bool(pending))
    rows = _legend_rows(legend, view)
    if height is not None:
        view = replace(view, layout=view.layout.fitted(height, rows))
    texts = add_limits(sheet, view, ranked.limits)
    add_guides(sheet, view)
    if iso_lines:
        add_iso_lines(sheet, view)
    if show_hypervolume:
        texts += add_hypervolume(sheet, view)
    add_staircase(sheet, view)
    add_points(sheet, view, show_dominated)
    add_hollow(sheet, view, prediction, pending)
    add_ring(sheet, view, selected, view.theme.text, 1.5)
    add_ring(sheet, view, recommended, view.theme.primary, 2.5)
    own = _own_texts(view, prediction, recommended)
    texts = own[:1] + texts + own[1:]
    add_labels(sheet, view, texts, obstacles_of(sheet, view))
    add_good_corner(sheet, view)
    _add_deeper_note(sheet, view)
    add_heart(sheet)
    sheet.traces += legend.traces
    return sheet.figure(_layout(view, rows))


def _reranked(front: Front | Sequence[Candidate], limits: Limits) -> Front:
    if not isinstance(front, Front):
        return ranked_front(front, as_front(()).objectives, limits)
    if front.limits == limits:
        return front
    return ranked_front((*front.measured, *front.unmeasured), front.objectives, limits)


def _drawn(front: Front, show_dominated: bool) -> tuple[Candidate, ...]:
    beaten = front.dominated if show_dominated else ()
    return front.members + front.tied + beaten + front.out_of_limits


def _view(
    front: Front,
    x: XAxis,
    guesses: Sequence[Prediction],
    *,
    log_x: bool | None,
    show_dominated: bool,
    show_reference: bool,
    layout: Layout,
    dark: bool,
) -> View:
    """Return axes that hold every drawn point, limit, prediction and, if asked, the reference."""
    drawn, narrow = _drawn(front, show_dominated), layout is NARROW
    also_x = [g.latency_ms if x == "latency" else g.size_bytes for g in guesses]
    also_y: list[float] = []
    base = front.baseline if front.baseline is not None and front.baseline.measured else None
    most = front.limits.max_latency_ms if x == "latency" else front.limits.max_size_bytes
    if most:
        also_x.append(most)
    if base is not None and base.score is not None:
        if front.limits.max_score_drop is not None:
            most_drop = DEEPEST / 100 if base.score.moments is None else math.inf
            also_y.append(base.score.worse_by(min(front.limits.max_score_drop, most_drop)))
        if show_reference:
            reference = reference_of(base)
            also_x.append(reference.latency_ms if x == "latency" else reference.size_bytes)
            also_y.append(reference.score)
    shares = [c.score.value for c in drawn if c.score]
    ends = [end for c in front.members[:60] if c.score for end in c.score.interval]
    examples = {c.score.n for c in drawn if c.score}
    return View(
        front=front,
        kind=x,
        x=x_axis(x, [stored_x(c, x) for c in drawn], log=log_x, also=also_x, narrow=narrow),
        y=y_axis(
            words.metric_of(front.measured),
            [*shares, *ends, *(g.score for g in guesses)],
            baseline=base.score.value if base is not None and base.score else None,
            n=examples.pop() if len(examples) == 1 and not narrow else None,
            also=also_y,
        ),
        theme=theme(dark),
        layout=layout,
        staircase=staircase_of(front, x),
        narrow=narrow,
    )


def _own_texts(view: View, prediction: Prediction | None, recommended: str | None) -> list[Text]:
    """Return labels of the original, the recommended and the predicted point."""
    texts = []
    base, choice = view.front.baseline, view.front.find(recommended)
    if base is not None and base.measured and base.score is not None:
        same = choice is not None and choice.id == base.id
        x, y = stored_x(base, view.kind) * view.x.scale, base.score.value * view.y.scale
        name = ("original (FP32)", "recommended") if same else ("original (FP32)",)
        texts.append(Text(x=x, y=y, lines=name, colour=view.theme.text))
    if choice is not None and choice is not base and choice.score is not None:
        change = words.versus_baseline(choice, base).split(", ")
        lines = tuple(change) if view.narrow else (", ".join(change[:2]), *change[2:])
        texts.append(
            Text(
                x=stored_x(choice, view.kind) * view.x.scale,
                y=choice.score.value * view.y.scale,
                lines=("recommended", *lines),
                colour=view.theme.primary,
                bold_first=True,
            )
        )
    if prediction is not None:
        guess = prediction.latency_ms if view.kind == "latency" else prediction.size_bytes
        y = prediction.score * view.y.scale
        far = f"{y:.0f} {view.metric.unit}".rstrip()
        told = "(predicted)" if view.holds(y) else f"(predicted: {far}, far below)"
        texts.append(
            Text(
                x=guess * view.x.scale,
                y=view.inside(y),
                lines=("your sliders", told) if view.narrow else (f"your sliders {told}",),
                colour=view.theme.predicted,
            )
        )
    return texts


def _add_deeper_note(sheet: Sheet, view: View) -> None:
    """Say how many points lie below the view, instead of squeezing everything else."""
    deeper = [
        c.score
        for c in view.front.measured
        if c.score and not view.holds(c.score.value * view.y.scale)
    ]
    if not deeper:
        return
    deepest = max(deeper, key=lambda score: score.cost)
    sheet.annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=0,
        yref="paper",
        yanchor="bottom",
        text=f"▼ {len(deeper)} more below, down to {value_words(view.metric, deepest.value, 500)}",
        showarrow=False,
        font={"size": 11, "color": view.theme.muted},
        bgcolor=view.theme.background,
    )


def _legend_rows(sheet: Sheet, view: View) -> int:
    """Return how many rows the legend will take: one if its entries fit, else equal columns."""
    widths = [6.6 * len(name) + 46 for name in sheet.legend_names]
    whole = view.layout.left + view.layout.width + view.layout.right
    if sum(widths) <= whole or not widths:
        return min(1, len(widths))
    columns = max(1, int(whole // max(widths)))
    return math.ceil(len(widths) / columns)


def _layout(view: View, legend_rows: int) -> dict[str, Any]:
    return {
        "template": view.theme.template,
        "uirevision": f"pareto-{view.kind}",
        "height": view.layout.total_height(legend_rows),
        "margin": view.layout.margin(legend_rows),
        "hovermode": "closest",
        "dragmode": False if view.narrow else "pan",  # a finger scrolls the page
        "clickmode": "event+select",
        "legend": {
            "yref": "container",
            "y": 0.0,
            "yanchor": "bottom",
            "xref": "container",
            "x": 0.5,
            "xanchor": "center",
            "itemwidth": 30,
        },
        "xaxis": {
            **view.x.layout(),
            "automargin": False,
            "showgrid": False,
            "showline": True,
            "ticks": "outside",
        },
        "yaxis": {**view.y.layout(), "automargin": False},
    }
