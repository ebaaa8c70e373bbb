import numpy as np
import pytest
from onnx import helper

from optim.errors import BrokenArtifactError
from optim.graph.inspect import graph_facts
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


def test_a_file_that_is_no_model_is_refused():
    with pytest.raises(BrokenArtifactError, match="readable ONNX"):
        graph_facts(b"\xff\xff\xff")
