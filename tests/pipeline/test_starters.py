"""What ships with the sample tasks: files, hashes, figures, and that the recipe makes them."""

import json

import numpy as np
import pytest

from optim.artifact import sha256_of
from optim.candidate import candidate_id
from optim.engines import engine_named
from optim.measure.accuracy import predict_classes
from optim.pipeline.make import make_candidate
from optim.recipe import Precision, Prune, Recipe
from optim.search.headlines import control_of, headlines
from optim.store.results import Results
from optim.task.task import sample_tasks

TASKS = sample_tasks()
TARGETS = {
    "fashion-resnet": 0.94,
    "fashion-mobilenetv2": 0.92,
    "fashion-efficientnet-lite0": 0.92,
    "fashion-squeezenet": 0.92,
    "motion-cnn": 0.80,
}


def _entries(task):
    return json.loads((task.starters_folder / "starters.json").read_text())


def _recorded(task, entry):
    with np.load(task.starters_folder / "predictions.npz", allow_pickle=False) as file:
        return file[entry["sha256"]]


@pytest.fixture(params=TASKS, ids=lambda task: task.name)
def task(request):
    return request.param


def test_the_first_figures_need_no_training(task):
    kinds = {Recipe.from_dict(entry["recipe"]) for entry in _entries(task)}
    assert Recipe() in kinds
    assert any(recipe.precision is Precision.INT8 and recipe.pruning_ratio for recipe in kinds)
    assert any(recipe.is_control for recipe in kinds)
    assert len(kinds) >= 5


def test_every_preset_is_shipped_beside_its_control(task):
    kinds = {Recipe.from_dict(entry["recipe"]) for entry in _entries(task)}
    for headline in headlines(task):
        assert {headline.recipe, control_of(task, headline.recipe)} - {None} <= kinds, headline.name


def test_every_shipped_file_is_the_one_that_was_recorded(task):
    for entry in _entries(task):
        content = (task.starters_folder / entry["file"]).read_bytes()
        assert sha256_of(content) == entry["sha256"], entry["words"]
        assert entry["file"] == f"{candidate_id(task, Recipe.from_dict(entry['recipe']))}.onnx"


def test_every_recorded_accuracy_follows_from_the_recorded_answers(task):
    targets = task.split("test").targets
    entries = _entries(task)
    original = _recorded(task, entries[0])
    for entry in entries:
        answers, figures = _recorded(task, entry), entry["accuracy"]
        assert figures["n"] == len(targets)
        assert figures["correct"] == int((answers == targets).sum())
        assert figures["changed"] == int((answers != original).sum())
        assert figures["baseline_sha256"] == entries[0]["sha256"]


def test_the_card_tells_what_the_network_reaches(task):
    results = task.card["results"]
    figures = _entries(task)[0]["accuracy"]
    assert results["test_accuracy"] == pytest.approx(figures["correct"] / figures["n"], abs=0.002)
    assert results["test_accuracy"] >= TARGETS[task.name]
    assert results["macs"] > 0


def test_recorded_answers_are_those_of_the_file(task):
    """The first 500 test examples, by the smallest shipped file."""
    entry = min(_entries(task), key=lambda e: (task.starters_folder / e["file"]).stat().st_size)
    answers = predict_classes(
        engine_named("onnxruntime"),
        task.starters_folder / entry["file"],
        task.split("test").first(500),
        threads=1,
        progress=lambda share, words: None,
    )
    same = (answers == _recorded(task, entry)[:500]).mean()
    assert same >= 0.99  # another processor may round the last bit differently


def test_the_recipe_makes_the_shipped_file(task, tmp_path):
    """INT8 is rebuilt from the weights: export, fuse, calibrate, quantize."""
    (entry,) = [e for e in _entries(task) if Recipe.from_dict(e["recipe"]).words() == "INT8"]
    made = make_candidate(Results(tmp_path), task, Recipe.from_dict(entry["recipe"]))
    shipped = (task.starters_folder / entry["file"]).stat().st_size
    assert made.artifact.size_bytes == pytest.approx(shipped, rel=0.01)
    answers = predict_classes(
        engine_named("onnxruntime"),
        made.artifact.path,
        task.split("test").first(1000),
        threads=1,
        progress=lambda share, words: None,
    )
    assert (answers == _recorded(task, entry)[:1000]).mean() >= 0.99


@pytest.mark.slow
def test_a_pruned_starter_is_made_again_by_its_recipe(tmp_path):
    """Training is not bit-exact across processors: the same accuracy to a point."""
    (task,) = [task for task in TASKS if task.name == "fashion-squeezenet"]
    entry = next(
        e
        for e in _entries(task)
        if (step := Recipe.from_dict(e["recipe"]).step(Prune)) and step.keep_weights
    )
    made = make_candidate(Results(tmp_path), task, Recipe.from_dict(entry["recipe"]))
    answers = predict_classes(
        engine_named("onnxruntime"), made.artifact.path, task.split("test"),
        threads=2, progress=lambda share, words: None,
    )  # fmt: skip
    accuracy = (answers == task.split("test").targets).mean()
    assert accuracy == pytest.approx(entry["accuracy"]["correct"] / len(answers), abs=0.01)
