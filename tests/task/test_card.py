"""The card: read once into a value; every fault is one sentence that names file and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optim.errors import BrokenTaskError, UnknownTaskError
from optim.recipe import Prune
from optim.task.card import card_from, read_card
from optim.task.datasets import MOTION, SAMPLES
from optim.task.metric import ACCURACY, AGREEMENT, MEAN_ABSOLUTE_ERROR, SQNR
from optim.task.task import SAMPLE_ORDER, broken_tasks, load_task, own_tasks

PATH = Path("tasks/mine/card.json")
CARD = {
    "title": "Mine",
    "architecture": "motion_cnn",
    "dataset": "motion",
    "results": {"parameters": 10, "validation_accuracy": 0.9},
}
DATA = {"title": "readings", "input_shape": [3, 4], "labels": ["a", "b"]}


@pytest.mark.parametrize("name", SAMPLE_ORDER)
def test_the_cards_of_the_samples_are_read_whole(name: str) -> None:
    told = json.loads((SAMPLES / name / "card.json").read_text(encoding="utf-8"))
    card = read_card(SAMPLES / name)
    assert (card.title, card.summary) == (told["title"], told["summary"])
    assert (card.origin, card.licence) == (told["source"], told["licence"])
    assert (card.architecture, card.dataset.name) == (told["architecture"], told["dataset"])
    assert card.model is None
    assert card.metric is ACCURACY
    assert card.results == told["results"]
    assert card.training is not None
    assert card.training.schedule == told["training"]["schedule"]
    assert card.training.teacher == told["training"].get("teacher")


def test_a_card_may_be_short() -> None:
    card = card_from(CARD, PATH)
    assert card.dataset is MOTION
    assert (card.fine_tuning_epochs, card.pruning, card.training) == (1.0, None, None)


def test_what_is_best_for_pruning_is_a_step() -> None:
    card = card_from({**CARD, "fine_tuning_epochs": 3, "pruning": {"criterion": "taylor"}}, PATH)
    assert card.pruning == Prune(ratio=0.5, criterion="taylor", epochs=3)


def test_the_metric_is_chosen_by_what_the_data_holds() -> None:
    own = {"title": "Mine", "model": "m.onnx", "data": DATA}
    assert card_from(own, PATH).metric is AGREEMENT
    assert card_from({**own, "data": {"input_shape": [3]}}, PATH).metric is SQNR
    assert card_from({**own, "metric": "accuracy"}, PATH).metric is ACCURACY
    assert card_from({**own, "metric": "mae"}, PATH).metric is MEAN_ABSOLUTE_ERROR
    assert card_from(CARD, PATH).metric is ACCURACY


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": 3}, "title must be a text, and is 3"),
        ({"title": ""}, 'title must be a text, and is ""'),
        ({"architecture": "vgg"}, 'architecture must be one of resnet, .* and is "vgg"'),
        ({"model": "m.onnx"}, "either an architecture, with weights.safetensors .* or a model"),
        ({"dataset": "imagenet"}, 'must be one of fashion-mnist, motion, and is "imagenet"'),
        ({"dataset": []}, "dataset must be one of fashion-mnist, motion, and is \\[\\]"),
        ({"fine_tuning_epochs": "many"}, 'fine_tuning_epochs must be a number above 0, and is "'),
        ({"fine_tuning_epochs": True}, "fine_tuning_epochs must be a number above 0, and is true"),
        ({"results": {"parameters": 3}}, "results.validation_accuracy must be a number above 0"),
        ({"training": "hard"}, 'training must be an object, and is "hard"'),
        ({"training": {"schedule": 3}}, "training.schedule must be an object, and is 3"),
        ({"pruning": {"ratio": 0.3}}, "pruning cannot be: unknown key 'ratio'; known are"),
        ({"pruning": {"criterion": "guess"}}, "pruning cannot be: .*guess"),
        ({"pruning": {"epochs": -1}}, "pruning cannot be: .*-1"),
        ({"pruning": "taylor"}, "pruning cannot be: it must be an object"),
        ({"metric": "mean_iou"}, "metric cannot be: metric must be one of accuracy, .*'mean_iou'"),
        ({"metric": ["mae"]}, "metric must be one of accuracy"),
    ],
)  # fmt: skip
def test_a_fault_is_one_sentence_with_file_and_key(change: dict[str, object], said: str) -> None:
    with pytest.raises(BrokenTaskError, match=said) as caught:
        card_from({**CARD, **change}, PATH)
    told = str(caught.value)
    assert told.startswith("the card mine/card.json cannot be used: ")
    assert told.endswith("Mend it, or restore it, for example with `git checkout`.")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input_shape": []}, "data.input_shape must be a list of integers above 0, and is"),
        ({"input_shape": [2, 0]}, "data.input_shape must be a list of integers above 0, and"),
        ({"labels": [1]}, "data.labels must be a list of texts"),
        ({"kind": "sound"}, 'data.kind must be one of image, series, other, and is "sound"'),
    ],
)
def test_own_data_is_checked_alike(change: dict[str, object], said: str) -> None:
    own = {"title": "Mine", "model": "m.onnx", "data": {**DATA, **change}}
    with pytest.raises(BrokenTaskError, match=said):
        card_from(own, PATH)


@pytest.mark.parametrize("name", ["../m.onnx", "m.pt", "a/m.onnx"])
def test_a_model_lies_beside_its_card(name: str) -> None:
    with pytest.raises(BrokenTaskError, match=r"model must be the name of an \.onnx file beside"):
        card_from({"title": "Mine", "model": name, "data": DATA}, PATH)


def test_a_card_of_a_newer_version_may_say_more() -> None:
    assert card_from({**CARD, "colour": "green"}, PATH) == card_from(CARD, PATH)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\ud800".encode("utf-8", "surrogatepass")])
def test_broken_files_are_left_out_of_the_list_and_told(tmp_path: Path, text: str | bytes) -> None:
    good, bad = tmp_path / "tasks" / "good", tmp_path / "tasks" / "bad"
    for folder in (good, bad):
        folder.mkdir(parents=True)
    (good / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    content = text if isinstance(text, bytes) else text.encode()
    (bad / "card.json").write_bytes(content)
    assert [task.name for task in own_tasks(tmp_path)] == ["good"]
    (told,) = broken_tasks(tmp_path)
    assert told.startswith("the card bad/card.json cannot be used: it must hold ")
    assert (bad / "card.json").read_bytes() == content
    with pytest.raises(BrokenTaskError):
        load_task("bad", tmp_path)


def test_a_workspace_has_tasks_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "tasks" / "mine"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    (tmp_path / "tasks" / "no card").mkdir()
    assert load_task("mine", tmp_path).title == "Mine"
    assert [task.name for task in own_tasks(tmp_path)] == ["mine"]
    assert own_tasks(tmp_path / "other") == ()
    with pytest.raises(UnknownTaskError, match=r"Did you mean 'mine'.*motion-cnn, mine\."):
        load_task("mnie", tmp_path)
    for name in ("../mine", "no card", "", "\x00", "tasks/mine"):
        with pytest.raises(UnknownTaskError, match="The tasks are: fashion-resnet, "):
            load_task(name, tmp_path)


def test_a_card_that_changes_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "tasks" / "mine"
    folder.mkdir(parents=True)
    path = folder / "card.json"
    path.write_text(json.dumps(CARD), encoding="utf-8")
    assert load_task("mine", tmp_path).title == "Mine"
    path.write_text(json.dumps({**CARD, "title": "Yours"}), encoding="utf-8")
    assert load_task("mine", tmp_path).title == "Yours"


def test_a_sample_cannot_be_hidden_by_a_task_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "tasks" / SAMPLE_ORDER[0]
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    assert load_task(SAMPLE_ORDER[0], tmp_path).title != "Mine"
    assert own_tasks(tmp_path) == ()
