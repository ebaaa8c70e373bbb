from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

import dashboard.charts.layers
from dashboard.charts import layers_alt, layers_figure, waterfall_alt, waterfall_figure
from optim.analysis.layer_rows import layer_rows, remainders
from optim.recipe import MixedPrecision, Precision, Prune, Quantize, Recipe, recipe_of
from optim.recipe.edit import precisions_of, with_precisions
from tests.dashboard.layer_factories import LAYERS, REASON, profile_of, sensitivity, waterfall

INT8 = recipe_of(precision="int8")
FP32, WHOLE, HALF_BYTE = Precision.FP32, Precision.INT8, Precision.INT4


def rows_of(recipe: Recipe = INT8):
    return layer_rows(recipe, profile_of(WHOLE), profile_of(FP32), sensitivity())


# --- rows ----------------------------------------------------------------------------------------
def test_layers_are_rows_in_the_order_of_the_network() -> None:
    assert [row.layer for row in rows_of()] == list(LAYERS)
    assert [row.operator for row in rows_of()] == list(LAYERS.values())


def test_a_row_has_its_time_before_and_after_and_says_why_it_stayed_in_float() -> None:
    stem, conv, *_ = rows_of()
    assert stem.time_ms == pytest.approx(0.3)  # the activation that stayed in float included
    assert stem.float_time_ms == pytest.approx(0.3)
    assert stem.kernel == "QLinearConv + HardSigmoid"
    assert stem.reason == REASON
    assert conv.reason == ""


def test_no_time_is_lost_between_layers_and_the_rest() -> None:
    profile = profile_of(WHOLE)
    together = sum(row.time_ms for row in rows_of())
    together += sum(part.time_ms for part in remainders(profile, None))
    assert together == pytest.approx(profile.total_ms)
    assert remainders(None, None) == ()


def test_a_row_tells_the_sensitivity_of_the_precision_it_has_or_would_get() -> None:
    assert {row.asked for row in rows_of()} == {WHOLE}
    mixed = with_precisions(INT8, {"stem": FP32, "block.conv1": WHOLE, "block.conv2": WHOLE,
                                "head": HALF_BYTE})  # fmt: skip
    stem, *_, head = rows_of(mixed)
    assert (stem.precision, stem.asked) == (FP32, WHOLE)
    assert (head.precision, head.asked) == (HALF_BYTE, HALF_BYTE)
    assert head.size_bytes == 5600
    assert stem.noise == pytest.approx(10 ** (-30 / 20))


def test_rows_can_be_told_from_a_profile_or_a_sensitivity_alone() -> None:
    timed = layer_rows(INT8, profile_of(WHOLE), None, None)
    assert [row.layer for row in timed] == list(LAYERS)
    assert timed[0].noise is None
    assert timed[0].float_time_ms is None
    asked = layer_rows(INT8, None, None, sensitivity())
    assert asked[0].time_ms is None
    assert layer_rows(INT8, None, None, None) == ()


# --- mixes ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("recipe", [INT8, recipe_of(precision="int4", pruning_ratio=0.5)])
def test_a_mix_gives_each_layer_the_chosen_precision(recipe: Recipe) -> None:
    wanted = dict(zip(LAYERS, (FP32, WHOLE, HALF_BYTE, WHOLE), strict=True))
    mixed = with_precisions(recipe, wanted)
    assert precisions_of(mixed, LAYERS) == wanted
    assert mixed.training_prefix() == recipe.training_prefix()
    assert mixed.step(Quantize) == recipe.step(Quantize)


def test_a_mix_without_a_difference_is_the_recipe_itself() -> None:
    for recipe in (INT8, recipe_of(precision="int4"), recipe_of(pruning_ratio=0.5)):
        assert with_precisions(recipe, precisions_of(recipe, LAYERS)) == recipe


def test_the_first_layer_of_an_int4_file_has_eight_bits_unless_it_is_named() -> None:
    int4 = recipe_of(precision="int4")
    usual = precisions_of(int4, LAYERS)
    assert list(usual.values()) == [WHOLE, HALF_BYTE, HALF_BYTE, HALF_BYTE]
    named = with_precisions(int4, {**usual, "stem": HALF_BYTE})
    assert named.step(MixedPrecision) == MixedPrecision(layers={"stem": HALF_BYTE})


def test_all_layers_in_fp32_is_no_quantization_at_all() -> None:
    mixed = with_precisions(
        recipe_of(precision="int8", pruning_ratio=0.5), dict.fromkeys(LAYERS, FP32)
    )
    assert mixed == Recipe(steps=(Prune(ratio=0.5),))


def test_single_layers_of_a_float_candidate_are_quantized_to_int8() -> None:
    mixed = with_precisions(Recipe(), {**dict.fromkeys(LAYERS, FP32), "head": WHOLE})
    assert mixed.step(Quantize) == Quantize()
    only = mixed.step(MixedPrecision)
    assert only is not None
    assert {name for name, _ in only.layers} == set(LAYERS) - {"head"}


# --- the chart of layers -------------------------------------------------------------------------
def bars(figure, name: str):
    return next(t for t in figure.data if t.name == name)


