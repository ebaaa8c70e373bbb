"""A task: its card, its weights, and what happens when they are not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from optim.errors import BrokenArtifactError, UnknownTaskError
from optim.recipe import Prune
from optim.task.architectures import ARCHITECTURES
from optim.task.datasets import DATASETS, SAMPLES
from optim.task.task import SAMPLE_ORDER, Task, load_task, sample_tasks

ALL = [task.name for task in sample_tasks()]


@pytest.mark.parametrize("name", SAMPLE_ORDER)
def test_every_card_says_where_the_network_comes_from(name: str) -> None:
    card = json.loads((SAMPLES / name / "card.json").read_text(encoding="utf-8"))
    assert card["name"] == name
    assert card["dataset"] in DATASETS
    assert card["architecture"] in ARCHITECTURES
    for key in ("title", "summary", "source", "licence", "training", "fine_tuning_epochs"):
        assert card[key], key
    assert {"seed", "augmentation", "schedule"} <= set(card["training"])


@pytest.mark.parametrize("name", ALL)
def test_the_weights_fit_the_card(name: str) -> None:
    task = load_task(name)
    network = task.network()
    assert sum(p.numel() for p in network.parameters()) == task.parameters
    assert not network.training
    example = torch.from_numpy(task.split("calibration").inputs[:2])
    with torch.no_grad():
        logits = network(example)
    assert logits.shape == (2, len(task.labels))
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ALL)
def test_the_recorded_accuracy_is_that_of_the_weights(name: str) -> None:
    """On five hundred test examples, so within a few points of the card's figure."""
    task = load_task(name)
    some = task.split("test").take(500)
    with torch.no_grad():
        answers = task.network()(torch.from_numpy(some.inputs)).argmax(1).numpy()
    recorded = task.test_score
    error = np.sqrt(recorded * (1 - recorded) / 500)
    assert abs((answers == some.targets).mean() - recorded) < 4 * error


def test_tasks_are_listed_in_a_fixed_order() -> None:
    assert [name for name in SAMPLE_ORDER if name in ALL] == ALL
    assert ALL


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownTaskError, match="Did you mean 'fashion-resnet'"):
        load_task("fashion-resnt")
    for name in ("../data", "", "\x00", "data/motion"):
        with pytest.raises(UnknownTaskError, match="The tasks are: fashion-resnet, "):
            load_task(name)


def copy_of(task: Task, folder: Path, weights: bytes) -> Task:
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(weights)
    return replace(task, folder=folder)


def test_other_weights_give_another_fingerprint(tmp_path: Path) -> None:
    task = load_task(ALL[0])
    weights = task.weights_path.read_bytes()
    assert copy_of(task, tmp_path / "same", weights).fingerprint == task.fingerprint
    changed = weights[:-1] + bytes([weights[-1] ^ 1])
    assert copy_of(task, tmp_path / "other", changed).fingerprint != task.fingerprint
    same_file = copy_of(task, tmp_path / "data", weights)
    other_data = next(d for d in DATASETS.values() if d.name != task.dataset.name)
    other = replace(same_file, card=replace(task.card, dataset=other_data))
    assert other.fingerprint != task.fingerprint


def test_missing_or_foreign_weights_give_one_sentence(tmp_path: Path) -> None:
    task = load_task(ALL[0])
    with pytest.raises(BrokenArtifactError, match=r"cannot be read.*git checkout"):
        copy_of(task, tmp_path / "broken", b"not weights").network()
    missing = replace(task, folder=tmp_path / "nowhere")
    with pytest.raises(BrokenArtifactError, match=r"cannot be read.*git checkout"):
        missing.network()
    with pytest.raises(BrokenArtifactError, match=r"cannot be read.*git checkout"):
        _ = missing.fingerprint


def test_a_card_may_say_how_its_network_is_pruned_best() -> None:
    task = load_task("motion-cnn")
    plain = replace(task, card=replace(task.card, pruning=None))
    assert plain.pruning == Prune(ratio=0.5, epochs=task.fine_tuning_epochs)
    assert not plain.pruning_is_found
    best = Prune(ratio=0.5, criterion="fpgm", scope="global", epochs=2)
    found = replace(task, card=replace(task.card, pruning=best))
    assert found.pruning == best
    assert found.pruning_is_found
