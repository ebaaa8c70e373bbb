"""Three objectives at once: scatter matrix, three dimensions, parallel coordinates.

The matrix and the parallel coordinates are drawn from ordinary lines and markers, so that a click
selects a candidate there as well. Only the third dimension needs WebGL.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, assert_never

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.charts.axes import even_ticks, log_ticks, stored_x, wants_log
from dashboard.charts.theme import METHOD_SYMBOLS, ChartTheme, theme
from dashboard.words import words
from optim.candidate import Candidate, Role
from optim.search.pareto import Front, Objective

Kind = Literal["matrix", "3d", "parallel"]
HOVER = "<b>%{customdata[1]}</b><br>%{customdata[2]}<br>%{customdata[3]}<extra></extra>"


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """One objective: its values in shown units, on a logarithm where they span much."""

    title: str
    values: tuple[float, ...]
    log: bool
    rising: bool

    @property
    def ends(self) -> tuple[float, float]:
        """A little beyond the smallest and the largest value."""
        low, high = min(self.values, default=0.5), max(self.values, default=1.0)
        if self.log:
            pad = max(high / low, 1.2) ** 0.08
            return low / pad, high * pad
        pad = 0.08 * ((high - low) or 1.0)
        return low - pad, high + pad

    @property
    def ticks(self) -> tuple[float, ...]:
        """A few round values inside the ends."""
        return log_ticks(*self.ends, dense=False) if self.log else even_ticks(*self.ends, 5)

    def share(self, value: float) -> float:
        """Where a value lies from worst (0) to best (1)."""
        low, high = self.ends
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        along = (value - low) / (high - low)
        return along if self.rising else 1.0 - along

    def axis(self) -> dict[str, Any]:
        """For a plotly axis."""
        ends = [math.log10(end) for end in self.ends] if self.log else list(self.ends)
        return {
            "type": "log" if self.log else "linear",
            "range": ends,
            "tickvals": list(self.ticks),
            "ticktext": [f"{tick:g}" for tick in self.ticks],
        }


def three_objectives_figure(
    front: Front,
    kind: Kind,
    *,
    selected: str | None = None,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw latency, size and accuracy of every measured candidate together.

    Strong points are on the front in all three objectives, or tied with it; faint ones are beaten
    or outside the limits. ``customdata[0]`` of every point is the candidate's id.
    """
    colours = theme(dark)
    strong = {c.id for c in front.members + front.tied}
    layers = (Role.CANDIDATE, Role.CONTROL, Role.BASELINE)
    drawn = sorted(front.measured, key=lambda c: (layers.index(c.role), c.id in strong))
    match kind:
        case "matrix":
            figure = _matrix(drawn, strong, selected, colours, narrow)
        case "3d":
            figure = _space(drawn, strong, selected, colours)
        case "parallel":
            figure = _parallel(drawn, strong, selected, colours, narrow)
        case _:
            assert_never(kind)
    figure.update_layout(
        template=colours.template, uirevision=kind, hovermode="closest", showlegend=False
    )
    return figure


def _scales(drawn: Sequence[Candidate]) -> tuple[_Scale, _Scale, _Scale]:
    latencies = [stored_x(c, "latency") for c in drawn]
    sizes = [stored_x(c, "size") / 1e6 for c in drawn]
    shares = [100 * c.score.value for c in drawn if c.score]
    return (
        _Scale(
            title="Latency p50, ms ←",
            values=tuple(latencies),
            log=wants_log(latencies),
            rising=False,
        ),
        _Scale(title="File size, MB ←", values=tuple(sizes), log=wants_log(sizes), rising=False),
        _Scale(title="Accuracy, % ↑", values=tuple(shares), log=False, rising=True),
    )


