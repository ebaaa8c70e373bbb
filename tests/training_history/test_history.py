"""How trainings went, and what they say when they stand beside each other."""

from __future__ import annotations

import doctest

import pytest

import optim.recipe.edit
import optim.training_history.history
from optim.recipe import Distill, Precision, Prune, Recipe, Replace, recipe_of
from optim.recipe.edit import without_teacher
from optim.training_history.data_efficiency import Supervision, data_efficiency
from optim.training_history.distillation_gain import pairs
from optim.training_history.history import (
    Standing,
    network_words,
    seconds_to_train,
    stage_recipes,
    trainings,
)
from optim.training_history.pruning_rounds import pruning_paths
from tests.dashboard.training_factories import (
    ALONE,
    AT_ONCE,
    INT8,
    NARROW,
    ROUNDS,
    TASK,
    TAUGHT,
    N,
    asked_for,
    data_efficiency_recipes,
    epochs,
    finished,
    log_name,
    logs,
    rows_of,
)


# --- rows ----------------------------------------------------------------------------------------
def test_each_training_is_a_row_with_its_seconds_added_up() -> None:
    with_teacher, without, rounds, at_once = rows_of()
    assert [m.seconds for m in with_teacher.moments] == [12, 24, 36]
    assert with_teacher.final is not None
    assert with_teacher.final.score == 0.912
    assert (with_teacher.has_teacher, without.has_teacher) == (True, False)
    assert with_teacher.network == without.network == "student squeezenet of 50 % width"
    assert rounds.planned_epochs == at_once.planned_epochs == 3


def test_rounds_of_pruning_are_one_training_and_not_three() -> None:
    rounds = rows_of((ROUNDS, *stage_recipes(ROUNDS)[:-1]))
    assert len(rounds) == 1
    assert [m.stage for m in rounds[0].moments] == [0, 1, 2]
    assert [m.seconds for m in rounds[0].moments] == [10, 20, 30]


def test_what_is_kept_begins_anew_with_each_round_for_the_network_is_another() -> None:
    (rounds,) = rows_of((ROUNDS,))
    assert [m.kept for m in rounds.moments] == [0.93, 0.92, 0.90]


def test_the_precisions_of_a_training_are_one_row_that_knows_their_test_accuracy() -> None:
    (row,) = rows_of((TAUGHT.training_prefix(), TAUGHT))
    assert set(row.tested) == {Precision.FP32, Precision.INT8}
    assert row.shown == TAUGHT.fingerprint[:12]
    assert row.parameters == 100_000


def test_a_training_is_waiting_running_stopped_or_finished() -> None:
    half = {log_name(TAUGHT): epochs(0.7)}

    def standing(**asked: list[Recipe]) -> Standing:
        (row,) = trainings(TASK, [asked_for(TAUGHT)], lambda name: half.get(name, ()), **asked)
        return row.standing

    assert standing(running=[TAUGHT]) is Standing.RUNNING
    assert standing(waiting=[TAUGHT]) is Standing.WAITING
    assert standing() is Standing.STOPPED
    assert rows_of((TAUGHT,))[0].standing is Standing.FINISHED


def test_a_training_that_stopped_early_by_patience_is_finished() -> None:
    (row,) = rows_of((TAUGHT,), {log_name(TAUGHT): epochs(0.7, 0.6)})
    assert row.standing is Standing.FINISHED


def test_what_was_never_logged_and_is_not_asked_for_is_no_row() -> None:
    assert rows_of((TAUGHT,), {}) == ()
    assert rows_of((Recipe(), recipe_of(precision="int8"))) == ()
    assert len(rows_of((TAUGHT,), {}, running=(TAUGHT,))) == 1


def test_a_step_without_epochs_is_no_stage() -> None:
    recipe = Recipe(steps=(Prune(ratio=0.5, epochs=2), Distill(epochs=3)))
    assert [len(each.steps) for each in stage_recipes(recipe)] == [1, 2]
    assert [len(each.steps) for each in stage_recipes(TAUGHT)] == [2]
    assert stage_recipes(Recipe()) == ()


def test_a_network_is_named_alike_whoever_teaches_it_and_however_long() -> None:
    longer = Recipe(steps=(NARROW, Distill(epochs=9, alpha=0, data_share=0.1)))
    assert network_words(longer) == network_words(TAUGHT)
    wider = Recipe(steps=(Replace(architecture="squeezenet", width=0.75, epochs=2),))
    assert network_words(wider) != network_words(TAUGHT)


def test_the_time_of_a_training_is_guessed_from_epochs_of_the_same_network() -> None:
    rows = rows_of((TAUGHT,))
    longer = Recipe(steps=(NARROW, Distill(epochs=10), INT8))
    tenth = Recipe(steps=(NARROW, Distill(epochs=10, data_share=0.1), INT8))
    guess, less = seconds_to_train(longer, rows, []), seconds_to_train(tenth, rows, [])
    assert guess == pytest.approx(10 * 12 + 13)
    assert less is not None
    assert less < 0.4 * guess
    assert seconds_to_train(recipe_of(pruning_ratio=0.5), rows, []) is None
    assert seconds_to_train(TAUGHT, rows, [finished(TAUGHT.training_prefix())]) == 13


