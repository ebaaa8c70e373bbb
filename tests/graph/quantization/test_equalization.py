"""Equalization and smoothing leave the function alone and move the ranges."""

import itertools

import numpy as np
import onnx
import pytest
from onnx import helper

from optim.errors import RefusedError
from optim.graph.fuse import fuse
from optim.graph.onnx_file import constants
from optim.graph.quantization.equalization import equalize, largest_by_input, smooth
from optim.graph.quantization.quantize import quantize
from optim.graph.quantization.unshared_initializers import with_unshared_initializers
from optim.recipe import Quantize
from tests.graph.conftest import examples_of, exported_of
from tests.graph.running import answers, noise_db
from tests.graph.test_fuse import model_of


def uneven(*shape):
    """Weights whose output channels differ in range by factors up to a hundred."""
    rng = np.random.default_rng(sum(shape))
    factors = 10 ** rng.uniform(-1, 1, shape[0])
    return (rng.normal(size=shape) * factors.reshape(-1, *[1] * (len(shape) - 1))).astype(
        np.float32
    )


def chain(clip_at=None):
    """Conv, ReLU, depthwise Conv, ReLU, Conv, pooling, Gemm."""
    clamp = "Relu" if clip_at is None else "Clip"
    bounds = [] if clip_at is None else ["low", "high"]
    constants = {
        "a": uneven(8, 2, 3, 3), "ab": uneven(8), "d": uneven(8, 1, 3, 3), "db": uneven(8),
        "c": uneven(6, 8, 1, 1), "g": uneven(3, 6), "gb": uneven(3),
    }  # fmt: skip
    if clip_at is not None:
        constants |= {"low": np.float32(0), "high": np.float32(clip_at)}
    return model_of(
        [
            helper.make_node("Conv", ["input", "a", "ab"], ["1"], name="a", pads=[1, 1, 1, 1]),
            helper.make_node(clamp, ["1", *bounds], ["2"]),
            helper.make_node("Conv", ["2", "d", "db"], ["3"], name="d", group=8),
            helper.make_node(clamp, ["3", *bounds], ["4"]),
            helper.make_node("Conv", ["4", "c"], ["5"], name="c"),
            helper.make_node("GlobalAveragePool", ["5"], ["6"]),
            helper.make_node("Flatten", ["6"], ["7"]),
            helper.make_node("Gemm", ["7", "g", "gb"], ["logits"], name="g", transB=1),
        ],
        constants,
    )


def prepared(content):
    return with_unshared_initializers(onnx.load_model_from_string(fuse(content)), biases=False)


def inputs(n=40):
    return np.random.default_rng(5).normal(size=(n, 2, 6, 6)).astype(np.float32)


def assert_same_answers(ours, theirs, x):
    expected = answers(theirs, x)
    np.testing.assert_allclose(
        answers(ours, x), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )


def test_equalizing_keeps_the_answers_and_evens_out_the_channels():
    model = prepared(chain())
    equalized = equalize(model)
    assert_same_answers(equalized.SerializeToString(), chain(), inputs())
    values = constants(equalized)
    layers = [node for node in equalized.graph.node if node.op_type in ("Conv", "Gemm")]
    for before, after in itertools.pairwise(layers):
        rows = np.abs(values[before.input[1]]).reshape(len(values[before.input[1]]), -1).max(axis=1)
        np.testing.assert_allclose(rows, largest_by_input(values, [after]), rtol=0.05)


def test_equalizing_helps_where_one_scale_must_serve_a_whole_tensor():
    x = inputs(64)
    exact = answers(chain(), x)
    plain, equalized = (
        noise_db(answers(quantize(chain(), step, x), x), exact)
        for step in (Quantize(per_channel=False), Quantize(per_channel=False, equalize=True))
    )
    assert equalized > plain + 2


def test_scales_do_not_move_through_relu6():
    model = prepared(chain(clip_at=6.0))
    equalized = equalize(model)
    assert_same_answers(equalized.SerializeToString(), chain(clip_at=6.0), inputs())
    before, after = constants(model), constants(equalized)
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    np.testing.assert_array_equal(before[layers[0].input[1]], after[layers[0].input[1]])
    assert not np.array_equal(before[layers[2].input[1]], after[layers[2].input[1]])


def test_all_layers_that_read_a_tensor_take_its_scale():
    """SqueezeNet: each squeezing layer is read by two that expand."""
    model = prepared(exported_of("squeezenet"))
    equalized = equalize(model)
    x = examples_of("squeezenet")[:4]
    assert_same_answers(equalized.SerializeToString(), exported_of("squeezenet"), x)


def test_a_tensor_that_others_read_keeps_its_scale():
    model = prepared(exported_of("resnet"))
    equalized = equalize(model)
    x = examples_of("resnet")[:4]
    assert_same_answers(equalized.SerializeToString(), exported_of("resnet"), x)


def norm_model():
    """LayerNormalization, two products that read it, one that reads their difference."""
    scale = (10 ** np.random.default_rng(9).uniform(-1, 1, 12)).astype(np.float32)
    nodes = [
        helper.make_node("LayerNormalization", ["input", "s", "b"], ["n"], axis=-1),
        helper.make_node("MatMul", ["n", "q"], ["1"], name="q"),
        helper.make_node("MatMul", ["n", "k"], ["2"], name="k"),
        helper.make_node("Sub", ["1", "2"], ["3"]),
        helper.make_node("Gemm", ["3", "g", "gb"], ["logits"], name="g", transB=1),
    ]
    return model_of(
        nodes,
        {
            "s": scale, "b": uneven(12), "q": uneven(12, 5), "k": uneven(12, 5) - 0.1,
            "g": uneven(3, 5), "gb": uneven(3),
        },
        shape=("N", 12),
    )  # fmt: skip


def test_smoothing_keeps_the_answers_and_divides_by_the_scale_where_it_can():
    content = norm_model()
    x = np.random.default_rng(3).normal(size=(50, 12)).astype(np.float32)
    model = prepared(content)
    smoothed = smooth(model, x, 0.5)
    assert_same_answers(smoothed.SerializeToString(), content, x)
    products = [node for node in smoothed.graph.node if node.op_type == "Mul"]
    assert len(products) == 1  # before the Gemm; the normalization takes the other scale itself
    assert products[0].output[0] in [n.input[0] for n in smoothed.graph.node if n.name == "g"]


def test_smoothing_helps_where_channels_of_the_activations_differ():
    content = norm_model()
    x = np.random.default_rng(3).normal(size=(64, 12)).astype(np.float32)
    exact = answers(content, x)
    plain, smoothed = (
        noise_db(answers(quantize(content, step, x), x), exact)
        for step in (Quantize(), Quantize(smooth=0.5))
    )
    assert smoothed > plain


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Quantize(equalize=True), "needs two layers with nothing but ReLU or pooling"),
        (Quantize(smooth=0.5), "needs matrix products with constant weights"),
    ],
)
def test_what_finds_nothing_to_do_is_refused(step, reason):
    model = model_of(
        [
            helper.make_node("Conv", ["input", "w"], ["1"], name="a"),
            helper.make_node("Flatten", ["1"], ["logits"]),
        ],
        {"w": uneven(4, 2, 3, 3)},
        outputs=("N", 64),
    )
    with pytest.raises(RefusedError, match=reason) as caught:
        quantize(model, step, inputs())
    assert caught.value.refusal.remedy