def _matrix(
    drawn: Sequence[Candidate],
    strong: set[str],
    selected: str | None,
    colours: ChartTheme,
    narrow: bool,
) -> go.Figure:
    """Every pair of objectives; on a phone below each other."""
    latency, size, accuracy = _scales(drawn)
    pairs = ((latency, accuracy), (size, accuracy), (latency, size))
    cells = ((1, 1), (2, 1), (3, 1)) if narrow else ((1, 1), (1, 2), (2, 1))
    figure = make_subplots(
        rows=3 if narrow else 2,
        cols=1 if narrow else 2,
        horizontal_spacing=0.1,
        vertical_spacing=0.1 if narrow else 0.16,
    )
    for (row, col), (across, upwards) in zip(cells, pairs, strict=True):
        figure.add_scatter(
            x=list(across.values),
            y=list(upwards.values),
            row=row,
            col=col,
            mode="markers",
            **_marks(drawn, strong, selected, colours, size=11),
        )
        figure.update_xaxes(title={"text": across.title}, **across.axis(), row=row, col=col)
        figure.update_yaxes(title={"text": upwards.title}, **upwards.axis(), row=row, col=col)
    if not narrow:
        figure.update_xaxes(visible=False, row=2, col=2)
        figure.update_yaxes(visible=False, row=2, col=2)
        figure.add_annotation(
            xref="paper",
            yref="paper",
            x=0.78,
            y=0.2,
            showarrow=False,
            align="left",
            font={"size": 12, "color": colours.muted},
            text="strong: on the front in all three<br>faint: beaten, or off limits<br>"
            "arrows: the better direction",
        )
    figure.update_layout(height=840 if narrow else 520, margin={"l": 56, "r": 10, "t": 10, "b": 48})
    return figure


def _space(
    drawn: Sequence[Candidate], strong: set[str], selected: str | None, colours: ChartTheme
) -> go.Figure:
    latency, size, accuracy = _scales(drawn)
    marks = _marks(drawn, strong, selected, colours, size=8)
    known = {"circle", "diamond", "square", "cross", "x", "circle-open"}
    marks["marker"]["symbol"] = [
        s if s in known else "cross" if s == "star" else "circle-open"
        for s in marks["marker"]["symbol"]
    ]
    fade = marks["marker"].pop("opacity")
    marks["marker"]["color"] = [
        colour if opacity == 1 else colours.guide
        for colour, opacity in zip(marks["marker"]["color"], fade, strict=True)
    ]
    del marks["selected"], marks["unselected"], marks["marker"]["line"]
    figure = go.Figure()
    floor = accuracy.ends[0]
    lines: tuple[list[float | None], ...] = ([], [], [])
    for x, y, z in zip(latency.values, size.values, accuracy.values, strict=True):
        lines[0].extend((x, x, None))
        lines[1].extend((y, y, None))
        lines[2].extend((floor, z, None))
    figure.add_scatter3d(
        x=lines[0],
        y=lines[1],
        z=lines[2],
        mode="lines",
        line={"color": colours.guide, "width": 2},
        hoverinfo="skip",
    )
    figure.add_scatter3d(
        x=list(latency.values),
        y=list(size.values),
        z=list(accuracy.values),
        mode="markers",
        **marks,
    )
    figure.update_layout(
        height=480,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": {"title": {"text": latency.title}, **latency.axis()},
            "yaxis": {"title": {"text": size.title}, **size.axis()},
            "zaxis": {"title": {"text": accuracy.title}, **accuracy.axis()},
            "camera": {"eye": {"x": 1.35, "y": -1.35, "z": 0.6}, "center": {"z": -0.15}},
        },
    )
    return figure


