import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from optim.graph.quantization.gptq import round_compensated
from optim.graph.quantization.layer_inputs import grouped, second_moments, ungrouped


@pytest.fixture
def layer():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(2, 6, 12)).astype(np.float32)
    mixing = rng.normal(size=(2, 12, 12))
    inputs = rng.normal(size=(2, 4000, 12)) @ mixing  # correlated, as neighbouring pixels are
    moments = inputs.transpose(0, 2, 1) @ inputs / inputs.shape[1]
    scale = np.abs(weight).max(axis=2, keepdims=True) / 7.3
    return weight, inputs, moments, scale


def test_errors_cancel_on_the_inputs(layer):
    weight, inputs, moments, scale = layer
    plain = np.clip(np.rint(weight / scale), -8, 7)
    ours = round_compensated(weight, moments, scale, low=-8, high=7)

    def output_error(levels):
        return (((levels * scale - weight) @ inputs.transpose(0, 2, 1)) ** 2).mean()

    assert output_error(ours) < 0.7 * output_error(plain)
    assert ours.min() >= -8
    assert ours.max() <= 7


def test_independent_inputs_are_rounded_to_the_nearest_level(layer):
    weight, _, _, scale = layer
    independent = np.broadcast_to(np.eye(12), (2, 12, 12))
    ours = round_compensated(weight, independent, scale, low=-8, high=7)
    np.testing.assert_array_equal(ours, np.clip(np.rint(weight / scale), -8, 7))


def test_an_input_that_is_always_zero_does_no_harm(layer):
    weight, _, moments, scale = layer
    moments = moments.copy()
    moments[:, 3, :] = moments[:, :, 3] = 0
    ours = round_compensated(weight, moments, scale, low=-8, high=7)
    assert np.isfinite(ours * scale).all()


@pytest.mark.parametrize(
    ("weight_shape", "input_shape", "options"),
    [
        ((6, 4, 3, 3), (4, 7, 8), {"strides": [2, 1], "pads": [1, 1, 1, 1]}),
        ((4, 1, 3, 3), (4, 6, 6), {"group": 4, "dilations": [2, 2]}),
        ((6, 3, 5), (3, 20), {"strides": [2], "pads": [2, 2]}),
    ],
)
def test_second_moments_of_a_convolution_are_those_of_its_patches(
    weight_shape, input_shape, options
):
    """E[(w x)^2] computed by the moments equals the mean square of the convolution itself."""
    rng = np.random.default_rng(1)
    weight = rng.normal(size=weight_shape).astype(np.float32)
    x = rng.normal(size=(8, *input_shape)).astype(np.float32)
    node = helper.make_node("Conv", ["input", "w"], ["logits"], **options)
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ("N", *input_shape))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    moments = second_moments(model, [node], x)["logits"]
    rows = grouped(weight, node)
    np.testing.assert_array_equal(ungrouped(rows, node, weight.shape), weight)
    by_moments = np.einsum("goi,gij,goj->go", rows, moments, rows).reshape(-1)
    space = len(input_shape) - 1
    convolution = getattr(torch.nn.functional, f"conv{space}d")
    out = convolution(
        torch.from_numpy(x),
        torch.from_numpy(weight),
        stride=options.get("strides", 1),
        padding=options.get("pads", [0] * space)[:space],
        dilation=options.get("dilations", 1),
        groups=options.get("group", 1),
    ).numpy()
    expected = (out**2).mean(axis=(0, *range(2, out.ndim)))
    np.testing.assert_allclose(by_moments, expected, rtol=1e-4)
