"""Sensitivity of a tiny network: what must hold whatever the weights are."""

import json
import math

import numpy as np
import pytest

from optim.analysis.sensitivity import Sensitivity, layer_noise, measure_sensitivity
from optim.devices.target import Target
from optim.errors import RefusedError
from optim.graph.fuse import fuse
from optim.graph.onnx_file import read_model
from optim.graph.simulation.layerwise import calibrate_layers
from optim.pipeline.make import make_candidate
from optim.recipe import Precision, Quantize, QuantizeAware, Recipe, recipe_of
from optim.store.results import Results
from tests.small_task import small_task


def silent(share: float, words: str) -> None:
    """Nobody looks."""


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return Results(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def found(task, results):
    return measure_sensitivity(
        results, task, make_candidate(results, task, Recipe()), Target(), progress=silent
    )


def rows_of(found, precision):
    return [row for row in found.rows if row.precision is precision]


def test_every_layer_has_a_row_in_every_precision(found):
    names = [row.layer for row in rows_of(found, Precision.FP32)]
    assert len(names) == len(set(names)) > 2
    for precision in (Precision.INT8, Precision.INT4):
        assert [row.layer for row in rows_of(found, precision)] == names


def test_keeping_a_layer_in_float_costs_no_accuracy(found):
    for row in rows_of(found, Precision.FP32):
        assert row.score_drop == 0
        assert row.sqnr_db == math.inf
        assert row.alone_in_float_gain is None


def test_four_bits_are_never_quieter_than_eight_and_always_smaller(found):
    for eight, four in zip(
        rows_of(found, Precision.INT8), rows_of(found, Precision.INT4), strict=True
    ):
        assert four.sqnr_db < eight.sqnr_db
        assert four.size_bytes < eight.size_bytes


def test_sizes_add_up_to_the_file(found, task, results):
    file = make_candidate(results, task, recipe_of(precision="int8")).artifact.path
    layers = sum(row.size_bytes for row in rows_of(found, Precision.INT8))
    assert found.rest_bytes + layers == file.stat().st_size


def test_layers_are_timed_in_every_precision(found):
    assert all(row.time_ms is not None and row.time_ms > 0 for row in found.rows)
    assert found.rest_ms is not None


def test_noise_is_measured_twice_alike(task, found):
    model = read_model(fuse(make_model(task)))
    calibrated = calibrate_layers(model, Quantize(), task.split("calibration").inputs)
    again = layer_noise(calibrated, task.split("validation").take(96))
    assert [row.sqnr_db for row in again.rows] == [row.sqnr_db for row in found.rows]


def make_model(task):
    from optim.graph.export import export_onnx

    return export_onnx(task.network(), task.input_shape)


def test_noise_of_layers_adds_up_to_that_of_all_of_them(task):
    """What allocation relies on. The noise of tensors that no layer reads is nobody's."""
    from optim.graph.simulation.layerwise import quantized_throughout, walk
    from optim.measure.noise import noise_power, sqnr_db

    model = read_model(fuse(make_model(task)))
    calibrated = calibrate_layers(model, Quantize(), task.split("calibration").inputs)
    split = task.split("validation")
    noise = layer_noise(calibrated, split)
    names = [layer.name for layer in calibrated.layers]
    stop = next(walk(model, names, split.inputs))
    exact = stop.answer(stop.x, stop.weight)
    for precision in (Precision.INT8, Precision.INT4):
        whole = quantized_throughout(calibrated, dict.fromkeys(names, precision))
        stop = next(walk(whole, names, split.inputs))
        together = sqnr_db(exact, stop.answer(stop.x, stop.weight))
        power = sum(noise_power(row.sqnr_db) for row in rows_of(noise, precision))
        assert -10 * np.log10(power) == pytest.approx(together, abs=4.0)


def test_a_quantized_candidate_is_looked_at_through_its_float_parent(task, results, found):
    quantized = make_candidate(results, task, recipe_of(precision="int4"))
    seen = measure_sensitivity(results, task, quantized, Target(), progress=silent)
    assert [row.sqnr_db for row in seen.rows] == [row.sqnr_db for row in found.rows]


def test_weights_trained_for_a_grid_are_refused(task, results):
    recipe = Recipe(steps=(QuantizeAware(), Quantize(precision=Precision.INT4)))
    candidate = make_candidate(results, task, Recipe())
    trained = type(candidate)(**{**vars(candidate), "recipe": recipe})
    with pytest.raises(RefusedError, match="trained for the quantizers of one precision"):
        measure_sensitivity(results, task, trained, Target(), progress=silent)


def test_a_sensitivity_survives_the_store(found):
    assert Sensitivity.from_dict(json.loads(json.dumps(found.to_dict()))) == found
