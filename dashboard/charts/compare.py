"""Two to four candidates side by side: accuracy per class, and the metrics against the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.charts.theme import ChartTheme, theme
from dashboard.words import words
from optim.candidate import Candidate
from optim.measure.statistics import wilson_interval

SERIES_SYMBOLS = ("star", "circle", "diamond", "square", "triangle-up", "cross")


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassAccuracy:
    """Right answers of one candidate by class.

    Attributes:
        name: of the candidate, for the legend.
        labels: the class names.
        correct, n: right answers and examples of each class, int, shape (classes,).
    """

    candidate_id: str
    name: str
    labels: tuple[str, ...]
    correct: np.ndarray
    n: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Accuracy of each class, shape (classes,); nan for a class without examples."""
        return np.where(self.n > 0, self.correct / np.maximum(self.n, 1), np.nan)


def class_accuracy(
    candidate: Candidate, predictions: np.ndarray, truth: np.ndarray, labels: Sequence[str]
) -> ClassAccuracy:
    """Count right answers by class.

    Args:
        predictions, truth: class numbers, shape (n,).

    Raises:
        ValueError: if the two have different shapes.
    """
    if predictions.shape != truth.shape:
        raise ValueError(
            f"predictions and truth must have the same shape, got {predictions.shape} "
            f"and {truth.shape}."
        )
    classes = len(labels)
    return ClassAccuracy(
        candidate_id=candidate.id,
        name=candidate.words(),
        labels=tuple(labels),
        correct=np.bincount(truth[predictions == truth], minlength=classes),
        n=np.bincount(truth, minlength=classes),
    )


def per_class_figure(
    series: Sequence[ClassAccuracy], *, narrow: bool = False, dark: bool = False
) -> go.Figure:
    """Draw the accuracy of each class, one marker per candidate, the class that lost most first.

    The first of the series is what the others are compared with.
    """
    colours = theme(dark)
    figure = go.Figure()
    if not series:
        return _laid_out(figure, colours, "per-class", 160)
    shares = np.array([one.shares for one in series])  # (candidates, classes)
    harm = shares[0] - np.nan_to_num(shares[1:], nan=np.inf).min(axis=0, initial=np.inf)
    order = np.argsort(np.where(np.isfinite(harm), harm, -np.inf), kind="stable")  # bottom to top
    rows = list(range(len(order)))
    spans: tuple[list[float | None], list[float | None]] = ([], [])
    for row, label in enumerate(order):
        known = shares[:, label][np.isfinite(shares[:, label])]
        if len(known):
            spans[0].extend((100 * known.min(), 100 * known.max(), None))
            spans[1].extend((row, row, None))
    figure.add_scatter(
        x=spans[0],
        y=spans[1],
        mode="lines",
        line={"color": colours.guide, "width": 3},
        hoverinfo="skip",
        showlegend=False,
    )
    palette = _series_colours(colours, len(series))
    for i, one in reversed(list(enumerate(series))):
        figure.add_scatter(
            x=[100 * one.shares[label] for label in order],
            y=rows,
            name="<br>".join(wrap(escape(one.name), 34)),
            mode="markers",
            marker={
                "symbol": SERIES_SYMBOLS[i % len(SERIES_SYMBOLS)],
                "color": palette[i],
                "size": 13 if i == 0 else 11,
                "line": {"color": colours.outline, "width": 1},
            },
            customdata=[_class_texts(one, series[0], label) for label in order],
            hovertemplate="<b>%{customdata[1]}</b><br>%{customdata[2]}<br>%{customdata[3]}"
            "<extra></extra>",
            legendrank=i,
        )
    names = [escape(series[0].labels[label]) for label in order]
    figure = _laid_out(figure, colours, "per-class", 96 + 26 * len(order) + 22 * len(series))
    figure.update_layout(
        margin={"l": 8, "r": 12, "t": 8, "b": 60 + (22 * len(series) if narrow else 24)},
        xaxis={"title": {"text": "Accuracy by class, % (higher is better →)"}},
        yaxis={
            "tickvals": rows,
            "ticktext": names,
            "range": [-0.6, len(order) - 0.4],
            "gridcolor": colours.grid,
        },
        legend={"y": 0, "yref": "container", "yanchor": "bottom", "traceorder": "normal"},
    )
    return figure


