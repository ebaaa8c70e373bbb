"""Tidy files: the network and nothing else, in the same bytes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optim.errors import BrokenArtifactError
from optim.graph.onnx_file import tidy

WEIGHT = np.eye(2, dtype=np.float32)


def model(nodes, tensors, *, inputs=("x",)):
    shape = [None, 2]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    made.doc_string = "made by hand"
    return made


TWO_LAYERS = (
    helper.make_node("Gemm", ["x", "one.weight"], ["h"], doc_string="first"),
    helper.make_node("Gemm", ["h", "two.weight"], ["y"]),
)


def test_equal_weights_are_one_and_layers_keep_their_own_names():
    before = model(TWO_LAYERS, {"one.weight": WEIGHT, "two.weight": WEIGHT.copy(), "rest": WEIGHT})
    untouched = before.SerializeToString(deterministic=True)
    after = onnx.load_model_from_string(tidy(before))
    assert [node.name for node in after.graph.node] == ["one", "two"]
    assert len(after.graph.initializer) == 1
    assert not after.doc_string
    assert not after.graph.node[0].doc_string
    assert before.SerializeToString(deterministic=True) == untouched


def test_constants_are_no_inputs_even_where_equal_ones_become_one():
    names = ("one.weight", "two.weight")
    before = model(TWO_LAYERS, dict.fromkeys(names, WEIGHT), inputs=("x", *names))
    after = onnx.load_model_from_string(tidy(before))
    assert [value.name for value in after.graph.input] == ["x"]
    assert tidy(before) == tidy(model(TWO_LAYERS, dict.fromkeys(names, WEIGHT)))


def test_constant_nodes_are_the_same_as_stored_constants():
    constant = helper.make_node(
        "Constant", [], ["one.weight"], value=numpy_helper.from_array(WEIGHT)
    )
    inside = model((constant, *TWO_LAYERS), {"two.weight": WEIGHT})
    assert tidy(inside) == tidy(model(TWO_LAYERS, {"one.weight": WEIGHT, "two.weight": WEIGHT}))


def test_a_graph_that_contradicts_itself_is_told_in_one_sentence():
    twice = model((*TWO_LAYERS, TWO_LAYERS[1]), {"one.weight": WEIGHT, "two.weight": WEIGHT})
    with pytest.raises(BrokenArtifactError, match=r"cannot stand in an ONNX file: .+"):
        tidy(twice)
