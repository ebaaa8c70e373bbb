"""Pruning curves as lines, as a map and in words."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

import dashboard.charts.pruning
import dashboard.words.channels
from dashboard.charts import layers_in_colour, pruning_alt, pruning_figure, pruning_map
from dashboard.charts.pruning import spread
from dashboard.charts.pruning_map import columns_of
from dashboard.words.channels import costs_told, redundancy_sentences
from optim.analysis.channel_cuts import (
    cut_recipe,
    measured_cuts,
    own_cuts,
    source_recipe,
    tells_its_cuts,
)
from optim.analysis.pruning_curves import PruningCurves
from optim.recipe import (
    Activation,
    Criterion,
    Precision,
    Prune,
    PruningUnit,
    Quantize,
    Recipe,
    ReplaceActivation,
    Scope,
    recipe_of,
)
from tests.dashboard.pruning_factories import ACCURACY, CHANNELS, LOSS, N, curves_of, deep_curves

EMPTY = PruningCurves(curves=(), score=ACCURACY, loss=LOSS, n=N)


def lines(figure):
    return {trace.customdata[0][0]: trace for trace in figure.data}


# --- curves --------------------------------------------------------------------------------------
def test_every_layer_is_a_line_from_whole_to_its_last_block() -> None:
    drawn = lines(pruning_figure(curves_of()))
    assert list(drawn) == list(CHANNELS)
    assert list(drawn["block.0.conv1"].x) == [0, 25, 50, 75]
    assert all(line.y[0] == pytest.approx(94) for line in drawn.values())


def test_few_layers_are_told_apart_by_colour_symbol_and_name() -> None:
    figure = pruning_figure(curves_of())
    styles = [(t.line.color, t.marker.symbol) for t in figure.data]
    assert len({colour for colour, _ in styles}) == len({s for _, s in styles}) == len(CHANNELS)
    assert {note.text for note in figure.layout.annotations} == set(CHANNELS)


def test_of_many_layers_the_worst_and_the_best_stand_out_and_the_rest_stay_behind() -> None:
    curves = deep_curves()
    shown = layers_in_colour(curves)
    assert len(shown) == 6
    assert shown[:3] == [f"features.{i}.block.conv" for i in range(3)]
    figure = pruning_figure(curves)
    widths = [trace.line.width for trace in figure.data]
    assert len(widths) == 33
    assert widths[:27] == [1] * 27
    assert min(widths[27:]) > 1


def test_picked_layers_are_drawn_in_colour_instead() -> None:
    figure = pruning_figure(deep_curves(), picked=["features.9.block.conv"])
    assert [t.customdata[0][0] for t in figure.data if t.line.width > 1] == [
        "features.9.block.conv"
    ]
    assert len(figure.layout.annotations) == 1


def test_names_at_the_ends_of_lines_do_not_touch() -> None:
    spots = spread([5.0, 5.0, 5.0, 0.0], 1.0, 0.0, 5.0)
    assert spots == [3.0, 4.0, 5.0, 0.0]


def test_a_hover_tells_channels_accuracy_loss_size_work_and_that_latency_is_predicted() -> None:
    told = lines(pruning_figure(curves_of()))["block.0.conv1"].customdata[2][1]
    for part in (
        "32 of 64 channels stay (50 % removed)", "accuracy 87.56 %, 6.44 points lost",
        "loss 0.458", "875 k parameters, 35 M MACs", "predicted: 1.75 ms",
    ):  # fmt: skip
        assert part in told
    unknown = lines(pruning_figure(curves_of(timed=False)))["stem"].customdata[1][1]
    assert "predicted" not in unknown


def test_loss_has_an_axis_of_its_own_that_is_logarithmic_when_it_must_be() -> None:
    figure = pruning_figure(curves_of(), cost="loss")
    assert figure.data[0].y[0] == pytest.approx(LOSS)
    assert figure.layout.yaxis.type == "linear"
    assert "lower is better" in figure.layout.yaxis.title.text
    small = replace(curves_of(), loss=0.01)
    assert pruning_figure(small, cost="loss").layout.yaxis.type == "log"


def test_phones_have_a_legend_below_instead_of_names_at_the_side() -> None:
    figure = pruning_figure(curves_of(), narrow=True)
    assert not figure.layout.annotations
    assert all(trace.showlegend for trace in figure.data)
    assert figure.layout.margin.r == 8


# --- map -----------------------------------------------------------------------------------------
def test_a_cell_is_a_measured_cut_with_the_points_it_costs() -> None:
    (cells,) = pruning_map(curves_of()).data
    row = list(CHANNELS).index("block.0.conv1")
    columns = columns_of(curves_of())
    assert cells.text[row][columns.index(0.5)] == "6.4"
    assert cells.z[row][columns.index(0.5)] ** 2 == pytest.approx(6.44, abs=0.01)
    assert cells.z[row][columns.index(0.12)] is None
    assert cells.text[row][columns.index(0.12)] == ""


def test_every_measured_cut_of_a_shallow_network_has_a_cell() -> None:
    curves = curves_of()
    (cells,) = pruning_map(curves).data
    filled = sum(text != "" for row in cells.text for text in row)
    assert filled == sum(len(curve.points) - 1 for curve in curves.curves)


def test_a_deep_network_has_eighths_as_columns_and_none_is_empty() -> None:
    (cells,) = pruning_map(deep_curves()).data
    assert len(cells.x) <= 8
    assert all(any(row[i] != "" for row in cells.text) for i in range(len(cells.x)))


@pytest.mark.parametrize("dark", [False, True])
def test_the_scale_grows_steadily_away_from_the_page(dark: bool) -> None:
    scale = [colour for _, colour in pruning_map(curves_of(), dark=dark).data[0].colorscale]
    light = [sum(int(c[i : i + 2], 16) * w for i, w in ((1, 3), (3, 6), (5, 1))) for c in scale]
    assert light == sorted(light, reverse=not dark)


def test_loss_can_be_mapped_too() -> None:
    (cells,) = pruning_map(curves_of(), cost="loss").data
    assert cells.text[1][columns_of(curves_of()).index(0.5)] == "0.26"
    assert cells.colorbar.title.text == "Loss<br>added"


# --- both ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("draw", [pruning_figure, pruning_map])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("cost", ["accuracy", "loss"])
def test_a_hostile_name_is_only_text(draw, dark: bool, cost: str) -> None:
    figure = draw(curves_of({"<b>x</b>": 64, "y": 32}), dark=dark, cost=cost)
    assert "<b>x</b>" not in figure.to_json().replace("\\u003c", "<").replace("\\u003e", ">")


def test_without_layers_nothing_breaks_and_the_text_says_so() -> None:
    pruning_figure(EMPTY)
    pruning_map(EMPTY)
    assert pruning_alt(EMPTY) == "An empty chart: no layer can lose channels."


def test_the_text_for_screen_readers_has_the_numbers() -> None:
    said = pruning_alt(curves_of())
    assert "4 layers, each pruned alone" in said
    assert "5,000 validation examples" in said
    assert "Most sensitive: stem, 51.55 points lost at 50 %" in said
    assert "Within 1 point can be pruned: block.1.conv1, 88 %" in said


# --- words ---------------------------------------------------------------------------------------
def test_redundant_layers_are_named_with_what_they_can_lose_alone() -> None:
    said = redundancy_sentences(curves_of())
    assert said[0] == "block.1.conv1 can lose 88 % of its channels within 1 point, alone."
    assert said[-1] == "stem bears it worst: 51.55 points lost without its first 50 %."
    many = redundancy_sentences(deep_curves())
    assert len(many) == 5
    assert "more can lose at least half of theirs" in many[3]


def test_where_nothing_is_redundant_that_is_said() -> None:
    assert "none is redundant" in redundancy_sentences(curves_of({"stem": 32}))[0]


@pytest.mark.parametrize("module", [dashboard.words.channels, dashboard.charts.pruning])
def test_examples_hold(module) -> None:
    assert doctest.testmod(module).failed == 0


def test_what_a_choice_costs_is_counted_and_its_time_predicted() -> None:
    """Half of one layer's channels halve its weights and those of the layer that reads them."""
    whole = {"stem": 0.0, "block.0.conv1": 0.0, "block.0.conv2": 0.0, "block.1.conv1": 0.0}
    told = costs_told(curves_of(), {**whole, "block.0.conv2": 0.5}, Precision.INT8)
    assert told == [
        "575 k parameters (57 %)",
        "23 M MACs (57 %)",
        "predicted 1.6x faster in INT8",
    ]
    assert len(costs_told(curves_of(timed=False), whole, Precision.FP32)) == 2
    assert costs_told(EMPTY, {}, Precision.FP32) == []


