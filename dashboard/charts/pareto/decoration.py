"""Decoration of a Pareto plot: limits, guides, iso-lines, hypervolume, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from dashboard.charts.axes import objective_of, stored_x
from dashboard.charts.pareto.frame import View
from dashboard.charts.pareto.labels import Along, Box, Label, around, place, segment
from dashboard.charts.sheet import Sheet
from dashboard.words import words
from optim.search.hypervolume import reference_of, scaled_hypervolume
from optim.search.pareto import Limits, Objective
from optim.search.predict import Prediction
from optim.task.metric import Metric
from optim.task.metric_words import drop_words

BEYOND = 1e4
"""A factor far outside every view: shades reach on when a user zooms out."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A label to be placed: where it belongs, what it says, in which colour."""

    x: float
    y: float
    lines: tuple[str, ...]
    colour: str
    bold_first: bool = False
    along: Along | None = None


def add_guides(sheet: Sheet, view: View) -> None:
    """Draw dashed lines through the original, to all sides."""
    spot = _baseline_spot(view)
    if spot is None:
        return
    line = {"color": view.theme.guide, "width": 1, "dash": "dot"}
    sheet.shape(
        type="line", xref="paper", x0=0, x1=1, y0=spot[1], y1=spot[1], line=line, layer="below"
    )
    sheet.shape(
        type="line", yref="paper", y0=0, y1=1, x0=spot[0], x1=spot[0], line=line, layer="below"
    )


def add_limits(sheet: Sheet, view: View, limits: Limits) -> list[Text]:
    """Draw lines at the limits in view, their far side shaded; return the labels they need."""
    theme = view.theme
    line = {"color": theme.limit, "width": 1.5, "dash": "dash"}
    shade = {"fillcolor": theme.forbidden, "line": {"width": 0}, "layer": "below"}
    texts = []
    base = view.front.baseline
    if limits.max_score_drop is not None and base is not None and base.score is not None:
        y = view.y.scale * base.score.worse_by(limits.max_score_drop)
        sheet.shape(type="rect", xref="paper", x0=0, x1=1, y0=_beyond(view, y), y1=y, **shade)
        sheet.shape(type="line", xref="paper", x0=0, x1=1, y0=y, y1=y, line=line)
        lost = _limit_words(view.metric, limits.max_score_drop)
        texts.append(
            Text(
                x=view.x.high,
                y=y,
                lines=(f"your limit: {lost}",),
                colour=theme.limit,
                along="leftwards",
            )
        )
    most = limits.max_latency_ms if view.kind == "latency" else limits.max_size_bytes
    if most is not None:
        x = most * view.x.scale
        sheet.shape(type="rect", yref="paper", y0=0, y1=1, x0=x, x1=x * BEYOND, **shade)
        sheet.shape(type="line", yref="paper", y0=0, y1=1, x0=x, x1=x, line=line)
        amount = words.latency(most) if view.kind == "latency" else words.size(most)
        texts.append(
            Text(
                x=x,
                y=view.y.high,
                lines=(f"your limit: {amount}",),
                colour=theme.limit,
                along="downwards",
            )
        )
    return texts


def _beyond(view: View, y: float) -> float:
    """Return a value far on the worse side of a height."""
    return y - 1000 if view.metric.higher_is_better else y + 1000


def _limit_words(metric: Metric, drop: float) -> str:
    if metric.right_or_wrong:
        return words.lost(-drop)
    return f"{drop_words(metric, drop)} worse"


def add_iso_lines(sheet: Sheet, view: View) -> None:
    """Draw lines at 1, 2 and 4 times the original's speed or smallness."""
    spot = _baseline_spot(view)
    if spot is None:
        return
    word = "speed" if view.kind == "latency" else "smaller"
    for factor in (1, 2, 4):
        x = spot[0] / factor
        line = {"color": view.theme.guide, "width": 1, "dash": "dot"}
        sheet.shape(type="line", yref="paper", y0=0, y1=1, x0=x, x1=x, line=line, layer="below")
        sheet.annotation(
            x=view.x.at(x),
            y=0,
            yref="paper",
            yanchor="bottom",
            text=f"{factor}x {word}" if factor > 1 and not view.narrow else f"{factor}x",
            showarrow=False,
            font={"size": 11, "color": view.theme.muted},
            bgcolor=view.theme.background,
        )


def add_hypervolume(sheet: Sheet, view: View) -> list[Text]:
    """Fill the area between staircase and reference point, show that point and the number."""
    base = view.front.baseline
    if base is None or not base.measured or not view.staircase:
        return []
    reference = reference_of(base)
    corner_x = (
        reference.latency_ms if view.kind == "latency" else reference.size_bytes
    ) * view.x.scale
    corner_y = reference.score * view.y.scale
    floor = view.y.share(corner_y)
    spots = map(view.spot, view.staircase)
    inside = [(x, y) for x, y in spots if x < corner_x and view.y.share(y) > floor]
    if not inside:
        return []
    xs, ys = [inside[0][0]], [corner_y]
    for i, (x, y) in enumerate(inside):
        right = inside[i + 1][0] if i + 1 < len(inside) else corner_x
        xs += [x, right]
        ys += [y, y]
    sheet.scatter(
        x=[*xs, corner_x],
        y=[*ys, corner_y],
        name="hypervolume",
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=view.theme.volume,
        hoverinfo="skip",
    )
    sheet.scatter(
        x=[corner_x],
        y=[corner_y],
        name="reference",
        mode="markers",
        marker={"symbol": "x-thin-open", "size": 10, "color": view.theme.muted},
        hoverinfo="skip",
    )
    objectives = (objective_of(view.kind), Objective.SCORE)
    volume = scaled_hypervolume([p.candidate for p in view.staircase], base, objectives)
    lines = (f"hypervolume {volume:.2f}", "from this reference point", "(the original alone: 1)")
    return [Text(x=corner_x, y=corner_y, lines=lines, colour=view.theme.muted)]


