"""The range of every activation, read off calibration examples batch by batch.

    min-max      the smallest and largest value seen
    percentile   the same after cutting off the outermost 0.01 % of the values
    entropy      the threshold whose clipped histogram keeps the most information (KL divergence)

Ranges always contain 0, so that padding and the zeros after a ReLU are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from onnx import ModelProto, helper

from optim.recipe import Calibration

BATCH = 32
BINS = 2048
KEPT_SHARE = 0.9999
HISTOGRAM_EXAMPLES = 128
"""Counting is slow and every example gives thousands of values; the extremes come from all."""
Ranges = dict[str, tuple[float, float]]
Run = Callable[[np.ndarray], list[np.ndarray]]


def activation_ranges(
    model: ModelProto, tensors: Sequence[str], calibration: np.ndarray, method: Calibration
) -> Ranges:
    """Run the examples through the model and read off a range (low <= 0 <= high) per tensor.

    Args:
        model: float32, one input.
        tensors: names of float tensors in it.
        calibration: float32, shape (n, ...), n >= 1.
        method: how outliers are treated.

    Raises:
        ArithmeticError: if a tensor takes a value that is not a finite number.

    Source of the entropy method: Migacz 2017, "8-bit Inference with TensorRT".
    """
    run = expose(model, tensors)
    lows = np.zeros(len(tensors))
    highs = np.zeros(len(tensors))
    for values in _batches(run, calibration):
        lows = np.minimum(lows, [value.min() for value in values])
        highs = np.maximum(highs, [value.max() for value in values])
    if not np.isfinite(lows).all() or not np.isfinite(highs).all():
        raise ArithmeticError(
            "every activation must be a finite number on the calibration examples; this network "
            "gives inf or nan. Check the weights and the examples."
        )
    bounds = list(zip(lows.tolist(), highs.tolist(), strict=True))
    if method is not Calibration.MINMAX:
        cut = cut_percentile if method is Calibration.PERCENTILE else cut_entropy
        every = -(-len(calibration) // HISTOGRAM_EXAMPLES)
        counts = _histograms(_batches(run, calibration[::every]), bounds)
        bounds = [cut(count, *bound) for count, bound in zip(counts, bounds, strict=True)]
    return dict(zip(tensors, bounds, strict=True))


def cut_percentile(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The range that holds all but the outermost (1 - KEPT_SHARE) of the values.

    Args:
        counts: histogram, int64, shape (bins,), equal bins from low to high.
    """
    edges = np.linspace(low, high, len(counts) + 1)
    share = np.cumsum(counts) / max(1, counts.sum())
    first = int(np.searchsorted(share, (1 - KEPT_SHARE) / 2, side="right"))
    last = int(np.searchsorted(share, 1 - (1 - KEPT_SHARE) / 2, side="left"))
    return min(0.0, float(edges[first])), max(0.0, float(edges[min(last, len(counts) - 1) + 1]))


def cut_entropy(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The range, cut to [-t, t], that loses the least information when cut into 255 levels.

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


def _divergence_after_cut(counts: np.ndarray, inside: np.ndarray) -> float:
    """KL(clipped histogram || the same in 255 levels)."""
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
    """A function from a batch, float32 (N, ...), to the values of the tensors."""
    import onnxruntime as ort

    source = model.graph.input[0].name
    inner = [name for name in tensors if name != source]
    if not inner:
        return lambda batch: [batch] * len(tensors)
    exposed = ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inner)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        exposed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(batch: np.ndarray) -> list[np.ndarray]:
        found = dict(zip(inner, session.run(inner, {source: batch}), strict=True))
        found[source] = batch
        return [found[name] for name in tensors]

    return run


def _batches(run: Run, examples: np.ndarray) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(examples), BATCH):
        yield run(examples[start : start + BATCH])
