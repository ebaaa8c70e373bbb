"""Walking a network layer by layer gives what whole files give."""

import numpy as np
import pytest

from optim.graph.fuse import fuse
from optim.graph.onnx_file import read_model
from optim.graph.quantization.quantize import quantize
from optim.graph.simulation.layerwise import (
    calibrate_layers,
    on_activation_grid,
    quantized_throughout,
    walk,
)
from optim.measure.noise import sqnr_db
from optim.recipe import Precision, Quantize
from tests.graph.conftest import examples_of, exported_of
from tests.graph.running import answers

QUANTIZED = (Precision.INT8, Precision.INT4)


@pytest.fixture(scope="module", params=["resnet", "motion_cnn"])
def calibrated(request):
    examples = examples_of(request.param)
    model = read_model(fuse(exported_of(request.param)))
    return request.param, calibrate_layers(model, Quantize(), examples)


def test_every_stop_gives_the_answers_of_the_whole_network(calibrated):
    architecture, found = calibrated
    examples = examples_of(architecture)
    expected = answers(exported_of(architecture), examples)
    names = [layer.name for layer in found.layers]
    stops = list(walk(found.model, names, examples))
    assert [stop.layer for stop in stops] == names
    for stop in stops[:: max(1, len(stops) // 6)]:
        np.testing.assert_allclose(stop.answer(stop.x, stop.weight), expected, atol=2e-4)


@pytest.mark.parametrize("precision", QUANTIZED)
def test_quantized_throughout_is_as_loud_as_the_file(calibrated, precision):
    architecture, found = calibrated
    examples = examples_of(architecture)
    exact = answers(exported_of(architecture), examples)
    names = [layer.name for layer in found.layers]
    file = quantize(
        exported_of(architecture),
        Quantize(precision=precision),
        examples,
        layers=dict.fromkeys(names, precision),
    )
    simulated = quantized_throughout(found, dict.fromkeys(names, precision))
    stop = next(walk(simulated, names, examples))
    ours = stop.answer(stop.x, stop.weight)
    assert sqnr_db(exact, ours) == pytest.approx(sqnr_db(exact, answers(file, examples)), abs=1.0)


def test_weights_alone_are_as_loud_as_the_file_with_float_activations(calibrated):
    architecture, found = calibrated
    examples = examples_of(architecture)
    names = [layer.name for layer in found.layers]
    step = Quantize(precision=Precision.INT4, activations="float")
    file = quantize(
        exported_of(architecture), step, examples, layers=dict.fromkeys(names, Precision.INT4)
    )
    simulated = quantized_throughout(found, dict.fromkeys(names, Precision.INT4), activations=False)
    stop = next(walk(simulated, names, examples))
    np.testing.assert_allclose(stop.answer(stop.x, stop.weight), answers(file, examples), atol=2e-3)


def test_float_layers_keep_their_weights(calibrated):
    _, found = calibrated
    for layer in found.layers:
        assert layer.on_grid(Precision.FP32) is layer.weight
        assert layer.size_bytes(Precision.FP32) == layer.weight.nbytes


def test_the_activation_grid_is_the_engines():
    from onnx import helper, numpy_helper

    from optim.graph.quantization.int8 import activation_grid

    low, high = -1.3, 2.9
    scale, zero = activation_grid(low, high)
    x = np.random.default_rng(0).normal(size=(4, 500)).astype(np.float32) * 2
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["input", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["logits"]),
        ],
        "grid",
        [helper.make_tensor_value_info("input", 1, (None, 500))],
        [helper.make_tensor_value_info("logits", 1, (None, 500))],
        [
            numpy_helper.from_array(np.asarray(scale), "s"),
            numpy_helper.from_array(np.asarray(zero), "z"),
        ],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    np.testing.assert_array_equal(
        on_activation_grid(x, low, high), answers(model.SerializeToString(), x)
    )
