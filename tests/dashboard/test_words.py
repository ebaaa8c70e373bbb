from __future__ import annotations

import doctest
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dashboard.words.quantities
import dashboard.words.words
from dashboard.charts.pareto.legend import SHORT
from dashboard.charts.theme import METHOD_COLOURS, METHOD_SYMBOLS
from dashboard.words import words
from dashboard.words.glossary import GLOSSARY, what_is
from optim.artifact import GraphFacts
from optim.jobs.job import Job, JobKind, JobState
from optim.recipe import (
    Distill,
    Precision,
    Prune,
    Quantize,
    Recipe,
    Replace,
    ReplaceActivation,
    Sparsify,
    recipe_of,
)
from optim.search.predict import predict
from tests.any_recipe import recipes
from tests.dashboard.factories import (
    ENVIRONMENT,
    accuracy_of,
    candidate,
    control,
    latency_of,
    sample_candidates,
)


@pytest.mark.parametrize("module", [dashboard.words.words, dashboard.words.quantities])
def test_the_examples_in_the_docstrings_hold(module) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    "write",
    [
        words.latency,
        words.size,
        words.count,
        words.percent,
        words.points,
        words.lost,
        words.faster,
        words.smaller,
        words.duration,
    ],
)
@pytest.mark.parametrize("nothing", [None, math.nan])
def test_what_is_not_known_is_a_dash(write, nothing) -> None:
    assert write(nothing) == "–"


@given(st.floats(1e-6, 1e7))
def test_a_latency_can_be_read_back_to_half_a_percent(ms: float) -> None:
    number, unit = words.latency(ms).replace(",", "").split()
    assert float(number) * {"µs": 1e-3, "ms": 1.0, "s": 1e3}[unit] == pytest.approx(
        ms, rel=0.0051, abs=1e-9
    )


@given(st.integers(1, 10**14))
def test_a_size_can_be_read_back_to_half_a_percent(size: int) -> None:
    number, unit = words.size(size).replace(",", "").split()
    scale = {"bytes": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert float(number) * scale == pytest.approx(size, rel=0.0051)
    assert float(number) < 1000 or unit == "TB"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (10.94, "10.9x faster"),
        (3.4, "3.4x faster"),
        (26.53, "26.5x faster"),
        (148.2, "148x faster"),
        (0.5, "2x slower"),
        (1.0, "as fast"),
        (0.99, "as fast"),
        (0.0, "–"),
    ],
)
def test_speed_ups_in_words(ratio: float, text: str) -> None:
    assert words.faster(ratio) == text


@pytest.mark.parametrize(("n", "text"), [(10_000, "92.96 %"), (1_000, "93.0 %"), (300, "93 %")])
def test_a_percentage_has_no_more_decimals_than_its_examples_carry(n: int, text: str) -> None:
    assert words.percent(0.9296, n=n) == text


def test_losses_and_gains_in_words() -> None:
    assert words.lost(-0.02) == "2 points lost"
    assert words.lost(-0.01) == "1 point lost"
    assert words.lost(0.0031, n=10_000) == "0.31 points gained"
    assert words.lost(-0.00001, n=10_000) == "no points lost"


def test_a_difference_inside_the_noise_is_called_so() -> None:
    assert words.score_change(accuracy_of(4, better=5)) == (
        "0.04 points lost, not distinguishable from the original"
    )
    assert words.score_change(accuracy_of(69, better=62)) == "0.69 points lost"
    assert words.score_change(accuracy_of(0, better=0)) == "every answer as before"


def test_changed_answers_say_both_sides() -> None:
    assert "131 worse, 62 better" in words.changed_answers(accuracy_of(69, better=62))


def test_the_relative_change_is_of_the_originals_accuracy() -> None:
    base, made = accuracy_of(0, better=0), accuracy_of(94)
    assert words.relative_change(made, base) == "-1.00 % relative"
    assert words.relative_change(made, None) == "–"


def test_an_accuracy_comes_with_its_interval_and_n() -> None:
    value = accuracy_of(69, better=62)
    assert words.score(value) == "93.31 %"
    assert words.score_interval(value) == "92.80 to 93.78 % (95 % interval, n = 10,000)"
    assert words.score_half_width(value) == "± 0.49"


def test_a_latency_comes_with_its_spread_and_the_noise_floor() -> None:
    value = latency_of(10.9)
    assert "in 8 of 10 runs, n = 450" in words.latency_spread(value)
    assert words.speedup_interval(value).startswith("10.9x faster (95 % interval 10.")
    assert words.noise_floor(value) == "the original against itself: 1.00x"


