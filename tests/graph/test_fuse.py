import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optim.errors import BrokenArtifactError
from optim.graph.fuse import fuse
from tests.graph.running import answers


def kinds(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(model).graph.node]


def model_of(nodes, constants, *, shape=("N", 2, 6, 6), outputs=("N", 3), opset=18) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, outputs)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return model.SerializeToString()


def test_fusing_keeps_the_answers_of_every_architecture(exported, examples):
    fused = fuse(exported)
    expected = answers(exported, examples[:7])
    tolerance = 1e-5 * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(answers(fused, examples[:7]), expected, rtol=1e-5, atol=tolerance)
    assert answers(fused, examples[:1]).shape == (1, 7)


def test_only_standard_operators_and_inside_weights_come_out(exported):
    fused = onnx.load_model_from_string(fuse(exported))
    assert {entry.domain for entry in fused.opset_import} == {""}
    assert all(node.domain == "" for node in fused.graph.node)
    assert all(not tensor.external_data for tensor in fused.graph.initializer)
    onnx.checker.check_model(fused, full_check=True)


def test_fusing_twice_changes_nothing_more(exported):
    once = fuse(exported)
    assert fuse(once) == once
    assert fuse(exported) == once


def test_batch_norms_are_folded_into_the_convolution_before_them():
    rng = np.random.default_rng(0)
    model = model_of(
        [
            helper.make_node("Conv", ["input", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
            helper.make_node("ReduceMean", ["n", "axes"], ["p"], keepdims=1),
            helper.make_node("Flatten", ["p"], ["logits"]),
        ],
        {
            "w": rng.normal(size=(3, 2, 3, 3)).astype(np.float32),
            **{name: rng.uniform(0.5, 2, 3).astype(np.float32) for name in "gbmv"},
            "axes": np.array([-1, -2]),
        },
    )
    x = rng.normal(size=(5, 2, 6, 6)).astype(np.float32)
    assert kinds(fuse(model)) == ["Conv", "GlobalAveragePool", "Flatten"]
    np.testing.assert_allclose(answers(fuse(model), x), answers(model, x), atol=1e-5)


@pytest.mark.parametrize("axes", [[1, 2], [3], [0, 2, 3]])
def test_a_mean_over_anything_but_all_of_space_stays(axes):
    shape = ["N", 2, 6, 6]
    for axis in axes:
        shape[axis] = 1
    model = model_of(
        [helper.make_node("ReduceMean", ["input", "axes"], ["logits"], keepdims=1)],
        {"axes": np.array(axes)},
        outputs=shape,
    )
    assert kinds(fuse(model)) == ["ReduceMean"]


def test_one_dimensional_average_pooling_becomes_one_operator():
    model = model_of(
        [
            helper.make_node("Unsqueeze", ["input", "two"], ["u"]),
            helper.make_node("ReduceMean", ["u", "axes"], ["m"], keepdims=1),
            helper.make_node("Squeeze", ["m", "two"], ["s"]),
            helper.make_node("Flatten", ["s"], ["logits"]),
        ],
        {"two": np.array([-2]), "axes": np.array([-1, -2])},
        shape=("N", 3, 8),
    )
    x = np.random.default_rng(0).normal(size=(4, 3, 8)).astype(np.float32)
    assert kinds(fuse(model)) == ["GlobalAveragePool", "Flatten"]
    np.testing.assert_allclose(answers(fuse(model), x), x.mean(2), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07"])
def test_what_is_no_model_is_refused_in_one_sentence(content):
    with pytest.raises(BrokenArtifactError, match="ONNX"):
        fuse(content)
