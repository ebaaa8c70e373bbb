"""The range of every activation, read off calibration examples batch by batch.

    min-max          the smallest and largest value seen
    moving average   the smallest and largest of a batch, averaged with falling weight over batches
    percentile       min-max after cutting off the outermost 0.01 % of the values
    entropy          the threshold whose clipped histogram keeps the most information
    mse              the range whose 255 steps are nearest to the values, in mean square

Ranges always contain 0, so that padding and the zeros after a ReLU are exact.

Sources: min-max and moving average, Jacob et al. 2018, "Quantization and training of neural
networks for efficient integer-arithmetic-only inference", section 3.1; percentile, Wu et al. 2020,
"Integer quantization for deep learning inference", section 4; entropy, Migacz 2017, "8-bit
inference with TensorRT"; mse, Choukroun et al. 2019, "Low-bit quantization of neural networks for
efficient inference", section 3 (there by golden section, here over a grid, each end by itself).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

import numpy as np
from onnx import ModelProto, helper

from optim.errors import EngineError, Refusal, RefusedError
from optim.graph.examples import Examples, batches, feeds_of
from optim.graph.quantization.int8 import LEAST
from optim.graph.runner import Runner
from optim.recipe import Calibration

BINS = 2048
KEPT_SHARE = 0.9999
MEMORY = 0.9
"""What the moving average keeps of itself at each batch."""
SHRINKS = np.linspace(0.2, 1.0, 81)
"""Ends of the range that are tried for the least square error, as shares of the extremes."""
HISTOGRAM_EXAMPLES = 128
"""Counting is slow and every example gives thousands of values; the extremes come from all."""
Ranges = dict[str, tuple[float, float]]
Run = Callable[[Examples], list[np.ndarray]]


def activation_ranges(
    model: ModelProto, tensors: Sequence[str], calibration: Examples, method: Calibration
) -> Ranges:
    """Run the examples through the model and read off a range (low <= 0 <= high) per tensor.

    Args:
        model: float32, one input.
        tensors: names of float tensors in it.
        calibration: float32, shape (n, ...), n >= 1.
        method: how outliers are treated.

    Raises:
        ArithmeticError: if a tensor takes a value that is not a finite number, or all of its values
            are so small that no grid can be told from 0.
        RefusedError: if the model cannot run the examples.
    """
    run = expose(model, tensors)
    extremes = [
        ([value.min() for value in values], [value.max() for value in values])
        for values in map(run, batches(model, calibration))
    ]
    lows, highs = np.array(extremes, np.float64).transpose(1, 0, 2)  # each (batches, tensors)
    if not np.isfinite(lows).all() or not np.isfinite(highs).all():
        raise ArithmeticError(
            "every activation must be a finite number on the calibration examples; this network "
            "gives inf or nan. Check the weights and the examples."
        )
    largest = np.maximum(highs.max(axis=0), -lows.min(axis=0))
    if ((largest > 0) & (largest < LEAST)).any():
        raise ArithmeticError(
            f"the activations of a layer must reach {LEAST:.0e} at least to be told from 0; in "
            f"this network some end at {largest[largest > 0].min():.1e}. Scale its weights."
        )
    if method is Calibration.MOVING_AVERAGE:
        lows, highs = moving_average(lows), moving_average(highs)
    else:
        lows, highs = lows.min(axis=0), highs.max(axis=0)
    bounds = list(zip(np.minimum(lows, 0).tolist(), np.maximum(highs, 0).tolist(), strict=True))
    cut = _cut(method)
    if cut is not None:
        every = -(-len(calibration) // HISTOGRAM_EXAMPLES)
        counts = _histograms(map(run, batches(model, calibration[::every])), bounds)
        bounds = [cut(count, *bound) for count, bound in zip(counts, bounds, strict=True)]
    return dict(zip(tensors, bounds, strict=True))


def _cut(method: Calibration) -> Callable[[np.ndarray, float, float], tuple[float, float]] | None:
    match method:
        case Calibration.MINMAX | Calibration.MOVING_AVERAGE:
            return None
        case Calibration.PERCENTILE:
            return cut_percentile
        case Calibration.ENTROPY:
            return cut_entropy
        case Calibration.MSE:
            return cut_mse
        case _:
            assert_never(method)


def moving_average(batches: np.ndarray) -> np.ndarray:
    """Return the exponential moving average after the last batch, begun at the first.

    Args:
        batches: shape (batches, tensors).

    Returns:
        Shape (tensors,).
    """
    average = batches[0]
    for values in batches[1:]:
        average = MEMORY * average + (1 - MEMORY) * values
    return np.asarray(average)


def cut_percentile(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return the range that holds all but the outermost (1 - KEPT_SHARE) of the values.

    Args:
        counts: histogram, int64, shape (bins,), equal bins from low to high.
    """
    edges = np.linspace(low, high, len(counts) + 1)
    share = np.cumsum(counts) / max(1, counts.sum())
    first = int(np.searchsorted(share, (1 - KEPT_SHARE) / 2, side="right"))
    last = int(np.searchsorted(share, 1 - (1 - KEPT_SHARE) / 2, side="left"))
    return min(0.0, float(edges[first])), max(0.0, float(edges[min(last, len(counts) - 1) + 1]))