# --- recipes -------------------------------------------------------------------------------------
def test_channels_leave_the_network_as_it_was_before_it_was_pruned() -> None:
    relu = ReplaceActivation(activation=Activation.RELU)
    quantize = Quantize(precision=Precision.INT8)
    assert source_recipe(Recipe(steps=(Prune(ratio=0.5), quantize), seed=3)) == Recipe()
    assert source_recipe(Recipe(steps=(relu, Prune(ratio=0.5)))) == Recipe(steps=(relu,))


def test_a_pruned_candidate_opens_with_what_its_layers_have_lost() -> None:
    curves = curves_of()
    assert own_cuts(recipe_of(pruning_ratio=0.5), curves) == dict.fromkeys(CHANNELS, 0.5)
    single = Prune(ratio=0.5, layers=(("stem", 0.0),))
    assert own_cuts(Recipe(steps=(single,)), curves)["stem"] == 0.0
    assert set(own_cuts(Recipe(), curves).values()) == {0.0}


@pytest.mark.parametrize("changed", [{"scope": Scope.GLOBAL}, {"unit": PruningUnit.MACS}])
def test_a_cut_that_finds_its_own_shares_is_not_guessed(changed: dict) -> None:
    recipe = Recipe(steps=(Prune(ratio=0.5, **changed),))
    assert not tells_its_cuts(recipe)
    assert set(own_cuts(recipe, curves_of()).values()) == {0.0}


