"""Two to four candidates side by side: accuracy per class, and the metrics against the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dashboard.charts.theme import theme
from optim.candidate import Candidate


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


def class_accuracy(
    candidate: Candidate, predictions: np.ndarray, truth: np.ndarray, labels: Sequence[str]
) -> ClassAccuracy:
    """Count right answers by class.

    Args:
        predictions, truth: class numbers, shape (n,).
    """
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
    """Accuracy of each class, one marker per candidate; the class that lost most comes first."""
    figure = go.Figure()
    for one in series:
        figure.add_scatter(x=100 * one.correct / one.n, y=list(one.labels), mode="markers")
    figure.update_layout(template=theme(dark).template, uirevision="per-class", height=420)
    return figure


def metrics_figure(
    candidates: Sequence[Candidate],
    baseline: Candidate,
    *,
    narrow: bool = False,
    dark: bool = False,
) -> go.Figure:
    """Latency, size and accuracy lost as bars, one panel each; the shorter the better."""
    figure = go.Figure()
    figure.update_layout(template=theme(dark).template, uirevision="metrics", height=220)
    return figure
