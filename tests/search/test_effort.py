"""How long a recipe will take, judged by what was trained: never by another network's training."""

from dataclasses import replace

import pytest

from optim.recipe import Distill, Prune, Quantize, Recipe, Replace, recipe_of
from optim.search.effort import GRAPH_STEPS_S, MEASURING_S, seconds_to_measure
from tests.dashboard.factories import candidate

REST = MEASURING_S + GRAPH_STEPS_S
HALF = replace(candidate(recipe_of(pruning_ratio=0.5)), seconds=40.0)
STUDENT = Replace(architecture="small_resnet", width=0.5, epochs=10.0)
TAUGHT = replace(candidate(Recipe(steps=(STUDENT,))), seconds=300.0)


def test_learning_from_a_teacher_counts_its_epochs():
    recipe = Recipe(steps=(Prune(ratio=0.5), Distill(epochs=3)))
    assert seconds_to_measure(recipe, [HALF]) == pytest.approx(REST + 4 * 40)


def test_a_student_takes_as_long_as_one_like_it_or_nobody_knows():
    longer = Recipe(steps=(replace(STUDENT, epochs=20.0), Quantize()))
    assert seconds_to_measure(longer, [HALF]) is None
    assert seconds_to_measure(longer, [HALF, TAUGHT]) == pytest.approx(REST + 20 * 30)
    wider = Recipe(steps=(replace(STUDENT, width=1.0),))
    assert seconds_to_measure(wider, [HALF, TAUGHT]) is None


def test_a_students_training_says_nothing_of_pruning():
    assert seconds_to_measure(recipe_of(pruning_ratio=0.4), [TAUGHT]) is None


def test_each_round_is_measured_too_and_its_last_training_alone_is_no_measure():
    rounds = Recipe(steps=(Prune(ratio=0.5, rounds=3, epochs=3.0),))
    assert seconds_to_measure(rounds, [HALF]) == pytest.approx(3 * REST + 3 * 40)
    last = replace(candidate(rounds), seconds=1.0)
    assert seconds_to_measure(recipe_of(pruning_ratio=0.5), [last]) is None


def test_a_ratio_of_macs_is_read_as_one_of_channels():
    macs = Recipe(steps=(Prune(ratio=0.75, unit="macs"),))
    quarter = replace(candidate(recipe_of(pruning_ratio=0.25)), seconds=80.0)
    assert seconds_to_measure(macs, [quarter, HALF]) == pytest.approx(REST + 40)