def test_provenance_says_what_was_measured_here() -> None:
    made = candidate(recipe_of(precision="int8"))
    assert words.provenance(made) == "measured"
    recorded = candidate(recipe_of(precision="int8"), recorded=True)
    assert words.provenance(recorded) == "measured, accuracy recorded"
    assert words.provenance(replace(recorded, latency=None)) == "latency not measured yet"
    assert words.provenance(replace(made, score=None)) == "accuracy not measured yet"
    assert words.provenance(replace(made, latency=None, score=None)) == "not measured"


def test_the_environment_is_one_line() -> None:
    line = words.environment(ENVIRONMENT)
    assert line == "AMD EPYC (AVX512-VNNI), ONNX Runtime 1.32.0, 1 thread"


@pytest.mark.parametrize(
    ("recipe", "method"),
    [
        (recipe_of(), "original"),
        (recipe_of(fuse=True), "fused"),
        (recipe_of(precision="int8"), "quantized"),
        (recipe_of(pruning_ratio=0.5), "pruned"),
        (recipe_of(pruning_ratio=0.5, precision="int8"), "pruned + quantized"),
        (control(0.5, Precision.INT8), "small net from scratch"),
        (Recipe(steps=(ReplaceActivation(),)), "other activations"),
        (recipe_of(blocks=2), "pruned"),
        (Recipe(steps=(Replace(architecture="resnet"), Quantize())), "student"),
        (
            Recipe(steps=(Replace(architecture="resnet", distill=False),)),
            "small net from scratch",
        ),
        (Recipe(steps=(Distill(),)), "student"),
        (Recipe(steps=(Prune(ratio=0.5), Distill())), "pruned"),
        (Recipe(steps=(Prune(ratio=0.5), Sparsify(), Quantize())), "sparse"),
    ],
)
def test_every_recipe_has_a_method(recipe, method: str) -> None:
    assert words.method(recipe) == method


@given(recipes())
def test_any_recipe_has_a_method_with_a_colour_a_symbol_and_a_place_in_the_legend(
    recipe: Recipe,
) -> None:
    method = words.method(recipe)
    assert method in METHOD_COLOURS
    assert method in METHOD_SYMBOLS
    assert method in SHORT or method == "original"


def test_a_candidate_against_the_original_in_one_line() -> None:
    candidates = sample_candidates()
    line = words.versus_baseline(candidates[6], candidates[0])
    assert line == "10.9x faster, 14.5x smaller, 0.69 points lost"
    assert words.versus_baseline(replace(candidates[6], latency=None), None) == "0.69 points lost"


def test_a_prediction_in_one_line_has_its_doubt() -> None:
    candidates = sample_candidates()
    guess = predict(recipe_of(pruning_ratio=0.6, precision="int8"), candidates)
    line = words.predicted(guess, candidates[0])
    assert "x faster" in line
    assert "x smaller" in line
    assert " % ± " in line


def job(state: JobState, **more) -> Job:
    made = Job(id="a", kind=JobKind.MAKE, key="k", payload={}, words="w", state=state)
    return replace(made, **more)


def test_every_state_of_a_job_has_its_word() -> None:
    assert words.job_state(job(JobState.RUNNING, progress=0.4)) == "running, 40 %"
    assert words.job_state(job(JobState.RUNNING, cancel_requested=True)) == "stopping"
    assert words.job_state(job(JobState.QUEUED, attempts=1)) == "waiting to be tried again"
    told = {words.job_state(job(state)) for state in JobState}
    assert len(told) == len(JobState)
    assert len({words.job_kind(kind) for kind in JobKind}) == len(JobKind)


def test_float_operators_are_counted_in_words() -> None:
    whole = GraphFacts(parameters=1, macs=1, float_operators={}, operators=12)
    some = replace(whole, float_operators={"Conv": 2, "Gemm": 1})
    assert words.float_operators(whole) == "none of 12 heavy operators left in float"
    assert words.float_operators(some) == "3 of 12 heavy operators run in float"


@pytest.mark.parametrize("term", sorted(GLOSSARY))
def test_explanations_are_one_to_three_plain_sentences(term: str) -> None:
    text = what_is(term)
    assert text.endswith(".")
    assert 30 < len(text) < 260
    assert "  " not in text
    assert not set("<>`*_") & set(text)


@pytest.mark.parametrize(
    "term",
    [
        "INT8",
        "Pruning ratio",
        "Pareto front",
        "p50",
        "Confidence interval",
        "Changed answers",
        "MACs",
        "Float operators",
        "A/A null",
        "Hypervolume",
        "QDQ",
        "Calibration",
    ],
)
def test_the_terms_of_the_pages_are_explained(term: str) -> None:
    assert term in GLOSSARY