def test_shares_become_a_pruning_step_before_the_quantization() -> None:
    cuts = {"stem": 0.0, "block.0.conv1": 0.5}
    made = cut_recipe(recipe_of(precision="int8"), cuts, epochs=4, criterion=Criterion.L1)
    assert made == Recipe(
        steps=(
            Prune(ratio=0.0, layers=(("block.0.conv1", 0.5),), epochs=4, criterion=Criterion.L1),
            Quantize(precision=Precision.INT8),
        )
    )


def test_a_pruned_recipe_is_trained_as_before_and_without_cuts_it_is_not_pruned() -> None:
    recipe = recipe_of(pruning_ratio=0.5, epochs=7, distill=False, precision="int8")
    step = cut_recipe(recipe, {"stem": 0.5}, epochs=1, criterion=Criterion.L2).step(Prune)
    assert step == Prune(ratio=0.0, layers=(("stem", 0.5),), epochs=7, distill=False)
    whole = cut_recipe(recipe, {"stem": 0.0}, epochs=1, criterion=Criterion.L2)
    assert whole == recipe_of(precision="int8")


def test_shares_of_strangers_are_put_on_measured_points() -> None:
    cuts = measured_cuts({"block.0.conv1": 0.6, "unknown": 0.9}, curves_of())
    assert cuts == {**dict.fromkeys(CHANNELS, 0.0), "block.0.conv1": 0.5}