def add_prediction_box(sheet: Sheet, view: View, prediction: Prediction) -> None:
    """Draw the doubt of the predicted point: about 80 % of such predictions come true inside."""
    low, high = prediction.latency_interval if view.kind == "latency" else prediction.size_interval
    bottom, top = prediction.score_interval
    sheet.shape(
        type="rect",
        x0=low * view.x.scale,
        x1=high * view.x.scale,
        y0=bottom * view.y.scale,
        y1=top * view.y.scale,
        line={"color": view.theme.predicted, "width": 1, "dash": "dot"},
        fillcolor=view.theme.forbidden,
        layer="below",
    )


def add_good_corner(sheet: Sheet, view: View) -> None:
    """Draw an arrow into the corner where everybody wants to be."""
    sheet.annotation(
        x=0,
        xref="paper",
        y=1,
        yref="paper",
        xshift=5,
        yshift=-5,
        ax=32,
        ay=26,
        text="better",
        font={"size": 12, "color": view.theme.primary},
        arrowcolor=view.theme.primary,
        arrowhead=2,
        arrowwidth=1.5,
        arrowsize=0.9,
    )


def add_labels(sheet: Sheet, view: View, texts: Sequence[Text], obstacles: Sequence[Box]) -> None:
    """Write each text where it covers least, with a thin line to its point."""
    width, height = view.layout.width, view.layout.height
    labels = [
        Label(lines=t.lines, x=spot[0], y=spot[1], along=t.along)
        for t in texts
        for spot in [view.pixel(t.x, t.y)]
    ]
    offsets = place(labels, obstacles, width=width, height=height)
    for text, (dx, dy) in zip(texts, offsets, strict=True):
        lines = [escape(line) for line in text.lines]
        if text.bold_first:
            lines[0] = f"<b>{lines[0]}</b>"
        where = (
            {"showarrow": False, "xshift": dx, "yshift": -dy}
            if text.along
            else {"ax": dx, "ay": dy, "arrowcolor": text.colour, "arrowwidth": 1, "arrowhead": 0}
        )
        sheet.annotation(
            x=view.x.at(text.x),
            y=text.y,
            text="<br>".join(lines),
            align="left",
            font={"size": 12, "color": text.colour},
            bgcolor=view.theme.veil,
            borderpad=1,
            standoff=9,
            **where,
        )


def obstacles_of(sheet: Sheet, view: View) -> list[Box]:
    """Return boxes of what labels should not cover: markers, lines, error bars, the good corner."""
    width, height = view.layout.width, view.layout.height
    boxes = [Box(left=0, top=0, right=74, bottom=46, weight=3.0)]
    for trace in sheet.traces:
        if "customdata" not in trace:
            continue
        sizes = trace["marker"]["size"]
        faint = 1.2 if trace["name"] == "dominated" else 2.0
        for i, (x, y) in enumerate(zip(trace["x"], trace["y"], strict=True)):
            size = sizes if isinstance(sizes, int | float) else sizes[i]
            boxes.append(around(*view.pixel(x, y), size / 2 + 3, weight=faint))
    steps = [view.pixel(*view.spot(p)) for p in view.staircase]
    for (x0, y0), (x1, y1) in pairwise(steps):
        boxes += [segment(x0, y0, x1, y0, weight=1.5), segment(x1, y0, x1, y1, weight=1.5)]
    if steps:
        boxes.append(segment(*steps[0], steps[0][0], height, weight=1.5))
        boxes.append(segment(*steps[-1], width, steps[-1][1], weight=1.5))
    for shape in sheet.shapes:
        across, upright = shape.get("xref") == "paper", shape.get("yref") == "paper"
        if shape["type"] == "line" and across:
            y = view.pixel(view.x.low, shape["y0"])[1]
            boxes.append(segment(0, y, width, y, weight=1.2))
        elif shape["type"] == "line":
            x = view.pixel(shape["x0"], view.y.low)[0]
            boxes.append(segment(x, 0, x, height, weight=1.2))
        elif not across and not upright:
            left, top = view.pixel(shape["x0"], shape["y1"])
            right, bottom = view.pixel(shape["x1"], shape["y0"])
            boxes.append(Box(left=left, top=top, right=right, bottom=bottom, weight=0.3))
    for point in view.staircase:
        score = point.candidate.score
        if score is not None:
            x, _ = view.spot(point)
            low, high = (view.pixel(x, view.y.scale * end) for end in score.interval)
            boxes.append(segment(*low, *high, weight=0.8))
    return boxes


def _baseline_spot(view: View) -> tuple[float, float] | None:
    base = view.front.baseline
    if base is None or base.score is None:
        return None
    return stored_x(base, view.kind) * view.x.scale, base.score.value * view.y.scale
