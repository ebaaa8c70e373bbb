"""The predictor against worlds whose law is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from optim.artifact import Artifact, GraphFacts
from optim.candidate import Candidate, role_of
from optim.devices.environment import Environment
from optim.measure.measurement import Latency, Score
from optim.recipe import Precision, Prune, Quantize, Recipe, Replace, Sparsify, recipe_of
from optim.search.predict import predict

ENVIRONMENT = Environment(
    cpu="test", instructions=(), cores=1, threads=1, engine="none", engine_version="0"
)


def _law(recipe):
    """Latency and size fall with ratio and precision, each by its own factor."""
    speed = {"fp32": 1.0, "fp16": 1.0, "int8": 3.0, "int4": 1.0}[recipe.precision]
    shrink = {"fp32": 1.0, "fp16": 2.0, "int8": 4.0, "int4": 8.0}[recipe.precision]
    step = recipe.step(Prune)
    shallow = 2.0 if step is not None and step.blocks else 1.0
    return 4.0 * math.exp(-2 * recipe.pruning_ratio) / speed / shallow, 8e6 / shrink


def _measured(recipe, *, score=0.93):
    latency_ms, size = _law(recipe)
    samples = np.full((3, 5), latency_ms, np.float32)
    return Candidate(
        id=recipe.fingerprint[:12],
        task="any",
        recipe=recipe,
        role=role_of(recipe),
        artifact=Artifact(
            path=None, sha256="0" * 64, size_bytes=int(size), compressed_bytes=int(size)
        ),
        latency=Latency(
            baseline_ms=samples,
            candidate_ms=samples,
            null_ms=samples,
            baseline_sha256="0" * 64,
            cold_start_ms=1.0,
            environment=ENVIRONMENT,
        ),
        score=Score(
            n=1000, correct=round(1000 * score), worse=0, better=0, changed=0,
            split="test", baseline_sha256="0" * 64,
        ),
    )  # fmt: skip


def _world():
    asked = [
        (0.0, "fp32"),
        (0.0, "int8"),
        (0.5, "fp32"),
        (0.5, "int8"),
        (0.75, "int8"),
        (0, "fp16"),
    ]
    return [_measured(recipe_of(pruning_ratio=r, precision=p)) for r, p in asked]


@pytest.mark.parametrize(("ratio", "precision"), [(0.25, "int8"), (0.6, "fp32"), (0.5, "fp16")])
def test_a_law_of_factors_is_found_between_the_measured_points(ratio, precision):
    recipe = recipe_of(pruning_ratio=ratio, precision=precision)
    prediction = predict(recipe, _world())
    latency_ms, size = _law(recipe)
    assert prediction.latency_ms == pytest.approx(latency_ms, rel=0.1)
    assert prediction.size_bytes == pytest.approx(size, rel=0.1)
    low, high = prediction.latency_interval
    assert low < prediction.latency_ms < high


def test_beyond_the_last_ratio_the_slope_goes_on():
    prediction = predict(recipe_of(pruning_ratio=0.9, precision="int8"), _world())
    assert prediction.latency_ms == pytest.approx(_law(prediction.recipe)[0], rel=0.1)


def test_doubt_grows_away_from_what_is_measured_and_with_an_unknown_precision():
    def width(ratio, precision):
        low, high = predict(
            recipe_of(pruning_ratio=ratio, precision=precision), _world()
        ).latency_interval
        return math.log(high / low)

    assert width(0.25, "int8") > width(0.5, "int8")
    assert width(0.5, "int4") > width(0.5, "fp16")


def test_nothing_is_predicted_from_a_single_point_or_without_the_original():
    assert predict(recipe_of(precision="int8"), [_measured(Recipe())]) is None
    pruned = [_measured(recipe_of(pruning_ratio=r)) for r in (0.3, 0.5)]
    assert predict(recipe_of(precision="int8"), pruned) is None


def test_a_control_trained_from_scratch_does_not_move_the_prediction():
    control = Recipe(steps=(Prune(ratio=0.6, keep_weights=False),))
    recipe = recipe_of(pruning_ratio=0.6)
    without = predict(recipe, _world())
    assert predict(recipe, [*_world(), _measured(control, score=0.1)]) == without


def test_the_candidate_trained_most_alike_counts():
    short = _measured(recipe_of(pruning_ratio=0.5, epochs=1.0), score=0.90)
    long = _measured(recipe_of(pruning_ratio=0.5, epochs=8.0), score=0.94)
    world = [_measured(Recipe()), _measured(recipe_of(precision="int8")), short, long]
    asked = recipe_of(pruning_ratio=0.5, epochs=7.0, precision=Precision.FP32)
    assert predict(asked, world).score == pytest.approx(0.94, abs=0.005)
    assert predict(recipe_of(pruning_ratio=0.5), world).score == pytest.approx(0.90, abs=0.005)


def test_a_shallower_network_does_not_bend_the_curve_of_the_others():
    shallow = _measured(recipe_of(pruning_ratio=0.75, precision="int8", blocks=1))
    plain = recipe_of(pruning_ratio=0.7, precision="int8")
    assert predict(plain, [*_world(), shallow]).latency_ms == pytest.approx(
        predict(plain, _world()).latency_ms, rel=1e-6
    )


def test_what_a_block_saves_is_carried_over_to_other_ratios():
    shallow = _measured(recipe_of(pruning_ratio=0.75, precision="int8", blocks=1))
    asked = recipe_of(pruning_ratio=0.5, precision="int8", blocks=1)
    prediction = predict(asked, [*_world(), shallow])
    assert prediction.latency_ms == pytest.approx(_law(asked)[0], rel=0.1)


def test_a_variant_that_nobody_measured_is_guessed_with_more_doubt():
    asked = recipe_of(pruning_ratio=0.5, precision="int8", blocks=1)
    usual = recipe_of(pruning_ratio=0.5, precision="int8")
    unknown, known = predict(asked, _world()), predict(usual, _world())
    assert _width(unknown.latency_interval) > 2 * _width(known.latency_interval)


def test_a_ratio_of_macs_is_read_as_one_of_channels():
    asked = recipe_of(pruning_ratio=0.5, precision="int8")
    step = Prune(ratio=0.75, unit="macs")
    macs = Recipe(steps=(step, *asked.steps[1:]))
    found, usual = predict(macs, _world()), predict(asked, _world())
    assert found.latency_ms == pytest.approx(usual.latency_ms, rel=1e-6)
    assert _width(found.latency_interval) > _width(usual.latency_interval)


def test_which_channels_leave_each_layer_moves_accuracy_alone():
    asked = Recipe(steps=(Prune(ratio=0.5, criterion="taylor"), Quantize()))
    usual = predict(recipe_of(pruning_ratio=0.5, precision="int8"), _world())
    found = predict(asked, _world())
    assert found.latency_interval == usual.latency_interval
    assert _span(found.score_interval) > _span(usual.score_interval)
    better = predict(asked, [*_world(), _measured(Recipe(steps=asked.steps[:1]), score=0.95)])
    assert better.score == pytest.approx(0.95, abs=0.005)


def test_a_scope_that_changes_shapes_is_guessed_with_more_doubt():
    asked = Recipe(steps=(Prune(ratio=0.5, scope="global"), Quantize()))
    usual = predict(recipe_of(pruning_ratio=0.5, precision="int8"), _world())
    assert _width(predict(asked, _world()).latency_interval) > _width(usual.latency_interval)


def test_zeros_make_a_dense_file_neither_faster_nor_smaller():
    asked = Recipe(steps=(Sparsify(sparsity=0.9), Quantize()))
    found, dense = predict(asked, _world()), predict(Recipe(steps=(Quantize(),)), _world())
    assert found.latency_interval == dense.latency_interval
    assert found.size_interval == dense.size_interval
    assert _span(found.score_interval) > _span(dense.score_interval)


def test_nothing_is_said_of_a_student_until_one_like_it_is_measured():
    student = Replace(architecture="small_resnet", width=0.5)
    asked = Recipe(steps=(student, Quantize()))
    assert predict(asked, _world()) is None
    wider = _measured(Recipe(steps=(Replace(architecture="small_resnet"),)))
    assert predict(asked, [*_world(), wider]) is None
    same = _measured(Recipe(steps=(Replace(architecture="small_resnet", width=0.5, epochs=30),)))
    assert predict(asked, [*_world(), same]) is not None


def test_a_student_does_not_bend_the_curve_of_the_others():
    student = _measured(Recipe(steps=(Replace(architecture="resnet"), Quantize())), score=0.1)
    plain = recipe_of(pruning_ratio=0.4, precision="int8")
    assert predict(plain, [*_world(), student]) == predict(plain, _world())


def _span(interval):
    return interval[1] - interval[0]


def _width(interval):
    return math.log(interval[1] / interval[0])


BITS = {"fp32": 32, "fp16": 16, "int8": 8, "int4": 4}
OVERHEAD = {"fp32": 2_900, "fp16": 3_000, "int8": 14_000, "int4": 20_000}


def _parameters(ratio):
    return round(2e6 * (1 - ratio) ** 2)


def _counted(ratio, precision, *, engine="none", ms=None):
    """A candidate with known parameters, whose file is parameters x bits and an overhead."""
    made = _measured(recipe_of(pruning_ratio=ratio, precision=precision))
    size = _parameters(ratio) * BITS[precision] // 8 + OVERHEAD[precision]
    facts = GraphFacts(parameters=_parameters(ratio), macs=1, float_operators={}, operators=12)
    artifact = replace(made.artifact, size_bytes=size)
    samples = made.latency.candidate_ms if ms is None else np.full((3, 5), ms, np.float32)
    latency = replace(
        made.latency, candidate_ms=samples, environment=replace(ENVIRONMENT, engine=engine)
    )
    return replace(made, artifact=artifact, facts=facts, latency=latency)


@pytest.mark.parametrize("precision", ["fp16", "int8", "int4"])
def test_the_size_of_a_network_whose_parameters_are_known_is_arithmetic(precision):
    world = [_counted(0, "fp32"), _counted(0, precision), _counted(0.5, "fp32")]
    found = predict(recipe_of(pruning_ratio=0.5, precision=precision), world)
    expected = _parameters(0.5) * BITS[precision] / 8 + OVERHEAD[precision]
    assert found.size_bytes == pytest.approx(expected, rel=0.002)
    low, high = found.size_interval
    assert low < expected < high < 1.03 * low


def test_a_file_in_fp16_is_half_as_large_though_none_was_made():
    world = [_counted(0, "fp32"), _counted(0, "int8"), _counted(0.5, "int8")]
    for ratio in (0, 0.5):
        found = predict(recipe_of(pruning_ratio=ratio, precision="fp16"), world)
        assert found.size_bytes == pytest.approx(_parameters(ratio) * 2, rel=0.01)


def test_no_precision_makes_a_file_smaller_than_its_weights():
    world = [_counted(0, "fp32"), _counted(0, "int8"), _counted(0.3, "int8"), _counted(0.7, "fp32")]
    for ratio in (0.1, 0.3, 0.5, 0.9):
        sizes = {
            p: predict(recipe_of(pruning_ratio=ratio, precision=p), world).size_bytes for p in BITS
        }
        assert sizes["fp32"] == pytest.approx(2 * sizes["fp16"], rel=0.05)
        assert sizes["fp16"] > sizes["int8"] > sizes["int4"]


@pytest.mark.parametrize("measured", [True, False])
def test_an_engine_that_computes_fp16_in_fp32_is_not_faster_with_it(measured):
    world = [
        _counted(0, "fp32", engine="onnxruntime", ms=4.0),
        _counted(0, "int8", engine="onnxruntime", ms=0.8),
        _counted(0.5, "int8", engine="onnxruntime", ms=0.3),
    ]
    if measured:
        world.append(_counted(0, "fp16", engine="onnxruntime", ms=3.8))
    for ratio in (0, 0.4):
        half, whole = (
            predict(recipe_of(pruning_ratio=ratio, precision=p), world) for p in ("fp16", "fp32")
        )
        assert half.latency_ms == pytest.approx(whole.latency_ms)
        assert half.latency_interval == pytest.approx(whole.latency_interval)
