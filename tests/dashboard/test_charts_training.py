from __future__ import annotations

import doctest

import pytest

import dashboard.charts.training
from dashboard.charts.training import (
    DASHES,
    FAINT,
    MOST_NETWORKS,
    drawn,
    training_alt,
    training_figure,
)
from dashboard.charts.training_budgets import (
    data_efficiency_alt,
    data_efficiency_figure,
    rounds_alt,
    rounds_figure,
)
from dashboard.train.words import (
    data_efficiency_verdict,
    doubt,
    finding,
    rounds_verdict,
    table,
    title,
    verdict,
)
from optim.recipe import Distill, Prune, Recipe
from optim.training_history.data_efficiency import Supervision, data_efficiency
from optim.training_history.distillation_gain import pairs
from optim.training_history.history import stage_recipes
from optim.training_history.pruning_rounds import pruning_paths
from tests.dashboard.training_factories import (
    ALONE,
    NARROW,
    ROUNDS,
    TAUGHT,
    N,
    data_efficiency_recipes,
    epochs,
    log_name,
    logs,
    rows_of,
)

ORIGINAL = 0.929


def curves(figure):
    """The lines with data, without their ends."""
    return [t for t in figure.data if t.customdata is not None and not t.name.endswith(", end")]


# --- curves --------------------------------------------------------------------------------------
def test_with_and_without_a_teacher_are_one_colour_in_two_dashes() -> None:
    with_teacher, without = curves(
        training_figure(rows_of((TAUGHT, ALONE)), n=N, original=ORIGINAL)
    )
    assert with_teacher.line.color == without.line.color
    assert with_teacher.line.dash == DASHES[Supervision.BOTH]
    assert without.line.dash == DASHES[Supervision.LABELS]
    assert with_teacher.marker.symbol != without.marker.symbol


def test_networks_differ_in_colour() -> None:
    colours = {t.line.color for t in curves(training_figure(rows_of(), n=N, original=ORIGINAL))}
    assert len(colours) == 3


def test_the_network_in_focus_stands_out_of_the_others() -> None:
    rows = rows_of()
    figure = training_figure(rows, n=N, original=ORIGINAL, focus=rows[0].network)
    with_teacher, without, *others = curves(figure)
    assert with_teacher.opacity == without.opacity == 1
    assert {line.opacity for line in others} == {FAINT}
    unknown = training_figure(rows, n=N, original=ORIGINAL, focus="no such network")
    assert {line.opacity for line in curves(unknown)} == {1}


@pytest.mark.parametrize(
    ("against", "x", "axis"),
    [
        ("seconds", [12, 24, 36], "Training time, s of wall clock"),
        ("epochs", [1, 2, 3], "Epochs"),
    ],
)
def test_accuracy_stands_against_wall_clock_or_epochs(against, x, axis) -> None:
    figure = training_figure(rows_of((TAUGHT,)), n=N, original=ORIGINAL, against=against)
    (line,) = curves(figure)
    assert list(line.x) == x
    assert list(line.y) == pytest.approx([70, 89, 91.2])
    assert figure.layout.xaxis.title.text == axis


def test_long_trainings_are_told_in_minutes() -> None:
    rows = rows_of((TAUGHT,), {log_name(TAUGHT): epochs(0.7, 0.8, 0.9, seconds=600.0)})
    figure = training_figure(rows, n=N, original=ORIGINAL)
    assert list(curves(figure)[0].x) == [10, 20, 30]
    assert "min" in figure.layout.xaxis.title.text


def test_the_original_is_a_guide_line_and_the_end_has_its_interval() -> None:
    figure = training_figure(rows_of((TAUGHT,)), n=N, original=ORIGINAL)
    assert [shape.y0 for shape in figure.layout.shapes] == [pytest.approx(92.9)]
    assert "the original, 92.90 %" in figure.layout.annotations[0].text
    end = next(t for t in figure.data if t.name.endswith(", end"))
    assert end.error_y.array[0] == pytest.approx(0.76, abs=0.05)


def test_the_end_of_a_training_that_runs_is_hollow() -> None:
    known = {log_name(TAUGHT): epochs(0.7)}
    rows = rows_of((TAUGHT,), known, running=(TAUGHT,))
    line, end = (t for t in training_figure(rows, n=N, original=ORIGINAL).data if t.customdata)
    assert end.marker.color != line.line.color
    assert "running" in end.customdata[0][1]
    done = training_figure(rows_of((TAUGHT,)), n=N, original=ORIGINAL).data[1]
    assert done.marker.color == line.line.color


def test_the_view_is_about_where_trainings_end_and_not_where_a_fresh_network_begins() -> None:
    known = {log_name(TAUGHT): epochs(0.1, 0.5, 0.9)}
    figure = training_figure(rows_of((TAUGHT,), known), n=N, original=ORIGINAL)
    low, high = figure.layout.yaxis.range
    assert low > 80
    assert high > 93


def test_more_networks_than_colours_leave_the_oldest_out_but_never_the_chosen_one() -> None:
    recipes = [Recipe(steps=(Prune(ratio=0.05 * i),)) for i in range(1, 12)]
    rows = rows_of(recipes, {log_name(r): epochs(0.9) for r in recipes})
    shown = drawn(rows, rows[0].network)
    assert len({row.network for row in shown}) == MOST_NETWORKS
    assert rows[0] in shown
    assert rows[-1] in shown
    assert rows[1] not in shown


def test_markup_in_a_name_is_plain_text() -> None:
    recipe = Recipe(steps=(NARROW, Distill(epochs=3, teacher=("<script>x</script>",))))
    rows = rows_of((recipe,), {log_name(recipe): epochs(0.9)})
    assert "<script>" not in training_figure(rows, n=N, original=ORIGINAL).to_json()


