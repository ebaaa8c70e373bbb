"""Trainings as curves: accuracy on validation against wall-clock time, or against epochs.

A network has a colour. What it learns from is told by dash and symbol, so that the same network
with and without a teacher is one colour in two hands. The end of a training has the 95 % interval
of its n validation examples; the end of one that still runs is hollow.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Literal

import plotly.graph_objects as go

from dashboard.charts.theme import ChartTheme, theme
from dashboard.words import words
from optim.recipe import Architecture
from optim.recipe.fields import FAMILIES
from optim.training_history.data_efficiency import Supervision, supervision_of
from optim.training_history.distillation_gain import interval
from optim.training_history.history import Moment, Standing, Training

AgainstWhat = Literal["seconds", "epochs"]
MOST_NETWORKS = 6
"""As many as there are colours that everybody can tell apart."""
DASHES = {Supervision.BOTH: "solid", Supervision.LABELS: "dash", Supervision.TEACHER: "dot"}
SYMBOLS = {Supervision.BOTH: "circle", Supervision.LABELS: "square", Supervision.TEACHER: "diamond"}
COLOUR_ORDER = (
    "quantized", "other activations", "pruned + quantized", "small net from scratch", "pruned",
    "fused",
)  # fmt: skip
MINUTES_FROM_S = 600.0
FAINT = 0.45
"""Opacity of the networks that the page is not about at the moment."""
MOST_TOLD = 6
"""So many trainings are told in the text for people who do not see the chart."""


def training_figure(
    rows: Sequence[Training],
    *,
    n: int,
    original: float,
    against: AgainstWhat = "seconds",
    focus: str | None = None,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw one line for each training, and the original's accuracy as a guide.

    ``customdata[0]`` of every marker is the id of its training.

    Args:
        rows: of at most ``MOST_NETWORKS`` networks; see ``drawn``.
        n: validation examples.
        original: the original's accuracy on them, 0..1.
        focus: a network; if it is among them, the others are faint.
        narrow: for phones.
    """
    colours = theme(dark)
    networks = network_colours(rows, colours)
    longest = max((m.seconds for row in rows for m in row.moments), default=0.0)
    scale = 1 / 60 if longest >= MINUTES_FROM_S else 1.0
    figure = go.Figure()
    for row in rows:
        faint = focus in networks and row.network != focus
        for trace in _line(row, against, scale, n, networks[row.network], colours):
            figure.add_trace(trace.update(opacity=FAINT if faint else 1.0))
    _legend(figure, rows, networks, colours)
    low, high = _view(rows, original, n)
    _guide(figure, original, n, colours)
    time = f"Training time, {'min' if scale < 1 else 's'} of wall clock"
    legend_rows = len(networks) + 1 if narrow else 2 + (len(networks) > 3)
    figure.update_layout(
        template=colours.template,
        uirevision=f"training-{against}",
        height=350 + 22 * legend_rows,
        margin={"l": 8, "r": 12, "t": 10, "b": 60 + 22 * legend_rows},
        hovermode="closest",
        dragmode=False,
        legend={
            "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "xanchor": "left",
            "traceorder": "normal",
        },
        xaxis={
            "title": {"text": time if against == "seconds" else "Epochs"},
            "rangemode": "tozero",
            "fixedrange": True,
            **({"dtick": 1} if against == "epochs" and _most_epochs(rows) <= 10 else {}),
        },
        yaxis={
            "title": {"text": "Accuracy on validation, %"},
            "range": [low, high],
            "fixedrange": True,
        },
    )  # fmt: skip
    return figure


def training_alt(rows: Sequence[Training], *, n: int, original: float) -> str:
    """Describe the chart in sentences, with its numbers."""
    known = [(row, row.moments[-1]) for row in rows if row.moments]
    if not known:
        return "An empty chart: no training has an epoch yet."
    count = "1 training" if len(known) == 1 else f"{len(known)} trainings"
    told = "; ".join(
        f"{network_name(row.network)}, {supervision_of(row)}: {words.percent(end.kept, n=n)} after "
        f"{epochs(end.epoch)} and {words.duration(end.seconds)}{_unfinished(row)}"
        for row, end in known[:MOST_TOLD]
    )
    more = f"; and {len(known) - MOST_TOLD} more" if len(known) > MOST_TOLD else ""
    return (
        f"Accuracy on {n:,} validation examples of {count}; the original has "
        f"{words.percent(original, n=n)}. {told}{more}."
    )


def drawn(rows: Sequence[Training], first: str) -> tuple[Training, ...]:
    """Choose the trainings of as many networks as there are colours: ``first``, then the newest.

    Args:
        first: the network that is drawn in any case.
    """
    networks = dict.fromkeys([first, *(row.network for row in reversed(rows))])
    known = {row.network for row in rows if row.moments}
    chosen = [network for network in networks if network in known][:MOST_NETWORKS]
    return tuple(row for row in rows if row.network in chosen and row.moments)


def network_colours(rows: Sequence[Training], colours: ChartTheme) -> dict[str, str]:
    """Assign a colour to each network, in the order in which they come."""
    networks = dict.fromkeys(row.network for row in rows)
    palette = [colours.methods[name] for name in COLOUR_ORDER]
    return dict(zip(networks, palette, strict=False))


