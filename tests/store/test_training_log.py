"""A training log is written while a training runs, and read by whoever looks on."""

from __future__ import annotations

from pathlib import Path

from optim.progress import Epoch
from optim.store.results import Results
from optim.store.training_log import TrainingLog


def _epoch(number: int, accuracy: float = 0.5) -> Epoch:
    return Epoch(epoch=number, loss=1.0, score=accuracy, seconds=2.0)


def test_epochs_come_back_in_order_and_apart_by_training(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path)
    log.add("a", _epoch(2), _epoch(1))
    log.add("b", _epoch(1, 0.9))
    assert log.get("a") == (_epoch(1), _epoch(2))
    assert log.get("b") == (_epoch(1, 0.9),)
    assert log.get("c") == ()


def test_an_epoch_that_is_trained_again_after_a_kill_stands_once(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path)
    log.add("a", _epoch(1, 0.5))
    log.add("a", _epoch(1, 0.6))
    assert log.get("a") == (_epoch(1, 0.6),)


def test_a_new_epoch_raises_the_version_that_pages_look_at(tmp_path: Path) -> None:
    results, log = Results(tmp_path), TrainingLog(tmp_path)
    before = results.version()
    log.add("a", _epoch(1))
    assert results.version() > before
