from pathlib import Path

import numpy as np
import pytest

from optim.engines.engine import TensorInfo
from optim.errors import EngineError
from optim.measure.accuracy import compare_accuracy, predict_classes
from optim.task.datasets import Split

N = 23
CLASSES = np.random.default_rng(0).integers(0, 5, N)
SPLIT = Split(inputs=np.eye(5, dtype=np.float32)[CLASSES], targets=CLASSES.astype(np.int64))


class Echo:
    """An engine whose network answers with its input."""

    name, version = "echo", "1"
    inputs = outputs = (TensorInfo(name="x", dtype="float32", shape=(None, 5)),)

    def __init__(self, change=lambda logits: logits):
        self.change, self.batches = change, []

    def supports(self, path):
        return None

    def load(self, path, *, threads):
        return self

    def run(self, feeds):
        self.batches.append(len(feeds["x"]))
        return {"x": self.change(feeds["x"].copy())}


def test_every_example_is_answered_once_in_bounded_batches_with_progress():
    engine, shares = Echo(), []
    classes = predict_classes(
        engine, Path("m.onnx"), SPLIT, threads=1, batch_size=10,
        progress=lambda share, words: shares.append((round(share, 3), words)),
    )  # fmt: skip
    np.testing.assert_array_equal(classes, CLASSES)
    assert classes.dtype == np.uint8
    assert engine.batches == [10, 10, 3]
    assert shares[-1] == (1.0, "accuracy, 23 of 23 examples")
    assert [share for share, _ in shares] == sorted(share for share, _ in shares)


def test_answers_that_are_not_finite_are_refused():
    engine = Echo(change=lambda logits: logits * np.float32(np.nan))
    with pytest.raises(EngineError, match="not finite"):
        predict_classes(engine, Path("m.onnx"), SPLIT, threads=1)


def test_a_batch_holds_one_example_at_least():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        predict_classes(Echo(), Path("m.onnx"), SPLIT, threads=1, batch_size=0)


def test_answers_are_compared_example_by_example():
    targets = np.array([0, 1, 2, 3, 4, 0])
    before = np.array([0, 1, 2, 0, 0, 1], np.uint8)
    after = np.array([0, 2, 2, 3, 1, 1], np.uint8)
    found = compare_accuracy(after, before, targets, split="test", baseline_sha256="ab")
    assert (found.n, found.correct) == (6, 3)
    assert (found.worse, found.better, found.changed) == (1, 1, 3)
    assert found.difference == 0.0
    assert (found.split, found.baseline_sha256, found.recorded) == ("test", "ab", False)


def test_answers_of_different_examples_do_not_compare():
    with pytest.raises(ValueError, match="the same examples"):
        compare_accuracy(
            np.zeros(3, np.uint8), np.zeros(2, np.uint8), np.zeros(3), split="test",
            baseline_sha256="",
        )  # fmt: skip
