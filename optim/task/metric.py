"""Metric of a task: it scores examples one by one, and all else follows from that.

Pairing with the baseline, intervals and "tied" come from the scores of single examples, so they
hold for every metric: scores that are right or wrong are compared by McNemar's test, others by a
paired t test (``optim.measure.scoring``).

    accuracy    right or wrong, against the label
    agreement   right or wrong, against the original's choice: needs no labels
    sqnr        decibels, against the original's output: needs neither labels nor classes
    mae         distance, against a number

A new metric is a class and its line in ``METRICS``.
"""

from __future__ import annotations

import difflib
from typing import Protocol

import numpy as np

MOST_DB = 120.0
"""Decibels that an output is worth which does not differ; single precision tells no more apart."""


class Metric(Protocol):
    """How well one example is answered.

    Attributes:
        name: in cards, stores and addresses.
        title: in words, as an axis has it.
        unit: of a shown value, such as ``%`` or ``dB``; empty for that of the targets.
        step: of a shown difference, such as ``points`` or ``dB``.
        scale: a shown value is a score times this.
        higher_is_better: the direction.
        right_or_wrong: True if a score is 0 or 1.
        needs_labels: False if an example is compared with what the original answers.
        of_classes: True if a prediction is the number of a class.
    """

    name: str
    title: str
    unit: str
    step: str
    scale: float
    higher_is_better: bool
    right_or_wrong: bool
    needs_labels: bool
    of_classes: bool

    def predictions(self, output: np.ndarray) -> np.ndarray:
        """Take from a model's output, (n, ...), what is scored and kept, (n, ...)."""
        ...

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Score examples one by one.

        Args:
            predictions: as ``predictions`` gives them.
            targets: of the same examples: labels, or the original's predictions.

        Returns:
            float64, shape (n,).
        """
        ...


class Accuracy:
    """The share of examples whose class is right."""

    name = "accuracy"
    title = "Accuracy"
    unit, step, scale = "%", "points", 100.0
    higher_is_better = right_or_wrong = needs_labels = of_classes = True

    def predictions(self, output: np.ndarray) -> np.ndarray:
        """Return the class with the largest logit, in the smallest integer type for all classes."""
        classes: np.ndarray = output.argmax(1)
        return classes.astype(np.min_scalar_type(output.shape[1] - 1))

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """1 where the class is right, else 0."""
        return np.asarray(predictions == targets, np.float64)


class Agreement(Accuracy):
    """The share of examples that get the original's class: for networks without labels."""

    name = "agreement"
    title = "Agreement with the original"
    needs_labels = False


class Sqnr:
    """Signal to noise in each example's output against the original's, in decibels."""

    name = "sqnr"
    title = "Signal to noise against the original"
    unit, step, scale = "dB", "dB", 1.0
    higher_is_better = True
    right_or_wrong = needs_labels = of_classes = False

    def predictions(self, output: np.ndarray) -> np.ndarray:
        """Return the output itself."""
        return output.astype(np.float32)

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """10 log10(sum target^2 / sum (prediction - target)^2), within ±120 dB."""
        signal = np.square(_flat(targets)).sum(1)
        noise = np.square(_flat(predictions) - _flat(targets)).sum(1)
        least = 10 ** (-MOST_DB / 10)
        ratio = np.divide(signal, noise, out=np.full(len(noise), 1 / least), where=noise > 0)
        decibels: np.ndarray = 10 * np.log10(np.clip(ratio, least, 1 / least))
        return decibels


class MeanAbsoluteError:
    """The mean distance of the output from its target, in the target's own unit."""

    name = "mae"
    title = "Mean absolute error"
    unit, step, scale = "", "", 1.0
    higher_is_better = right_or_wrong = of_classes = False
    needs_labels = True

    def predictions(self, output: np.ndarray) -> np.ndarray:
        """Return the output itself."""
        return output.astype(np.float32)

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the mean of |prediction - target| over an example's outputs."""
        distances: np.ndarray = np.abs(_flat(predictions) - _flat(targets)).mean(1)
        return distances


ACCURACY, AGREEMENT, SQNR = Accuracy(), Agreement(), Sqnr()
MEAN_ABSOLUTE_ERROR = MeanAbsoluteError()
METRICS: dict[str, Metric] = {
    "accuracy": ACCURACY,
    "agreement": AGREEMENT,
    "sqnr": SQNR,
    "mae": MEAN_ABSOLUTE_ERROR,
}
"""Every metric by its name."""


def metric_named(name: str) -> Metric:
    """Find a metric.

    Raises:
        ValueError: naming the metrics there are; a newer version may know more.
    """
    if name not in METRICS:
        near = difflib.get_close_matches(str(name), METRICS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"metric must be one of {', '.join(METRICS)}, got {name!r:.40}.{hint} A newer "
            "edge-optim may know it."
        )
    return METRICS[name]


def metric_without_labels(*, classes: bool) -> Metric:
    """Return the metric without labels: agreement on the class, else SQNR of the output."""
    return AGREEMENT if classes else SQNR


def _flat(values: np.ndarray) -> np.ndarray:
    """Reshape to (n, everything else), float64."""
    return values.reshape(len(values), -1).astype(np.float64)