# --- pairs ---------------------------------------------------------------------------------------
def test_the_twin_without_a_teacher_differs_in_nothing_else() -> None:
    distill = Distill(epochs=3, temperature=2, data_share=0.1, patience=2, labels=False)
    twin = without_teacher(Recipe(steps=(NARROW, distill, INT8), seed=3))
    assert twin.seed == 3
    assert twin.steps == (NARROW, Distill(epochs=3, data_share=0.1, patience=2, alpha=0), INT8)
    rounds = without_teacher(ROUNDS).step(Prune)
    assert rounds == Prune(ratio=0.75, rounds=3, epochs=3, distill=False)
    assert without_teacher(ALONE) == ALONE


def test_a_pair_is_compared_at_equal_time_and_at_equal_epochs() -> None:
    (pair,) = pairs(rows_of())
    time, same = pair.at_equal_time(N), pair.at_equal_epochs(N)
    assert time is not None
    assert same is not None
    assert (time.first.seconds, time.second.seconds) == (24, 30)  # an epoch later it would be 36
    assert time.gain == pytest.approx(0.89 - 0.889)
    assert time.tied
    assert (same.first.epoch, same.second.epoch) == (3, 3)
    assert same.gain == pytest.approx(0.023)
    assert not same.tied
    assert pair.over


@pytest.mark.parametrize("shipped", [(TAUGHT,), (ALONE,), (TAUGHT, ALONE)])
def test_the_seconds_of_a_shipped_training_compare_with_none(shipped: tuple[Recipe, ...]) -> None:
    (pair,) = pairs(rows_of((TAUGHT, ALONE), shipped=shipped))
    assert not pair.timed_alike
    assert pair.at_equal_time(N) is None
    same = pair.at_equal_epochs(N)
    assert same is not None
    assert same.gain == pytest.approx(0.023)


def test_the_best_epoch_so_far_is_what_is_compared_for_it_is_what_is_kept() -> None:
    known = {**logs(), log_name(TAUGHT): epochs(0.93, 0.90, 0.91)}
    (pair,) = pairs(rows_of((TAUGHT, ALONE), known))
    compared = pair.at_equal_epochs(N)
    assert compared is not None
    assert compared.first.kept == 0.93


def test_without_an_epoch_of_each_there_is_no_verdict() -> None:
    known = {log_name(TAUGHT): epochs(0.7)}
    (pair,) = pairs(rows_of((TAUGHT, ALONE), known, running=(ALONE,)))
    assert pair.at_equal_time(N) is None
    assert pair.at_equal_epochs(N) is None
    assert not pair.over


def test_the_twin_of_the_same_length_is_taken_else_the_longest() -> None:
    longer = Recipe(steps=(NARROW, Distill(epochs=9, alpha=0), INT8))
    known = {**logs(), log_name(longer): epochs(*[0.5] * 9)}
    (pair,) = pairs(rows_of((TAUGHT, longer, ALONE), known))
    assert pair.without_teacher.planned_epochs == 3
    (pair,) = pairs(rows_of((TAUGHT, longer), known))
    assert pair.without_teacher.planned_epochs == 9


# --- rounds --------------------------------------------------------------------------------------
def test_rounds_stand_beside_the_same_cut_at_once() -> None:
    (path,) = pruning_paths(rows_of())
    assert [r.score for r in path.rounds] == [0.93, 0.92, 0.90]
    assert [r.ratio for r in path.rounds] == pytest.approx([0.37, 0.603, 0.75], abs=0.001)
    assert path.at_once is not None
    assert path.at_once.recipe == AT_ONCE.training_prefix()


def test_rounds_to_come_are_known_while_the_first_one_trains() -> None:
    first = stage_recipes(ROUNDS)[0]
    (path,) = pruning_paths(rows_of((ROUNDS,), {log_name(first): epochs(0.9)}, running=(ROUNDS,)))
    assert [r.score for r in path.rounds] == [0.9, None, None]
    assert [r.over for r in path.rounds] == [True, False, False]
    assert path.at_once is None


# --- data efficiency -----------------------------------------------------------------------------
def test_shares_of_the_data_are_one_curve_for_each_way_of_learning() -> None:
    made = data_efficiency_recipes()
    rows = rows_of(list(made), {log_name(r): log for r, log in made.items()})
    (data,) = data_efficiency(rows, N)
    assert data.shares == (0.01, 0.1, 1.0)
    assert len(data.points) == 9
    assert {p.supervision for p in data.points} == set(Supervision)
    assert data.tested is Precision.INT8  # every file is tested in it
    assert data.n == 10_000


def test_one_file_without_a_test_accuracy_puts_the_whole_curve_on_validation() -> None:
    made = data_efficiency_recipes()
    rows = rows_of(
        list(made), {log_name(r): log for r, log in made.items()}, running=(next(iter(made)),)
    )
    (data,) = data_efficiency(rows, N)
    assert data.tested is None
    assert data.n == N
    known = {(p.supervision, p.share): p.score for p in data.points}
    assert known[Supervision.BOTH, 0.01] == 0.72


def test_a_network_that_had_all_data_is_no_question_of_little_data() -> None:
    assert data_efficiency(rows_of(), N) == ()


@pytest.mark.parametrize("module", [optim.recipe.edit, optim.training_history.history])
def test_examples_in_the_docstrings_hold(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted > 0
    assert found.failed == 0
