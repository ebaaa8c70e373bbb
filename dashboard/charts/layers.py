"""The layers of a network as bars, in its own order: time, sensitivity and bytes.

The float parent is an outline and the candidate a solid bar in front of it. A precision has a
colour and a pattern, so that nothing hangs on colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Literal

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.charts.theme import ChartTheme, theme
from dashboard.words import words
from optim.analysis.layer_rows import LayerRow, Remainder
from optim.recipe import Precision

Panel = Literal["time", "sensitivity", "bytes"]
Measure = Literal["noise", "accuracy"]
PANELS: tuple[Panel, ...] = ("time", "sensitivity", "bytes")
PATTERNS = {Precision.FP32: "\\", Precision.FP16: "\\", Precision.INT8: "", Precision.INT4: "/"}
LONGEST_NAME = 24
MANY_ROWS = 30
MOST_TOLD = 3
"""So many layers are named in the text for people who do not see the chart."""


def layers_figure(
    rows: Sequence[LayerRow],
    rest: Sequence[Remainder] = (),
    *,
    panels: Sequence[Panel] = PANELS,
    sensitivity: Measure = "noise",
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw one row per layer and one column per panel.

    ``customdata[0]`` of every bar is its layer, escaped; empty for what no layer takes.

    Args:
        rest: time beyond the layers, below them; drawn in the time panel alone.
        panels: what is shown side by side.
        sensitivity: noise in the logits, or points of accuracy on validation.
        narrow: for phones: shorter names.
    """
    colours = theme(dark)
    shown = rest if "time" in panels else ()
    names = [row.layer for row in rows] + [part.name for part in shown]
    figure = make_subplots(
        rows=1,
        cols=max(1, len(panels)),
        shared_yaxes=True,
        horizontal_spacing=0.03,
        subplot_titles=[_title(panel, rows, shown, sensitivity) for panel in panels],
    )
    for column, panel in enumerate(panels, start=1):
        for trace in _bars(panel, rows, shown, sensitivity, colours):
            figure.add_trace(trace, row=1, col=column)
        most = max([0.0, *_values(panel, rows, shown, sensitivity)])
        least = min([0.0, *_values(panel, rows, shown, sensitivity)])
        figure.update_xaxes(
            range=[1.1 * least, 1.38 * most or 1.0], visible=False, fixedrange=True, col=column
        )
    _add_legend(figure, rows, colours)
    pixels = 18 if len(names) > MANY_ROWS else 26
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[escape(short_name(name, LONGEST_NAME - 8 * narrow)) for name in names],
        ticklabelstandoff=6,
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        fixedrange=True,
    )
    figure.update_layout(
        template=colours.template,
        uirevision="layers",
        height=70 + pixels * len(names),
        margin={"l": 8, "r": 8, "t": 30, "b": 34},
        barmode="overlay",
        bargap=0.3,
        hovermode="closest",
        dragmode=False,
        legend={"yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
    )
    figure.update_annotations(
        font={"size": 13, "color": colours.muted}, xanchor="left", align="left"
    )
    for column, note in enumerate(figure.layout.annotations, start=1):
        axis = figure.layout[f"xaxis{column}" if column > 1 else "xaxis"]
        note.x = axis.domain[0]
    return figure


def layers_alt(rows: Sequence[LayerRow], rest: Sequence[Remainder] = ()) -> str:
    """Return the chart in sentences, with its numbers."""
    if not rows:
        return "An empty chart: nothing is known of the layers yet."
    layers = "1 layer" if len(rows) == 1 else f"{len(rows)} layers"
    sentences = [f"Chart of {layers} in the order of the network."]
    told_of: tuple[tuple[str, Callable[[LayerRow], float | None], Callable[[LayerRow], str]], ...]
    told_of = (
        ("Slowest", lambda r: r.time_ms, _time_words),
        ("Most sensitive", lambda r: r.noise, _noise_words),
        ("Largest", lambda r: r.size_bytes, lambda r: words.size(r.size_bytes)),
    )
    for name, value, write in told_of:
        known = [row for row in rows if value(row) is not None]
        top = sorted(known, key=lambda r: -(value(r) or 0.0))[:MOST_TOLD]
        if top:
            told = "; ".join(f"{row.layer}, {write(row)}" for row in top)
            sentences.append(f"{name}: {told}.")
    if rest:
        told = "; ".join(f"{part.name}, {words.latency(part.time_ms)}" for part in rest)
        sentences.append(f"Beyond the layers: {told}.")
    return " ".join(sentences)


def short_name(name: str, longest: int) -> str:
    """Return the end of a long name, which says more than its beginning.

    >>> short_name("features.3.block.conv", 12), short_name("head", 12)
    ('…3.block.conv', 'head')
    """
    return name if len(name) <= longest else f"…{name[-longest:].lstrip('.')}"


def _title(
    panel: Panel, rows: Sequence[LayerRow], rest: Sequence[Remainder], measure: Measure
) -> str:
    if not any(value for value in _values(panel, rows, rest, measure)):
        nothing = {"time": "Time", "sensitivity": "Sensitivity", "bytes": "Weights"}[panel]
        every = any(_value(panel, row, measure) is not None for row in rows)
        return f"{nothing}: {'nothing lost' if every else 'not looked at yet'}"
    if panel == "time":
        return "Time (outline: FP32)"
    if panel == "bytes":
        return "Weights (outline: FP32)"
    return "Noise in the logits" if measure == "noise" else "Points lost, validation"


def _values(
    panel: Panel, rows: Sequence[LayerRow], rest: Sequence[Remainder], measure: Measure
) -> list[float]:
    """Return every length that a panel must hold."""
    lengths = [_value(panel, row, measure) for row in rows]
    lengths += [_outline(panel, row) for row in rows]
    if panel == "time":
        lengths += [value for part in rest for value in (part.time_ms, part.float_time_ms)]
    return [value for value in lengths if value is not None]


def _value(panel: Panel, row: LayerRow, measure: Measure) -> float | None:
    match panel:
        case "time":
            return row.time_ms
        case "bytes":
            return row.size_bytes
        case "sensitivity":
            return row.noise if measure == "noise" else row.score_drop


def _outline(panel: Panel, row: LayerRow) -> float | None:
    match panel:
        case "time":
            return row.float_time_ms
        case "bytes":
            return row.float_bytes
        case "sensitivity":
            return None


def _bars(
    panel: Panel,
    rows: Sequence[LayerRow],
    rest: Sequence[Remainder],
    measure: Measure,
    colours: ChartTheme,
) -> list[go.Bar | go.Scatter]:
    texts = [_hover(row) for row in rows]
    outlines = [_outline(panel, row) for row in rows]
    values = [_value(panel, row, measure) for row in rows]
    marks = [row.asked if panel == "sensitivity" else row.precision for row in rows]
    labels = [_label(panel, row, measure) for row in rows]
    ids = [escape(row.layer) for row in rows]
    if panel == "time":
        outlines += [part.float_time_ms for part in rest]
        values += [part.time_ms for part in rest]
        marks += [Precision.FP32 for _ in rest]
        labels += [words.latency(part.time_ms) for part in rest]
        texts += [_rest_hover(part) for part in rest]
        ids += ["" for _ in rest]
    shared: dict[str, Any] = {
        "y": list(range(len(values))),
        "orientation": "h",
        "customdata": list(map(list, zip(ids, texts, strict=True))),
        "hovertemplate": "%{customdata[1]}<extra></extra>",
        "showlegend": False,
    }
    outline = go.Bar(
        x=outlines,
        name=f"{panel}, FP32",
        width=0.82,
        marker={
            "color": "rgba(0,0,0,0)",
            "line": {"color": colours.guide, "width": 1.4},
        },
        **shared,
    )
    solid = go.Bar(
        x=values,
        name=panel,
        width=0.5,
        marker=_style(marks, colours, plain_from=len(rows)),
        **shared,
    )
    ends = [max(a or 0.0, b or 0.0) for a, b in zip(values, outlines, strict=True)]
    written = go.Scatter(
        x=ends,
        y=shared["y"],
        name=f"{panel}, figures",
        mode="text",
        text=[f" {label}" for label in labels],
        textposition="middle right",
        textfont={"size": 12, "color": colours.text},
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )
    return [outline, solid, written] if any(outlines) else [solid, written]


def _style(
    marks: Sequence[Precision], colours: ChartTheme, plain_from: int | None = None
) -> dict[str, Any]:
    """Colour and pattern of each bar; from a position on they are no layers, without pattern."""
    shapes = [PATTERNS[mark] for mark in marks]
    if plain_from is not None:
        shapes[plain_from:] = [""] * len(shapes[plain_from:])
    return {
        "color": [precision_colour(mark, colours) for mark in marks],
        "pattern": {
            "shape": shapes,
            "fgcolor": colours.background,
            "size": 5,
            "solidity": 0.25,
        },
        "line": {"width": 0},
    }


def precision_colour(precision: Precision, colours: ChartTheme) -> str:
    """Return blue for INT8, orange for INT4, grey for what stays in float."""
    return {
        Precision.INT8: colours.methods["quantized"],
        Precision.INT4: colours.methods["pruned"],
    }.get(precision, colours.muted)


def _add_legend(figure: go.Figure, rows: Sequence[LayerRow], colours: ChartTheme) -> None:
    present = dict.fromkeys(p for row in rows for p in (row.precision, row.asked))
    for precision in sorted(present, key=list(Precision).index):
        figure.add_trace(
            go.Bar(
                x=[None],
                y=[None],
                name=precision.upper(),
                orientation="h",
                marker=_style([precision], colours),
                showlegend=True,
                hoverinfo="skip",
            ),
            row=1,
            col=1,
        )


def _label(panel: Panel, row: LayerRow, measure: Measure) -> str:
    write: dict[Panel, Callable[[], str]] = {
        "time": lambda: words.latency(row.time_ms),
        "bytes": lambda: words.size(row.size_bytes),
        "sensitivity": lambda: (
            words.percent(row.noise)
            if measure == "noise"
            else f"{100 * (row.score_drop or 0.0):.2f}"
        ),
    }
    return "" if _value(panel, row, measure) is None else write[panel]()


def _time_words(row: LayerRow) -> str:
    before = "" if row.float_time_ms is None else f" ({words.latency(row.float_time_ms)} in FP32)"
    return f"{words.latency(row.time_ms)}{before}"


def _noise_words(row: LayerRow) -> str:
    return f"{words.percent(row.noise)} noise in {row.asked.upper()}"


def _hover(row: LayerRow) -> str:
    lines = [f"<b>{escape(row.layer)}</b>  {escape(row.operator)}, {row.precision.upper()}"]
    if row.time_ms is not None:
        lines.append(f"time {_time_words(row)}")
    if row.kernel:
        lines.append(f"runs as {escape(row.kernel)}")
    if row.sqnr_db is not None:
        lines.append(f"{_noise_words(row)} ({row.sqnr_db:.1f} dB)")
    if row.score_drop is not None:
        drop = words.lost(-row.score_drop)
        lines.append(f"{drop} on validation with this layer alone in {row.asked.upper()}")
    if row.size_bytes is not None:
        lines.append(f"weights {words.size(row.size_bytes)}")
    if row.reason:
        lines.append(f"<i>{escape(row.reason)}</i>")
    return "<br>".join(lines)


def _rest_hover(part: Remainder) -> str:
    before = words.latency(part.float_time_ms)
    return f"<b>{escape(part.name)}</b><br>{words.latency(part.time_ms)} ({before} in FP32)"
