"""Named recipes: read as a stranger would have written them, and held against what is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from optim.errors import BrokenArtifactError, OptimError
from optim.recipe import Architecture, Distill, Prune, Recipe, Replace, recipe_of
from optim.search.named_presets import (
    NamedPreset,
    control_of,
    find_named_presets,
    named_presets,
    outcome,
)
from optim.task.task import Task, load_task
from tests.dashboard.factories import sample_candidates

RECIPE = recipe_of(pruning_ratio=0.5, precision="int8")
ROW = {"name": "fast", "faster": 10, "smaller": 14, "drop": 0.01, "recipe": RECIPE.to_dict()}
BASELINE, *_, MADE = sample_candidates()[:7]


def task_with(folder: Path, content: object) -> Task:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "headlines.json").write_text(text, encoding="utf-8")
    return replace(load_task("fashion-squeezenet"), folder=folder)


def test_a_task_without_the_file_has_no_named_preset(tmp_path: Path) -> None:
    assert named_presets(replace(load_task("motion-cnn"), folder=tmp_path)) == ()


def test_named_presets_come_the_gentlest_first(tmp_path: Path) -> None:
    rows = [{**ROW, "drop": 0.03}, {**ROW, "name": "mild"}, {**ROW, "name": "wild", "faster": 20}]
    found = named_presets(task_with(tmp_path, rows))
    assert [each.name for each in found] == ["mild", "wild", "fast"]
    assert found[0].recipe == RECIPE


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "cannot be read"),
        ({"name": "x"}, "must be a list"),
        ([ROW, ROW], "each name may stand once"),
        ([{**ROW, "colour": "red"}], "the keys name, faster, smaller, drop, recipe"),
        ([{"name": "x"}], "the keys name, faster"),
        ([{**ROW, "name": "all"}], "name must be a text"),
        ([{**ROW, "name": 3}], "name must be a text"),
        ([{**ROW, "faster": "12"}], "faster must be a number from 0"),
        ([{**ROW, "faster": float("nan")}], "faster must be a number"),
        ([{**ROW, "drop": 3}], "drop must be a number from 0 to 1"),
        ([{**ROW, "recipe": {"steps": [{"step": "melt"}]}}], "each step needs 'step: NAME'"),
        ([{**ROW, "recipe": None}], "a recipe must be a table"),
    ],
)
def test_a_broken_file_is_one_sentence_with_the_reason(
    tmp_path: Path, content: object, sentence: str
) -> None:
    with pytest.raises(BrokenArtifactError) as caught:
        named_presets(task_with(tmp_path, content))
    assert sentence in str(caught.value)
    assert "headlines.json of fashion-squeezenet" in str(caught.value)
    assert "git checkout" in str(caught.value)


def test_a_named_preset_is_found_by_its_name_or_the_nearest_is_named(tmp_path: Path) -> None:
    task = task_with(tmp_path, [ROW, {**ROW, "name": "other"}])
    assert [each.name for each in find_named_presets(task, "fast")] == ["fast"]
    assert len(find_named_presets(task, "all")) == 2
    with pytest.raises(OptimError, match="Did you mean 'fast'"):
        find_named_presets(task, "fasd")


def test_a_promise_says_what_it_promises() -> None:
    promise = NamedPreset(name="x", faster=12, smaller=0, drop=0.01, recipe=RECIPE).promise()
    assert promise == "12x faster within 1 point"
    both = NamedPreset(name="x", faster=12.5, smaller=60, drop=0.025, recipe=RECIPE).promise()
    assert both == "12.5x faster, 60x smaller within 2.5 points"


@pytest.mark.parametrize(
    ("faster", "smaller", "drop", "kept"),
    [(10, 14, 0.01, True), (0, 0, 0.0069, True), (12, 0, 0.01, False), (0, 20, 0.01, False),
     (10, 14, 0.005, False)],
)  # fmt: skip
def test_a_promise_is_kept_only_if_every_part_of_it_is(
    faster: float, smaller: float, drop: float, kept: bool
) -> None:
    preset = NamedPreset(name="x", faster=faster, smaller=smaller, drop=drop, recipe=RECIPE)
    found = outcome(preset, MADE, BASELINE)
    assert found is not None
    assert found.kept is kept
    assert found.words.startswith(f"promised {preset.promise()}: measured ")
    assert found.words.endswith("kept" if kept else "not kept here")


def test_nothing_is_said_of_another_recipe_or_of_what_is_not_measured() -> None:
    preset = NamedPreset(name="x", faster=10, smaller=0, drop=0.01, recipe=RECIPE)
    assert outcome(preset, replace(MADE, latency=None), BASELINE) is None
    assert outcome(preset, replace(MADE, recipe=Recipe()), BASELINE) is None
    assert outcome(replace(preset, smaller=5), MADE, None) is None
    assert outcome(preset, MADE, None) is not None


@pytest.mark.parametrize("name", ["fashion-resnet", "fashion-squeezenet", "motion-cnn"])
def test_every_preset_that_removes_something_has_a_control(name: str) -> None:
    task = load_task(name)
    for each in named_presets(task):
        control = control_of(task, each.recipe)
        if each.recipe.training_steps():
            assert control is not None
            assert control.is_control
            assert control.precision is each.recipe.precision
            assert control_of(task, control) is None
        else:
            assert control is None


def test_a_pruned_control_has_the_whole_budget_and_the_same_teacher() -> None:
    task = load_task("fashion-resnet")
    pruned = Recipe(steps=(Prune(ratio=0.5, epochs=3, rounds=3), *RECIPE.steps[1:]), seed=4)
    control = control_of(task, pruned)
    scratch = Prune(ratio=0.5, epochs=23, keep_weights=False)
    assert control == Recipe(steps=(scratch, *RECIPE.steps[1:]), seed=4)


@pytest.mark.parametrize(
    "steps",
    [
        (Replace(architecture=Architecture.SMALL_RESNET, epochs=5),),
        (Replace(architecture=Architecture.SMALL_RESNET, epochs=0), Distill(epochs=5)),
        (Replace(architecture=Architecture.SMALL_RESNET, epochs=2), Distill(epochs=3)),
    ],
)
def test_a_student_without_a_teacher_learns_as_long(steps: tuple[Replace | Distill, ...]) -> None:
    alone = Replace(architecture=Architecture.SMALL_RESNET, epochs=5, distill=False)
    control = control_of(load_task("fashion-resnet"), Recipe(steps=steps))
    assert control == Recipe(steps=(alone,))
