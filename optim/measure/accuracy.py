"""The answers of the very file on a split, compared example by example with the baseline's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from optim.engines.engine import Engine, run_single
from optim.errors import EngineError
from optim.measure.measurement import Score
from optim.progress import Progress
from optim.task.datasets import Split


def predict_classes(
    engine: Engine,
    path: Path,
    split: Split,
    *,
    threads: int,
    batch_size: int = 100,
    progress: Progress = lambda share, words: None,
) -> np.ndarray:
    """The predicted class of each example.

    Args:
        batch_size: examples per run; bounds the memory.
        progress: called with the share done, 0..1, and a sentence.

    Returns:
        uint8, shape (n,).

    Raises:
        EngineError: if the engine cannot load or run the file, or its answers are not finite.
        ValueError: if batch_size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    session = engine.load(path, threads=threads)
    classes = np.empty(len(split), np.uint8)
    for start in range(0, len(split), batch_size):
        batch = slice(start, start + batch_size)
        logits = run_single(session, split.inputs[batch])
        if not np.isfinite(logits).all():
            raise EngineError(
                f"{path.name} answers with numbers that are not finite. "
                "A network in reduced precision may overflow; try INT8 or FP32."
            )
        classes[batch] = logits.argmax(1)
        done = min(len(split), start + batch_size)
        progress(done / len(split), f"accuracy, {done:,} of {len(split):,} examples")
    return classes


def compare_accuracy(
    predictions: np.ndarray,
    baseline_predictions: np.ndarray,
    targets: np.ndarray,
    *,
    split: str,
    baseline_sha256: str,
) -> Score:
    """Count right and changed answers.

    Args:
        predictions, baseline_predictions, targets: classes, shape (n,), the same examples in the
            same order.
        split: its name, such as ``test``.

    Raises:
        ValueError: if the lengths differ.
    """
    if not predictions.shape == baseline_predictions.shape == targets.shape:
        raise ValueError(
            "predictions, baseline and targets must be of the same examples; got shapes "
            f"{predictions.shape}, {baseline_predictions.shape} and {targets.shape}."
        )
    right, was_right = predictions == targets, baseline_predictions == targets
    return Score(
        n=len(targets),
        correct=int(right.sum()),
        worse=int((was_right & ~right).sum()),
        better=int((right & ~was_right).sum()),
        changed=int((predictions != baseline_predictions).sum()),
        split=split,
        baseline_sha256=baseline_sha256,
    )
