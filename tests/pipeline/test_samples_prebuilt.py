"""What ships with the sample tasks: files, hashes, figures, and that the recipe makes them."""

import json

import numpy as np
import pytest

from optim.artifact import sha256_of
from optim.candidate import candidate_id
from optim.engines import engine_named
from optim.measure.scoring import predictions_of
from optim.pipeline.make import make_candidate
from optim.pipeline.prebuilt import take_in
from optim.pipeline.shipped import read_prebuilt, recorded_predictions, shipped_content
from optim.recipe import STEP_VERSIONS, Precision, Prune, Quantize, Recipe
from optim.search.named_presets import control_of, named_presets
from optim.store.results import Results
from optim.task.task import load_task, sample_tasks
from sample_models.make_prebuilt import FIRST, at_first_need, recipes

TASKS = sample_tasks()
INT8 = Recipe(steps=(Quantize(),))
TARGETS = {
    "fashion-resnet": 0.94,
    "fashion-mobilenetv2": 0.92,
    "fashion-efficientnet-lite0": 0.92,
    "fashion-squeezenet": 0.92,
    "motion-cnn": 0.80,
}


@pytest.fixture(params=TASKS, ids=lambda task: task.name)
def task(request):
    return request.param


def test_the_first_figures_need_no_training(task):
    kinds = {prebuilt.recipe for prebuilt in read_prebuilt(task)}
    assert Recipe() in kinds
    assert any(recipe.precision is Precision.INT8 and recipe.pruning_ratio for recipe in kinds)
    assert any(recipe.is_control for recipe in kinds)
    assert len(kinds) >= 5


def test_every_preset_is_ready_beside_its_control(task):
    kinds = {prebuilt.recipe for prebuilt in read_prebuilt(task)}
    for preset in named_presets(task):
        assert {preset.recipe, control_of(task, preset.recipe)} - {None} <= kinds, preset.name


def test_every_record_is_of_todays_weights_recipes_and_step_versions(task):
    """A step's next version makes other files: run ``python -m sample_models.make_prebuilt``."""
    entries = json.loads((task.prebuilt_folder / "starters.json").read_text(encoding="utf-8"))
    for entry in entries:
        recipe = Recipe.from_dict(entry["recipe"])
        now = {kind: STEP_VERSIONS[kind] for kind in entry["versions"]}
        assert entry["versions"] == now, entry["words"]
        assert entry["candidate"] == candidate_id(task, recipe), entry["words"]
    assert [prebuilt.recipe for prebuilt in read_prebuilt(task)] == list(recipes(task))


def test_every_shipped_file_is_the_one_that_was_recorded_and_no_other_ships(task):
    shipping = [prebuilt for prebuilt in read_prebuilt(task) if prebuilt.ships]
    for prebuilt in shipping:
        assert sha256_of(shipped_content(task, prebuilt)) == prebuilt.sha256
    files = {path.name for path in task.prebuilt_folder.glob("*.onnx")}
    assert files == {prebuilt.file for prebuilt in shipping}


def test_only_the_first_task_ships_what_needs_no_training(task):
    made = {prebuilt.recipe for prebuilt in read_prebuilt(task) if not prebuilt.ships}
    assert made == set(at_first_need(task)) == (set() if task.name == FIRST else {Recipe(), INT8})


def test_every_recorded_accuracy_follows_from_the_recorded_answers(task):
    targets, answers = task.split("test").targets, recorded_predictions(task)
    original, *_ = known = read_prebuilt(task)
    for prebuilt in known:
        found, figures = answers[prebuilt.sha256], prebuilt.score
        assert figures.n == len(targets)
        assert figures.correct == int((found == targets).sum())
        assert figures.changed == int((found != answers[original.sha256]).sum())
        assert figures.baseline_sha256 == original.sha256


def test_the_card_tells_what_the_network_reaches(task):
    results = task.card.results
    accuracy = read_prebuilt(task)[0].score
    assert results["test_accuracy"] == pytest.approx(accuracy.value, abs=0.002)
    assert results["test_accuracy"] >= TARGETS[task.name]
    assert results["macs"] > 0


def test_recorded_answers_are_those_of_the_file(task):
    """The first 500 test examples, by the smallest shipped file."""
    paths = {task.prebuilt_folder / s.file: s for s in read_prebuilt(task) if s.ships}
    path = min(paths, key=lambda path: path.stat().st_size)
    answers = _answers(task, path, 500)
    same = (answers == recorded_predictions(task)[paths[path].sha256][:500]).mean()
    assert same >= 0.99  # another processor may round the last bit differently


def test_the_weights_make_the_recorded_files(task, tmp_path):
    """Original and INT8: export, fuse, calibrate, quantize; then the recorded accuracy holds."""
    results, answers = Results(tmp_path), recorded_predictions(task)
    for prebuilt in read_prebuilt(task):
        if prebuilt.recipe in (Recipe(), INT8):
            made = make_candidate(results, task, prebuilt.recipe)
            found = _answers(task, made.artifact.path, 1000)
            assert (found == answers[prebuilt.sha256][:1000]).mean() >= 0.99


def test_a_task_is_taken_in_with_all_recorded_accuracies(tmp_path):
    task = load_task("motion-cnn")
    taken = take_in(Results(tmp_path), task, progress=lambda share, words: None)
    assert [c.recipe for c in taken] == list(recipes(task))
    for candidate, prebuilt in zip(taken, read_prebuilt(task), strict=True):
        assert candidate.score is not None, candidate.words()
        assert candidate.score.recorded
        assert candidate.score.correct == prebuilt.score.correct
        assert candidate.score.baseline_sha256 == taken[0].artifact.sha256


@pytest.mark.slow
def test_a_pruned_prebuilt_candidate_is_made_again_by_its_recipe(tmp_path):
    """Training is not bit-exact across processors: the same accuracy to a point."""
    (task,) = [task for task in TASKS if task.name == "fashion-squeezenet"]
    prebuilt = next(
        s
        for s in read_prebuilt(task)
        if (step := s.recipe.step(Prune)) is not None and step.keep_weights
    )
    made = make_candidate(Results(tmp_path), task, prebuilt.recipe)
    answers = _answers(task, made.artifact.path, len(task.split("test").targets))
    accuracy = (answers == task.split("test").targets).mean()
    assert accuracy == pytest.approx(prebuilt.score.value, abs=0.01)


def _answers(task, path, count) -> np.ndarray:
    return predictions_of(
        engine_named("onnxruntime"), path, task.split("test").first(count), threads=1
    )