def _parallel(
    drawn: Sequence[Candidate],
    strong: set[str],
    selected: str | None,
    colours: ChartTheme,
    narrow: bool,
) -> go.Figure:
    """One line per candidate over three upright axes; up is better on each of them."""
    scales = _scales(drawn)
    figure = go.Figure()
    marks = _marks(drawn, strong, selected, colours, size=9)
    heights = [[scale.share(scale.values[i]) for scale in scales] for i in range(len(drawn))]
    for wanted in (False, True):  # two traces of broken lines, whatever the number of candidates
        xs: list[float | None] = []
        ys: list[float | None] = []
        for candidate, height in zip(drawn, heights, strict=True):
            if (candidate.id in strong) is wanted:
                xs.extend((0, 1, 2, None))
                ys.extend((*height, None))
        line = {"color": colours.primary if wanted else colours.guide, "width": 1.6}
        figure.add_scatter(
            x=xs, y=ys, mode="lines", line=line, opacity=0.8 if wanted else 0.4, hoverinfo="skip"
        )
    chosen = next((i for i, c in enumerate(drawn) if c.id == selected), None)
    if chosen is not None:
        line = {"color": colours.text, "width": 3}
        figure.add_scatter(
            x=[0, 1, 2], y=heights[chosen], mode="lines", line=line, hoverinfo="skip"
        )
    for column, scale in enumerate(scales):
        figure.add_scatter(
            x=[column] * len(drawn),
            y=[height[column] for height in heights],
            mode="markers",
            **marks,
        )
        figure.add_shape(
            type="line",
            x0=column,
            x1=column,
            y0=0,
            y1=1,
            line={"color": colours.guide, "width": 1},
            layer="below",
        )
        for tick in scale.ticks:
            figure.add_annotation(
                x=column,
                y=scale.share(tick),
                text=f"{tick:g}",
                showarrow=False,
                xanchor="left" if column == 2 else "right",
                xshift=9 if column == 2 else -9,
                font={"size": 11, "color": colours.muted},
                bgcolor=colours.veil,
            )
        figure.add_annotation(
            x=column,
            y=1,
            yshift=20,
            text=f"<b>{scale.title[:-2]}</b>",
            showarrow=False,
            font={"size": 12 if narrow else 13},
        )
    figure.add_annotation(
        x=1,
        y=0,
        yshift=-20,
        text="up is better on every axis",
        showarrow=False,
        font={"size": 12, "color": colours.muted},
    )
    hidden = {"visible": False, "fixedrange": True}
    figure.update_layout(
        height=400 if narrow else 460,
        margin={"l": 44, "r": 44, "t": 36, "b": 32},
        xaxis={**hidden, "range": [-0.12, 2.12]},
        yaxis={**hidden, "range": [-0.03, 1.03]},
    )
    return figure


def _marks(
    drawn: Sequence[Candidate],
    strong: set[str],
    selected: str | None,
    colours: ChartTheme,
    *,
    size: float,
) -> dict[str, Any]:
    """Marker style and hover that all three share; strength says who is on the front."""
    methods = [words.method(c.recipe) for c in drawn]
    fade = [1.0 if c.id in strong or c.role is not Role.CANDIDATE else 0.3 for c in drawn]
    return {
        "marker": {
            "symbol": [METHOD_SYMBOLS[one] for one in methods],
            "color": [colours.methods[one] for one in methods],
            "size": [size * _growth(c, selected) for c in drawn],
            "opacity": fade,
            "line": {"width": [2.2 if c.role is Role.CONTROL else 1.2 for c in drawn]},
        },
        "selected": {"marker": {"opacity": 1.0}},
        "unselected": {"marker": {"opacity": 0.75}},
        "customdata": [
            [
                c.id,
                escape(c.words()),
                escape(
                    f"{words.accuracy(c.score)}, {_value(c, Objective.LATENCY)}, "
                    f"{_value(c, Objective.SIZE)}"
                ),
                "on the front" if c.id in strong else "not on the front",
            ]
            for c in drawn
        ],
        "hovertemplate": HOVER,
    }


def _growth(candidate: Candidate, selected: str | None) -> float:
    """The selected one is larger, and the original and controls stand out a little."""
    if candidate.id == selected:
        return 1.8
    return 1.0 if candidate.role is Role.CANDIDATE else 1.4


def _value(candidate: Candidate, objective: Objective) -> str:
    if objective is Objective.LATENCY:
        return words.latency(candidate.latency.p50_ms if candidate.latency else None)
    return words.size(candidate.artifact.size_bytes if candidate.artifact else None)