def test_the_chart_keeps_the_order_and_has_every_layer_in_every_panel() -> None:
    figure = layers_figure(rows_of(), remainders(profile_of(WHOLE), profile_of(FP32)))
    names = list(figure.layout.yaxis.ticktext)
    assert names == [*LAYERS, "conversions", "other operators"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # first layer on top
    for name in ("time", "sensitivity", "bytes"):
        told = [row[0] for row in bars(figure, name).customdata if row[0]]
        assert told == list(LAYERS)


def test_the_float_parent_is_an_outline_around_the_solid_bar() -> None:
    figure = layers_figure(rows_of())
    outline = bars(figure, "time, FP32")
    assert outline.marker.color == "rgba(0,0,0,0)"
    assert list(outline.x) == pytest.approx([0.3, 0.6, 0.9, 1.2])
    assert outline.width > bars(figure, "time").width


@pytest.mark.parametrize("dark", [False, True])
def test_precisions_differ_in_colour_and_pattern(dark: bool) -> None:
    wanted = dict(zip(LAYERS, (FP32, WHOLE, HALF_BYTE, WHOLE), strict=True))
    figure = layers_figure(rows_of(with_precisions(INT8, wanted)), dark=dark)
    weights = bars(figure, "bytes").marker
    assert len(set(weights.color)) == len(set(weights.pattern.shape)) == 3
    listed = [t.name for t in figure.data if t.showlegend]
    assert listed == ["FP32", "INT8", "INT4"]


def test_every_bar_has_its_figure_in_words() -> None:
    figure = layers_figure(rows_of())
    assert bars(figure, "time, figures").text[1].strip() == "0.2 ms"
    assert bars(figure, "sensitivity, figures").text[0].strip() == "3.16 %"
    assert bars(figure, "bytes, figures").text[3].strip() == "10.4 KB"
    points = layers_figure(rows_of(), sensitivity="accuracy")
    assert bars(points, "sensitivity, figures").text[0].strip() == "0.20"


def test_a_panel_that_nobody_has_looked_into_says_so() -> None:
    figure = layers_figure(layer_rows(INT8, profile_of(WHOLE), None, None))
    titles = [note.text for note in figure.layout.annotations]
    assert titles[1:] == ["Sensitivity: not looked at yet", "Weights: not looked at yet"]
    lossless = [replace(row, score_drop=0.0) for row in rows_of()]
    figure = layers_figure(lossless, sensitivity="accuracy")
    assert figure.layout.annotations[1].text == "Sensitivity: nothing lost"


def test_a_phone_gets_one_panel_at_a_time_and_short_names() -> None:
    long = [replace(row, layer=f"features.0.{row.layer}.convolution") for row in rows_of()]
    figure = layers_figure(long, panels=("time",), narrow=True)
    assert {t.name for t in figure.data if not t.showlegend} == {
        "time", "time, FP32", "time, figures",
    }  # fmt: skip
    assert max(map(len, figure.layout.yaxis.ticktext)) <= 17


def test_layer_names_of_strangers_are_escaped() -> None:
    rows = [replace(rows_of()[0], layer="<img src=x>")]
    drawn = layers_figure(rows).to_json()
    assert "<img" not in drawn.replace("\\u003c", "<")


def test_the_alternative_text_names_the_slowest_and_the_most_sensitive() -> None:
    told = layers_alt(rows_of(), remainders(profile_of(WHOLE), None))
    assert "Chart of 4 layers" in told
    assert "Slowest: head, 0.4 ms (1.2 ms in FP32)" in told
    assert "Most sensitive: stem, 3.16 % noise in INT8" in told
    assert "Beyond the layers: conversions, 0.15 ms" in told
    assert "nothing is known" in layers_alt(())


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(dashboard.charts.layers).failed == 0


# --- the waterfall -------------------------------------------------------------------------------
def test_the_waterfall_goes_down_from_fp32_to_the_file() -> None:
    found = waterfall()
    (trace,) = waterfall_figure(found.stages, n=found.n).data
    assert list(trace.x) == pytest.approx([-0.08, -0.14, -0.22])
    assert list(trace.measure) == ["relative", "relative", "total"]
    assert list(trace.text) == ["\N{MINUS SIGN}0.08", "\N{MINUS SIGN}0.14", "\N{MINUS SIGN}0.22"]


def test_one_answer_more_is_seen_in_the_figures_of_the_waterfall() -> None:
    before, after, _ = waterfall().stages
    stages = (before, replace(after, score=before.score + 1 / 2048))
    (trace,) = waterfall_figure(stages, n=2048).data
    assert list(trace.text) == ["+0.05", "+0.05"]


def test_a_waterfall_without_a_loss_is_still_drawn() -> None:
    stages = [replace(stage, score=0.94) for stage in waterfall().stages]
    figure = waterfall_figure(stages, n=5000, dark=True, narrow=True)
    low, high = figure.layout.xaxis.range
    assert low < 0 < high
    assert list(figure.data[0].text) == ["0", "0", "0"]


def test_the_waterfall_in_words_has_its_numbers() -> None:
    told = waterfall_alt(waterfall().stages, n=5000)
    assert "From 94.00 % in FP32 to 93.78 % on 5,000 validation examples" in told
    assert "weights in INT8: \N{MINUS SIGN}0.08 points" in told