def network_name(network: str) -> str:
    """Return a network's name for readers: its family by its own name.

    >>> network_name("student motion_cnn of 25 % width")
    'student Motion CNN of 25 % width'
    """
    first, *rest = network.split(" ", 2)
    if first == "student" and rest and rest[0] in list(Architecture):
        rest[0] = FAMILIES.name(Architecture(rest[0]))
    return " ".join([first, *rest])


def epochs(number: int) -> str:
    """Return a number of epochs in words."""
    return "1 epoch" if number == 1 else f"{number} epochs"


def error_bar(accuracy: float, n: int, colours: ChartTheme) -> dict[str, Any]:
    """Return plotly's error bar of a share: its 95 % interval on n examples, in percent."""
    low, high = interval(accuracy, n)
    return {
        "type": "data",
        "array": [100 * (high - accuracy)],
        "arrayminus": [100 * (accuracy - low)],
        "color": colours.bars,
        "thickness": 1.3,
        "width": 3,
    }


def _line(
    row: Training,
    against: AgainstWhat,
    scale: float,
    n: int,
    colour: str,
    colours: ChartTheme,
) -> list[go.Scatter]:
    """Return the curve, and its end once more with the interval."""
    moments, supervision = row.moments, supervision_of(row)
    if not moments:
        return []
    texts = [_hover(row, moment, n) for moment in moments]
    line = go.Scatter(
        x=[_x(moment, against, scale) for moment in moments],
        y=[100 * moment.score for moment in moments],
        name=f"{row.network}, {supervision}",
        mode="lines+markers" if len(moments) <= 40 else "lines",
        line={"color": colour, "width": 2.2, "dash": DASHES[supervision]},
        marker={"color": colour, "size": 5, "symbol": SYMBOLS[supervision]},
        customdata=[[row.id, text] for text in texts],
        hovertemplate="%{customdata[1]}<extra></extra>",
        showlegend=False,
    )
    end = moments[-1]
    running = row.standing in (Standing.RUNNING, Standing.WAITING)
    last = go.Scatter(
        x=[_x(end, against, scale)],
        y=[100 * end.score],
        name=f"{row.network}, {supervision}, end",
        mode="markers",
        marker={
            "color": colours.background if running else colour,
            "size": 10,
            "symbol": SYMBOLS[supervision],
            "line": {"color": colour if running else colours.outline, "width": 2 if running else 1},
        },
        error_y=error_bar(end.score, n, colours),
        customdata=[[row.id, texts[-1]]],
        hovertemplate="%{customdata[1]}<extra></extra>",
        showlegend=False,
    )
    return [line, last]


def _x(moment: Moment, against: AgainstWhat, scale: float) -> float:
    return moment.seconds * scale if against == "seconds" else moment.epoch


def _hover(row: Training, moment: Moment, n: int) -> str:
    low, high = interval(moment.score, n)
    span = words.between(low, high, lambda share: words.percent(share, n=n))
    return (
        f"<b>{escape(network_name(row.network))}</b>, {supervision_of(row)}<br>"
        f"epoch {moment.epoch} of {row.planned_epochs}, {words.duration(moment.seconds)}<br>"
        f"{words.percent(moment.score, n=n)} ({span}; n = {n:,})<br>"
        f"<i>{escape(row.recipe.words())}{_unfinished(row)}</i>"
    )


def _unfinished(row: Training) -> str:
    return "" if row.standing is Standing.FINISHED else f", {row.standing}"


def _view(rows: Sequence[Training], original: float, n: int) -> tuple[float, float]:
    """Return the lowest and highest percent shown: where trainings end, not where they begin."""
    ends = [row.moments[-1] for row in rows if row.moments]
    bounds = [bound for end in ends for bound in interval(end.score, n)]
    low = 100 * min([original, *bounds])
    high = 100 * max([original, *bounds, *(m.score for row in rows for m in row.moments)])
    span = max(high - low, 2.0)
    return max(0.0, low - 0.35 * span), min(100.5, high + 0.12 * span)


def _guide(figure: go.Figure, original: float, n: int, colours: ChartTheme) -> None:
    figure.add_hline(
        y=100 * original, line={"color": colours.muted, "width": 1.2, "dash": "dash"}, layer="below"
    )
    figure.add_annotation(
        x=0,
        xref="paper",
        y=100 * original,
        text=f"the original, {words.percent(original, n=n)}",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"size": 12, "color": colours.muted},
    )


def _legend(
    figure: go.Figure,
    rows: Sequence[Training],
    networks: dict[str, str],
    colours: ChartTheme,
) -> None:
    """Add the dashes in grey, then the networks in their colours."""
    for supervision in Supervision:
        if any(supervision_of(row) is supervision for row in rows):
            _key(figure, str(supervision), colours.muted, DASHES[supervision], SYMBOLS[supervision])
    for network, colour in networks.items():
        _key(figure, network_name(network), colour, "solid", None)


def _key(figure: go.Figure, name: str, colour: str, dash: str, symbol: str | None) -> None:
    figure.add_trace(
        go.Scatter(
            x=[None],
            y=[None],
            name=escape(name[0].upper() + name[1:]),
            mode="lines" if symbol is None else "lines+markers",
            line={"color": colour, "width": 5 if symbol is None else 2, "dash": dash},
            marker={"color": colour, "size": 7, "symbol": symbol},
            hoverinfo="skip",
            showlegend=True,
        )
    )


def _most_epochs(rows: Sequence[Training]) -> int:
    return max((row.moments[-1].epoch for row in rows if row.moments), default=0)