def test_the_alternative_text_has_the_numbers() -> None:
    said = training_alt(rows_of((TAUGHT, ALONE)), n=N, original=ORIGINAL)
    assert "92.90 %" in said
    assert "teacher and labels: 91.20 % after 3 epochs and 36 s" in said
    assert training_alt((), n=N, original=ORIGINAL).startswith("An empty chart")


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_to_draw_is_an_empty_chart_and_no_error(dark: bool) -> None:
    assert curves(training_figure((), n=N, original=ORIGINAL, dark=dark)) == []


# --- rounds --------------------------------------------------------------------------------------
def test_rounds_go_from_the_original_down_beside_one_cut() -> None:
    (path,) = pruning_paths(rows_of())
    rounds, at_once = rounds_figure(path, n=N, original=ORIGINAL).data
    assert list(rounds.x) == pytest.approx([0, 37, 60.3, 75], abs=0.1)
    assert list(rounds.y) == pytest.approx([92.9, 93, 92, 90])
    assert list(at_once.x) == [75]
    assert list(at_once.y) == pytest.approx([88])
    assert "At once: 88.00 %" in rounds_alt(path, n=N, original=ORIGINAL)
    assert "rounds give +2.00 points" in rounds_verdict(path, N)


def test_rounds_to_come_are_marks_on_the_axis() -> None:
    first = stage_recipes(ROUNDS)[0]
    (path,) = pruning_paths(rows_of((ROUNDS,), {log_name(first): epochs(0.9)}, running=(ROUNDS,)))
    figure = rounds_figure(path, n=N, original=ORIGINAL)
    assert len(figure.data) == 1
    assert len(figure.layout.shapes) == 2
    assert rounds_verdict(path, N) == "1 of 3 rounds are done."


# --- data efficiency -----------------------------------------------------------------------------
def test_little_data_is_drawn_on_a_logarithmic_axis_three_ways() -> None:
    made = data_efficiency_recipes()
    rows = rows_of(
        list(made), {log_name(r): log for r, log in made.items()}, running=(next(iter(made)),)
    )
    (data,) = data_efficiency(rows, N)
    figure = data_efficiency_figure(data)
    assert figure.layout.xaxis.type == "log"
    assert [trace.name.lower() for trace in figure.data] == list(Supervision)
    assert list(figure.data[0].x) == [1, 10, 100]
    assert list(figure.data[0].y) == pytest.approx([72, 84, 91.2])
    assert "validation" in figure.layout.yaxis.title.text
    assert "72.00 % from 1 % of the data" in data_efficiency_alt(data)
    said = data_efficiency_verdict(data)
    assert "From 1 % of the data the teacher gives +8.00 points." in said


# --- words ---------------------------------------------------------------------------------------
def test_the_verdict_is_told_at_equal_time_and_at_equal_epochs() -> None:
    (pair,) = pairs(rows_of())
    said = verdict(pair, N)
    assert "After 30 s, the network with a teacher has 89.00 %, without 88.90 %" in said
    assert "+0.10 points on validation, but the intervals overlap: tied." in said
    assert "After 3 epochs, the network with a teacher has 91.20 %, without 88.90 %" in said
    assert "the teacher gives +2.30 points on validation." in said
    assert title(pair) == "Student SqueezeNet of 50 % width"


def test_of_shipped_trainings_only_the_epochs_are_compared() -> None:
    (pair,) = pairs(rows_of((TAUGHT, ALONE), shipped=(TAUGHT, ALONE)))
    said = verdict(pair, N)
    assert said.startswith("After 3 epochs, the network with a teacher has 91.20 %")
    assert said.endswith("what came with the sample was trained at different hours.")
    assert finding(pair, N) == "the teacher helps"
    assert "an epoch takes" not in doubt(pair, N)


def test_where_time_and_epochs_say_the_same_it_is_said_once() -> None:
    known = {log_name(TAUGHT): epochs(0.92), log_name(ALONE): epochs(0.90)}
    (pair,) = pairs(rows_of((TAUGHT, ALONE), known))
    assert verdict(pair, N).lower().count("after") == 2
    assert "After 10 s, and after 1 epoch as well, the network" in verdict(pair, N)
    assert finding(pair, N) == "the teacher helps"


def test_the_doubt_names_seed_examples_interval_and_what_a_teacher_costs() -> None:
    (pair,) = pairs(rows_of())
    said = doubt(pair, N)
    assert "One seed, n = 5,000 validation examples" in said
    assert "± 0.8 points (95 %)" in said
    assert "an epoch takes 12 s with the teacher and 10 s without" in said


def test_a_pair_that_still_trains_is_told_as_such() -> None:
    known = {**logs(), log_name(ALONE): epochs(0.6)}
    (pair,) = pairs(rows_of((TAUGHT, ALONE), known, running=(ALONE,)))
    assert "they still train" in doubt(pair, N)


def test_the_table_has_every_training_the_newest_first() -> None:
    rows = table(rows_of(), N)
    assert len({len(column) for column in rows.values()}) == 1
    assert rows["Learns from"] == [
        "teacher and labels", "teacher and labels", "labels alone", "teacher and labels",
    ]  # fmt: skip
    assert rows["Validation"][-1] == "91.20 %"
    assert rows["Epochs"][-1] == "3 of 3"


def test_examples_in_the_docstrings_hold() -> None:
    found = doctest.testmod(dashboard.charts.training)
    assert found.attempted > 0
    assert found.failed == 0
