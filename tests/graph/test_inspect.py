import numpy as np
import pytest
from onnx import helper

from optim.artifact import GraphFacts
from optim.errors import BrokenArtifactError
from optim.graph.inspect import graph_facts
from optim.graph.quantization.quantize import quantize
from optim.recipe import Activations, Precision, Quantize
from tests.graph.test_fuse import model_of


def ones(*shape):
    return np.ones(shape, np.float32)


def test_a_convolution_is_counted_as_by_hand():
    model = model_of(
        [
            helper.make_node("Conv", ["input", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
            helper.make_node("Flatten", ["c"], ["logits"]),
        ],
        {"w": ones(5, 2, 3, 3), "b": ones(5)},
        outputs=("N", 45),
    )
    facts = graph_facts(model)
    assert facts.parameters == 5 * 2 * 9 + 5
    assert facts.macs == 3 * 3 * 5 * 2 * 9  # 6 x 6 pixels, stride 2: 3 x 3 places
    assert facts.operators == facts.float_count == 1


def test_a_depthwise_convolution_costs_one_channel_per_output():
    model = model_of(
        [
            helper.make_node("Conv", ["input", "w"], ["c"], group=2),
            helper.make_node("Flatten", ["c"], ["logits"]),
        ],
        {"w": ones(4, 1, 3, 3)},
        outputs=("N", 64),
    )
    facts = graph_facts(model)
    assert (facts.parameters, facts.macs) == (4 * 9, 4 * 4 * 4 * 9)


def test_matrix_products_are_counted_in_both_layouts():
    model = model_of(
        [
            helper.make_node("Gemm", ["input", "w", "b"], ["h"], transB=1),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "v"], ["m"]),
            helper.make_node("Add", ["m", "c"], ["logits"]),
        ],
        {"w": ones(7, 4), "b": ones(7), "v": ones(7, 3), "c": ones(3)},
        shape=("N", 4),
    )
    facts = graph_facts(model)
    assert (facts.parameters, facts.macs) == (28 + 7 + 21 + 3, 28 + 21)
    assert facts.operators == 2


def test_constants_that_are_no_weights_are_not_parameters():
    model = model_of(
        [
            helper.make_node("Clip", ["input", "low", "high"], ["k"]),
            helper.make_node("Reshape", ["k", "shape"], ["f"]),
            helper.make_node("Gemm", ["f", "w"], ["logits"], transB=1),
        ],
        {"low": ones(), "high": 6 * ones(), "shape": np.array([-1, 72]), "w": ones(3, 72)},
    )
    assert graph_facts(model).parameters == 3 * 72


def with_zeros():
    """15 of 72 weights of the convolution are zero, and 6 of 84 of the matrix."""
    first = np.random.default_rng(0).uniform(0.3, 1, (4, 2, 3, 3)).astype(np.float32)
    first.reshape(-1)[:15] = 0
    second = np.random.default_rng(1).uniform(0.3, 1, (7, 12)).astype(np.float32)
    second[2, :6] = 0
    return model_of(
        [
            helper.make_node("Conv", ["input", "w", "b"], ["c"], pads=[0, 0, 0, 0]),
            helper.make_node("GlobalAveragePool", ["c"], ["g"]),
            helper.make_node("Flatten", ["g"], ["f"]),
            helper.make_node("Concat", ["f", "f", "f"], ["three"], axis=1),
            helper.make_node("Gemm", ["three", "v"], ["logits"], transB=1),
        ],
        {"w": first, "b": np.zeros(4, np.float32), "v": second},
        outputs=("N", 7),
    )


def test_zeros_of_the_weights_are_counted_and_biases_are_not():
    facts = graph_facts(with_zeros())
    assert (facts.weights, facts.zero_weights) == (4 * 18 + 7 * 12, 15 + 6)
    assert facts.sparsity == 21 / 156


@pytest.mark.parametrize(
    "step",
    [
        Quantize(),
        Quantize(per_channel=False),
        Quantize(precision=Precision.INT4),
        Quantize(precision=Precision.FP16),
        Quantize(activations=Activations.DYNAMIC),
    ],
    ids=str,
)
def test_zeros_are_counted_in_every_number_format(step):
    examples = np.random.default_rng(2).normal(size=(16, 2, 6, 6)).astype(np.float32)
    facts = graph_facts(quantize(with_zeros(), step, examples))
    assert (facts.weights, facts.zero_weights) == (156, 21)


def test_a_whole_number_is_zero_at_its_zero_point():
    model = model_of(
        [
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=0),
            helper.make_node("Gemm", ["input", "w"], ["logits"], transB=1),
        ],
        {
            "q": np.array([[0, 128, 128, 9], [0, 0, 7, 9]], np.uint8),
            "scale": ones(2),
            "zero": np.array([128, 0], np.uint8),
        },
        shape=("N", 4),
        outputs=("N", 2),
    )
    assert graph_facts(model).zero_weights == 4


def test_facts_of_an_older_version_know_no_sparsity():
    old = GraphFacts(parameters=10, macs=10, float_operators={}, operators=1)
    assert old.sparsity is None


def test_a_file_that_is_no_model_is_refused():
    with pytest.raises(BrokenArtifactError, match="readable ONNX"):
        graph_facts(b"\xff\xff\xff")