def metrics_figure(
    candidates: Sequence[Candidate],
    baseline: Candidate,
    *,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Draw latency, size and accuracy lost as bars, one panel each; the shorter the better."""
    colours = theme(dark)
    panels = _panels(candidates, baseline)
    figure = make_subplots(
        rows=len(panels) if narrow else 1,
        cols=1 if narrow else len(panels),
        subplot_titles=[title for title, _, _ in panels],
        shared_yaxes=not narrow,
        horizontal_spacing=0.05,
        vertical_spacing=0.09,
    )
    names = ["<br>".join(wrap(escape(c.words()), 22)) for c in candidates]
    palette = [colours.methods[words.method(c.recipe)] for c in candidates]
    for i, (_, values, texts) in enumerate(panels):
        row, col = (i + 1, 1) if narrow else (1, i + 1)
        figure.add_bar(
            x=values,
            y=list(range(len(candidates))),
            text=texts,
            textposition="outside",
            cliponaxis=False,
            orientation="h",
            marker={"color": palette},
            customdata=[[c.id] for c in candidates],
            hoverinfo="skip",
            row=row,
            col=col,
        )
        most = max([abs(v) for v in values], default=1.0) or 1.0
        least = min([*values, 0.0])
        room = (2.0 if narrow else 0.35 * abs(least) / most) * most if least < 0 else 0.0
        figure.update_xaxes(  # the text of a gain stands left of its bar and needs a place there
            range=[least - room, (1.8 if narrow else 2.1) * most],
            visible=False,
            fixedrange=True,
            row=row,
            col=col,
        )
        figure.update_yaxes(
            tickvals=list(range(len(candidates))),
            ticktext=names,
            autorange="reversed",
            showgrid=False,
            row=row,
            col=col,
        )
    rows = len(candidates) * (len(panels) if narrow else 1)
    _laid_out(
        figure, colours, "metrics", 60 + (34 if narrow else 42) * rows + (60 if narrow else 0)
    )
    figure.update_layout(margin={"l": 8, "r": 8, "t": 34, "b": 8}, bargap=0.35, showlegend=False)
    figure.update_annotations(font={"size": 13, "color": colours.muted})
    return figure


def _panels(
    candidates: Sequence[Candidate], baseline: Candidate
) -> list[tuple[str, list[float], list[str]]]:
    """Return title, bar lengths and texts; a figure that is not measured has no bar and says so."""
    latency, size, lost = [], [], []
    words_of: tuple[list[str], list[str], list[str]] = ([], [], [])
    metric = words.metric_of(candidates)
    base_size = baseline.artifact.size_bytes if baseline.artifact else None
    for c in candidates:
        latency.append(c.latency.p50_ms if c.latency else 0.0)
        own = c.id == baseline.id
        words_of[0].append(
            _joined(words.latency(c.latency.p50_ms), own or words.faster(c.latency.speedup))
            if c.latency
            else "not measured"
        )
        size.append(c.artifact.size_bytes / 1e6 if c.artifact else 0.0)
        ratio = base_size / c.artifact.size_bytes if base_size and c.artifact else None
        words_of[1].append(
            _joined(words.size(c.artifact.size_bytes), own or words.smaller(ratio))
            if c.artifact
            else "no file"
        )
        lost.append(metric.scale * c.score.drop if c.score else 0.0)
        words_of[2].append(words.score_lost(c.score) if c.score else "not measured")
    step = f", {metric.step}" if metric.step else ""
    titles = ("Latency p50", "File size", f"{metric.title} lost{step}")
    return list(zip(titles, (latency, size, lost), words_of, strict=True))


def _joined(figure: str, change: str | bool) -> str:
    """Return a figure and its change; the original (True) has none."""
    return figure if change is True else f"{figure}, {change}"


def _class_texts(one: ClassAccuracy, first: ClassAccuracy, label: int) -> list[str]:
    n, correct = int(one.n[label]), int(one.correct[label])
    name = f"{one.labels[label]}: {one.name}"
    if n == 0:
        return [one.candidate_id, escape(name), "no examples", ""]
    interval = words.between(*wilson_interval(correct, n), lambda s: words.percent(s, n=n))
    change = correct - int(first.correct[label])
    told = (
        "what the others are compared with"
        if one is first
        else f"{abs(change)} {'more' if change >= 0 else 'fewer'} right than {first.name}"
    )
    figures = f"{words.percent(correct / n, n=n)} ({interval}, n = {n:,})"
    return [one.candidate_id, escape(name), figures, escape(told)]


def _series_colours(colours: ChartTheme, count: int) -> list[str]:
    names = ("original", "quantized", "pruned + quantized", "pruned", "small net from scratch")
    return [colours.methods[names[i % len(names)]] for i in range(count)]


def _laid_out(figure: go.Figure, colours: ChartTheme, revision: str, height: int) -> go.Figure:
    layout: dict[str, Any] = {
        "template": colours.template,
        "uirevision": revision,
        "height": height,
        "hovermode": "closest",
    }
    return figure.update_layout(layout)
