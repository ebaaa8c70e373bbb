"""What quantization refuses, and with which words."""

import numpy as np
import onnx
import pytest
from onnx import helper

from optim.errors import RefusedError
from optim.graph.quantization.quantize import quantize
from optim.recipe import Precision, Quantize
from tests.graph.conftest import examples_of, exported_of
from tests.graph.quantization.test_quantize import of_motion, quantized
from tests.graph.test_fuse import model_of


def relu_model(**options):
    return model_of(
        [helper.make_node("Relu", ["input"], ["logits"])], {}, outputs=("N", 2, 6, 6), **options
    )


def test_a_network_without_weights_is_refused_with_a_reason():
    with pytest.raises(RefusedError, match="this network has none") as caught:
        quantize(relu_model(), Quantize(), np.ones((8, 2, 6, 6), np.float32))
    assert caught.value.refusal.reason.startswith("INT8 needs convolutions")


def test_a_quantized_network_is_refused():
    with pytest.raises(RefusedError, match="Start from the original"):
        quantize(quantized("motion_cnn", Precision.INT8), Quantize(), examples_of("motion_cnn"))


def test_an_old_opset_is_refused():
    with pytest.raises(RefusedError, match="opset 13 or later, this file has 12"):
        quantize(relu_model(opset=12), Quantize(), np.ones((8, 2, 6, 6), np.float32))


def test_activations_that_are_not_finite_are_refused():
    x = examples_of("motion_cnn").copy()
    x[3, 0, 0] = np.inf
    with pytest.raises(RefusedError, match="must be a finite number"):
        quantize(exported_of("motion_cnn"), Quantize(), x)


@pytest.mark.parametrize("shape", [(0, 6, 128), (8, 6, 127)])
def test_calibration_examples_must_fit_the_network(shape):
    with pytest.raises(ValueError, match=r"examples of shape \(6, 128\)"):
        quantize(exported_of("motion_cnn"), Quantize(), np.ones(shape, np.float32))


@pytest.mark.parametrize(
    ("step", "options", "reason"),
    [
        ({"precision": "fp16", "activations": "uint8"}, {}, "FP16 has no grid, so activations"),
        ({"precision": "fp16", "rounding": "learned"}, {}, "FP16 has no grid, so rounding"),
        ({"precision": "fp16", "bias_correction": True}, {}, "FP16 has no grid, so bias_correc"),
        ({"precision": "fp16", "equalize": True}, {}, "FP16 has no grid, so equalize"),
        ({"precision": "fp16", "smooth": 0.5}, {}, "FP16 has no grid, so smooth"),
        ({"precision": "fp16"}, {"layers": {"head": Precision.INT8}}, "all others FP16"),
        ({"activations": "float", "smooth": 0.5}, {}, "here they stay float"),
        ({}, {"layers": {"blocks.0.mian.3": Precision.FP32}}, "no layer 'blocks.0.mian.3'"),
        ({}, {"layers": "all"}, "nothing is left to quantize"),
        ({"equalize": True}, {"weight_scales": 1.0}, "equalize moves weights off the grid"),
        ({"smooth": 0.5}, {"weight_scales": 1.0}, "smooth moves weights off the grid"),
        ({"precision": "fp16"}, {"weight_scales": 1.0}, "trained for integers"),
        ({"precision": "int4"}, {"weight_scales": 1e-4}, "grid that INT4 cannot hold"),
    ],
)
def test_what_cannot_be_is_refused_with_reason_and_remedy(step, options, reason):
    options = dict(options)
    if options.get("layers") == "all":
        read = onnx.load_model_from_string(of_motion(Quantize()))
        options["layers"] = {n.name: Precision.FP32 for n in read.graph.node if n.name}
    if "weight_scales" in options:
        options["weight_scales"] = {"blocks.1.main.3": np.float32(options["weight_scales"])}
    with pytest.raises(RefusedError, match=reason) as caught:
        of_motion(Quantize(**step), **options)
    assert caught.value.refusal.remedy


def test_an_unknown_layer_is_refused_with_names_that_are_known():
    with pytest.raises(RefusedError, match=r"blocks\.0\.main\.3") as caught:
        of_motion(Quantize(), layers={"blocks.0.mian.3": Precision.FP32})
    assert "blocks.0.main.3" in caught.value.refusal.remedy
