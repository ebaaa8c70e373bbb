"""The answers of the very file on a split, scored and compared with the baseline's one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from optim.engines.engine import Engine, run_single
from optim.errors import EngineError
from optim.measure.measurement import Moments, Score
from optim.progress import Progress
from optim.task.datasets import Split
from optim.task.metric import ACCURACY, Metric


def predictions_of(
    engine: Engine,
    path: Path,
    split: Split,
    *,
    threads: int,
    metric: Metric = ACCURACY,
    batch_size: int = 100,
    progress: Progress = lambda share, words: None,
) -> np.ndarray:
    """Run a file over a split and keep what the metric scores: classes, or whole outputs.

    Args:
        batch_size: examples per run; bounds the memory.
        progress: called with the share done, 0..1, and a sentence.

    Returns:
        Shape (n, ...), as ``Metric.predictions`` gives them.

    Raises:
        EngineError: if the engine cannot load or run the file, or its answers are not finite.
        ValueError: if batch_size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    session = engine.load(path, threads=threads)
    kept = []
    for start in range(0, len(split), batch_size):
        output = run_single(session, split.rows(slice(start, start + batch_size)).feeds)
        if not np.isfinite(output).all():
            raise EngineError(
                f"{path.name} answers with numbers that are not finite. "
                "A network in reduced precision may overflow; try INT8 or FP32."
            )
        kept.append(metric.predictions(output))
        done = min(len(split), start + batch_size)
        progress(done / len(split), f"{metric.name}, {done:,} of {len(split):,} examples")
    return np.concatenate(kept)


def compare(
    predictions: np.ndarray,
    baseline_predictions: np.ndarray,
    targets: np.ndarray,
    *,
    split: str,
    baseline_sha256: str,
    metric: Metric = ACCURACY,
) -> Score:
    """Score every example with the file and with the baseline, and compare them in pairs.

    Args:
        predictions, baseline_predictions: shape (n, ...), the same examples in the same order.
        targets: their labels, shape (n, ...); not looked at by a metric that needs none.
        split: its name, such as ``test``.

    Raises:
        ValueError: if the lengths differ.
    """
    truth = targets if metric.needs_labels else baseline_predictions
    if not len(predictions) == len(baseline_predictions) == len(truth):
        raise ValueError(
            "predictions, baseline and targets must be of the same examples; got shapes "
            f"{predictions.shape}, {baseline_predictions.shape} and {truth.shape}."
        )
    scores = metric.scores(predictions, truth)
    gains = scores - metric.scores(baseline_predictions, truth)
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    changed = (predictions != baseline_predictions).reshape(len(predictions), -1).any(1)
    return Score(
        n=len(predictions),
        correct=int(scores.sum()) if metric.right_or_wrong else None,
        worse=losses if metric.higher_is_better else wins,
        better=wins if metric.higher_is_better else losses,
        changed=int(changed.sum()),
        split=split,
        baseline_sha256=baseline_sha256,
        metric=metric.name,
        moments=None if metric.right_or_wrong else _moments(scores, gains),
    )


def mean_score(
    metric: Metric, output: np.ndarray, targets: np.ndarray, *, original: np.ndarray
) -> float:
    """Return the mean score of a model's output, (n, ...).

    Args:
        targets: labels of the same examples.
        original: the original's output for them: the truth of a metric that needs no labels.
    """
    truth = targets if metric.needs_labels else metric.predictions(original)
    return float(metric.scores(metric.predictions(output), truth).mean())


def _moments(scores: np.ndarray, gains: np.ndarray) -> Moments:
    several = len(scores) > 1
    return Moments(
        mean=float(scores.mean()),
        deviation=float(scores.std(ddof=1)) if several else 0.0,
        mean_difference=float(gains.mean()),
        deviation_of_differences=float(gains.std(ddof=1)) if several else 0.0,
    )
