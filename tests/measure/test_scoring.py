from pathlib import Path

import numpy as np
import pytest

from optim.engines.engine import TensorInfo
from optim.errors import EngineError
from optim.measure.measurement import Score
from optim.measure.scoring import compare, predictions_of
from optim.task.datasets import Split
from optim.task.metric import ACCURACY, AGREEMENT, MEAN_ABSOLUTE_ERROR, MOST_DB, SQNR

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
    classes = predictions_of(
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
        predictions_of(engine, Path("m.onnx"), SPLIT, threads=1)


def test_a_batch_holds_one_example_at_least():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        predictions_of(Echo(), Path("m.onnx"), SPLIT, threads=1, batch_size=0)


def test_classes_are_compared_example_by_example():
    targets = np.array([0, 1, 2, 3, 4, 0])
    before = np.array([0, 1, 2, 0, 0, 1], np.uint8)
    after = np.array([0, 2, 2, 3, 1, 1], np.uint8)
    found = compare(after, before, targets, split="test", baseline_sha256="ab")
    assert (found.n, found.correct) == (6, 3)
    assert (found.worse, found.better, found.changed) == (1, 1, 3)
    assert found.difference == 0.0
    assert (found.split, found.baseline_sha256, found.recorded) == ("test", "ab", False)


def test_answers_of_different_examples_do_not_compare():
    with pytest.raises(ValueError, match="the same examples"):
        compare(
            np.zeros(3, np.uint8), np.zeros(2, np.uint8), np.zeros(3), split="test",
            baseline_sha256="",
        )  # fmt: skip


def test_distances_are_compared_example_by_example() -> None:
    targets = np.zeros((4, 2))
    before = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]], np.float32)
    after = before + np.array([[0.5], [0.0], [-1.0], [1.0]], np.float32)
    found = compare(
        after, before, targets, split="test", baseline_sha256="ab", metric=MEAN_ABSOLUTE_ERROR
    )
    assert (found.worse, found.better, found.changed) == (2, 1, 3)
    assert found.value == pytest.approx(2.625)
    assert found.difference == pytest.approx(0.125)
    assert found.drop == pytest.approx(0.125)  # a larger error is worse
    assert found.cost == found.value
    low, high = found.difference_interval
    assert low < 0 < high
    assert found.tied_with_baseline


def test_a_network_without_labels_is_compared_with_the_original() -> None:
    original = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    noise = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    none = np.zeros((50, 0))
    given = {"split": "test", "baseline_sha256": "ab", "metric": SQNR}
    same = compare(original, original, none, **given)
    assert same.value == MOST_DB
    assert (same.changed, same.difference, same.p_value) == (0, 0.0, 1.0)
    loud = compare(original + 0.1 * noise, original, none, **given)
    assert loud.value == pytest.approx(20, abs=1.5)
    assert loud.drop == pytest.approx(MOST_DB - loud.value)
    assert not loud.tied_with_baseline
    assert loud.worse == 50


def test_agreement_counts_the_examples_that_keep_their_class() -> None:
    before = np.array([0, 699, 3, 4], np.uint16)
    after = np.array([0, 699, 1, 4], np.uint16)
    found = compare(
        after, before, np.zeros((4, 0)), split="test", baseline_sha256="ab", metric=AGREEMENT
    )
    assert (found.correct, found.worse, found.changed) == (3, 1, 1)
    assert (found.value, found.difference) == (0.75, -0.25)


def test_classes_are_kept_in_the_smallest_numbers_that_hold_them() -> None:
    for classes, kept in ((2, np.uint8), (256, np.uint8), (257, np.uint16), (700, np.uint16)):
        output = np.eye(classes, dtype=np.float32)[[classes - 1]]
        predicted = ACCURACY.predictions(output)
        assert predicted.dtype == kept
        assert predicted.tolist() == [classes - 1]


def test_a_score_holds_what_its_metric_needs() -> None:
    given = {"n": 4, "worse": 0, "better": 0, "changed": 0, "split": "test", "baseline_sha256": ""}
    with pytest.raises(ValueError, match="mae needs moments, and has none"):
        Score(**given, correct=3, metric="mae")
    with pytest.raises(ValueError, match=r"metric must be one of accuracy, .* got 'maee'"):
        Score(**given, correct=3, metric="maee")