def cut_entropy(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return the range, cut to [-t, t], that loses the least information when cut into 255 levels.

    Args:
        counts: histogram, int64, shape (bins,), equal bins from low to high.
    """
    edges = np.linspace(low, high, len(counts) + 1)
    best, chosen = np.inf, (low, high)
    for threshold in max(-low, high) * np.linspace(0.1, 1.0, 73):
        bounds = max(low, -float(threshold)), min(high, float(threshold))
        inside = (edges[1:] > bounds[0]) & (edges[:-1] < bounds[1])
        divergence = _divergence_after_cut(counts, inside)
        if divergence < best:
            best, chosen = divergence, bounds
    return chosen


def cut_mse(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return the range whose 255 steps have the least mean square error, clipping included.

    Args:
        counts: histogram, int64, shape (bins,), equal bins from low to high.
    """
    if counts.sum() == 0:
        return low, high
    edges = np.linspace(low, high, len(counts) + 1)
    values, weights = (edges[1:] + edges[:-1])[:, None] / 2, counts / counts.sum()

    def error(lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
        outside = np.maximum(lows - values, 0) + np.maximum(values - highs, 0)  # (bins, tries)
        rounding = np.where(outside > 0, 0.0, ((highs - lows) / 255) ** 2 / 12)
        return np.asarray(weights @ (outside**2 + rounding))

    for _ in range(2):  # each end in turn, as long as the other one moves
        high = float(SHRINKS[np.argmin(error(low + 0 * SHRINKS, high * SHRINKS))]) * high
        low = float(SHRINKS[np.argmin(error(low * SHRINKS, high + 0 * SHRINKS))]) * low
    return low, high


def _divergence_after_cut(counts: np.ndarray, inside: np.ndarray) -> float:
    """Return KL(clipped histogram || the same in 255 levels)."""
    (kept,) = np.nonzero(inside)
    clipped = counts[kept].astype(np.float64)
    if clipped.sum() == 0:
        return float("inf")
    plain = clipped.copy()
    clipped[0] += counts[: kept[0]].sum()
    clipped[-1] += counts[kept[-1] + 1 :].sum()
    level = np.arange(len(kept)) * 255 // len(kept)
    filled = np.bincount(level, weights=plain > 0, minlength=255)
    mean = np.bincount(level, weights=plain, minlength=255) / np.maximum(filled, 1)
    coarse = np.where(plain > 0, mean[level], 0.0)
    p, q = clipped / clipped.sum(), coarse / coarse.sum()
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / np.maximum(q[p > 0], 1e-9))))


def _histograms(
    batches: Iterator[list[np.ndarray]], bounds: Sequence[tuple[float, float]]
) -> list[np.ndarray]:
    counts = [np.zeros(BINS, np.int64) for _ in bounds]
    for values in batches:
        for count, value, (low, high) in zip(counts, values, bounds, strict=True):
            if high > low:
                # A zero is exact on every grid, and after a ReLU there are many: they say nothing.
                count += np.histogram(value[value != 0], bins=BINS, range=(low, high))[0]
    return counts


def expose(model: ModelProto, tensors: Sequence[str]) -> Run:
    """Return a function from a batch, as ``batches`` gives it, to the values of the tensors.

    Raises:
        RefusedError: from the function, if the model cannot run on the batch.
    """
    given = {value.name for value in model.graph.input}
    inner = [name for name in tensors if name not in given]
    if not inner:
        return lambda batch: [feeds_of(model, batch)[name] for name in tensors]
    exposed = ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inner)
    runner = Runner(exposed)

    def run(batch: Examples) -> list[np.ndarray]:
        feeds = feeds_of(model, batch)
        try:
            values = runner.run(inner, feeds)
        except EngineError as error:
            raise RefusedError(
                Refusal(
                    reason=f"the network must run on the calibration examples; {error}",
                    remedy="Give examples as the network wants them.",
                )
            ) from error
        found = feeds | dict(zip(inner, values, strict=True))
        return [found[name] for name in tensors]

    return run
