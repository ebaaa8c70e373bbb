"""Files of other tools keep their answers when they are fused, or are refused in a sentence."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optim.errors import BrokenArtifactError
from optim.graph import fuse as fusing
from optim.graph.fuse import fuse, fuse_report
from optim.graph.inspect import graph_facts
from optim.graph.onnx_file import read_model, tidy
from optim.graph.rules.global_pool import GLOBAL_POOL
from optim.graph.rules.rule import Rule
from tests.graph.foreign import network, node, normal, right, run


def same_answers(model, x):
    fused = fuse(model.SerializeToString())
    for found, expected in zip(run(fused, x), right(model, x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return read_model(fused)


def long_sum(source, output, length=45):
    """More tensors than there are names of one letter."""
    names = [source, *(f"inner{i}" for i in range(length - 1)), output]
    nodes = [node("Mul", [names[i], f"k{i}"], [names[i + 1]]) for i in range(length)]
    constants = {f"k{i}": normal(1, 5, seed=i, size=0.1) + 1 for i in range(length)}
    return network(nodes, constants, given=("N", 5), outputs=(output,), source=source)


@pytest.mark.parametrize(
    ("source", "output"), [("x", "y"), ("3", "4"), ("z", "10"), ("b", "a"), ("1a", "k"), ("y", "x")]
)
def test_inputs_and_outputs_keep_short_names(source, output):
    fused = same_answers(long_sum(source, output), normal(3, 5))
    assert [value.name for value in fused.graph.input] == [source]
    assert [value.name for value in fused.graph.output] == [output]


def branches(*, inner="5"):
    """An If that reads a tensor, a constant and names a tensor of its own as tidy would."""
    bodies = {}
    for key, kind in (("then_branch", "Mul"), ("else_branch", "Sub")):
        bodies[key] = helper.make_graph(
            [node(kind, ["before", "shared"], [inner]), node("Tanh", [inner], [key])],
            key,
            [],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, ["N", 4])],
        )
    nodes = [
        node("Sigmoid", ["in"], ["before"]),
        node("ReduceSum", ["in"], ["total"], keepdims=0),
        node("Less", ["total", "limit"], ["low"]),
        node("If", ["low"], ["chosen"], **bodies),
        node("Add", ["chosen", "shared_too"], ["out"]),
    ]
    same = normal(4, seed=2)
    constants = {"shared": same, "shared_too": same, "limit": np.float32(0.5)}
    return network(nodes, constants, given=("N", 4))


@pytest.mark.parametrize("inner", ["5", "6", "7", "a"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_subgraphs_go_on_reading_the_outer_graph(inner, sign):
    same_answers(branches(inner=inner), sign * np.abs(normal(3, 4)))


def test_a_loop_within_a_branch_reads_through_both():
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Add", ["state", "step"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [None, None]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [None, None]),
        ],
    )
    looping = helper.make_graph(
        [node("Loop", ["times", "yes", "before"], ["looped"], body=body)],
        "then",
        [],
        [helper.make_tensor_value_info("looped", TensorProto.FLOAT, [None, None])],
    )
    plain = helper.make_graph(
        [node("Neg", ["before"], ["negated"])],
        "else",
        [],
        [helper.make_tensor_value_info("negated", TensorProto.FLOAT, [None, None])],
    )
    nodes = [
        node("Abs", ["in"], ["before"]),
        node("If", ["yes"], ["out"], then_branch=looping, else_branch=plain),
    ]
    constants = {"times": np.int64(4), "yes": np.array(True), "step": normal(1, 4)}
    same_answers(network(nodes, constants, given=("N", 4)), normal(2, 4))


def test_functions_of_a_file_are_inlined():
    inner = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )
    outer = helper.make_function(
        "own",
        "Gate",
        ["a", "k"],
        ["c"],
        [node("Twice", ["a"], ["t"], domain="own"), node("Mul", ["t", "k"], ["c"])],
        [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)],
    )
    model = network(
        [node("Gate", ["in", "k"], ["t"], domain="own"), node("Tanh", ["t"], ["out"])],
        {"k": normal(5)},
        given=("N", 5),
    )
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.extend([inner, outer])
    fused = same_answers(model, normal(2, 5))
    assert not fused.functions
    assert {item.op_type for item in fused.graph.node} <= {"Add", "Mul", "Tanh"}


def test_functions_for_another_version_are_refused():
    function = helper.make_function(
        "own", "Old", ["a"], ["b"], [node("Abs", ["a"], ["b"])], [helper.make_opsetid("", 11)]
    )
    model = network([node("Old", ["in"], ["out"], domain="own")], {}, given=("N", 5))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(function)
    with pytest.raises(BrokenArtifactError, match="Old use others"):
        fuse(model.SerializeToString())


def test_a_file_without_standard_operators_keeps_its_answers():
    model = network(
        [node("Normalizer", ["in"], ["out"], domain="ai.onnx.ml", norm="MAX")], {}, given=("N", 3)
    )
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 3])
    )
    x = np.abs(normal(4, 3)) + 0.1
    fused = fuse(model.SerializeToString())
    np.testing.assert_allclose(run(fused, x)[0], x / x.max(axis=1, keepdims=True), rtol=1e-5)
    assert [entry.domain for entry in read_model(fused).opset_import] == ["ai.onnx.ml"]


@pytest.mark.parametrize("wrong", [["N", 7], ["N", 3, 1, 1], [2, 3], [-1, 3]])
def test_a_wrong_declared_output_shape_is_corrected(wrong):
    model = network([node("MatMul", ["in", "w"], ["out"])], {"w": normal(5, 3)}, given=(-1, 5))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", TensorProto.FLOAT, wrong))
    fused = fuse(model.SerializeToString())
    x = normal(4, 5)
    np.testing.assert_allclose(run(fused, x)[0], x @ normal(5, 3), rtol=1e-4, atol=1e-5)


def test_shapes_that_contradict_each_other_are_told():
    model = network([node("MatMul", ["in", "w"], ["out"])], {"w": normal(5, 3)}, given=("N", 4))
    with pytest.raises(BrokenArtifactError, match="contradict each other"):
        fuse(model.SerializeToString())


def test_weights_elsewhere_and_sparse_ones_are_told():
    model = network([node("MatMul", ["in", "w"], ["out"])], {"w": normal(5, 3)}, given=("N", 5))
    outside = onnx.ModelProto()
    outside.CopyFrom(model)
    tensor = outside.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    with pytest.raises(BrokenArtifactError, match="hold its weights itself"):
        tidy(outside)
    sparse = onnx.ModelProto()
    sparse.CopyFrom(model)
    values = numpy_helper.from_array(np.float32([2]), "w")
    places = numpy_helper.from_array(np.array([3]), "places")
    del sparse.graph.initializer[:]
    sparse.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [5, 3]))
    with pytest.raises(BrokenArtifactError, match="dense"):
        tidy(sparse)


def test_an_absent_optional_at_the_end_falls_away():
    model = network([node("Clip", ["in", "low", ""], ["out"])], {"low": np.float32(-0.3)})
    assert [len(item.input) for item in same_answers(model, normal(2, 3, 6, 6)).graph.node] == [2]


def test_equal_strings_are_no_one_else():
    constants = {"first": np.array(["a", "b"], object), "second": np.array(["a", "c"], object)}
    nodes = [
        node("Identity", ["first"], ["kept"]),
        node("Equal", ["kept", "second"], ["same"]),
        node("Cast", ["same"], ["half"], to=TensorProto.FLOAT),
        node("Add", ["in", "half"], ["out"]),
    ]
    model = network(nodes, constants, given=("N", 2), opset=19)
    np.testing.assert_allclose(run(tidy(model), normal(2, 2))[0], normal(2, 2) + np.array([1, 0]))


def rms_norm(width, *, before=()):
    nodes = [
        *before,
        node("Mul", ["h", "h"], ["square"]),
        node("ReduceMean", ["square", "last"], ["mean"], keepdims=1),
        node("Add", ["mean", "tiny"], ["safe"]),
        node("Sqrt", ["safe"], ["root"]),
        node("Div", ["h", "root"], ["unit"]),
        node("Mul", ["unit", "gain"], ["out"]),
    ]
    constants = {"last": np.array([-1]), "tiny": np.float32(1e-6), "gain": normal(width)}
    return nodes, constants


def test_the_mean_of_a_transformers_norm_stays():
    nodes, constants = rms_norm(24, before=[node("Tanh", ["in"], ["h"])])
    model = network(nodes, constants, given=("N", 7, 24))
    fused, report = fuse_report(model.SerializeToString())
    assert report.kernels_after <= report.kernels_before
    (mean,) = report.rules
    assert mean.applied == 0
    assert any("convolution" in reason for reason in mean.refusals)
    x = normal(2, 7, 24)
    np.testing.assert_allclose(run(fused, x)[0], right(model, x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_axes_in_an_attribute_are_read(opset):
    nodes = [
        node("Conv", ["in", "w"], ["c"]),
        node("ReduceMean", ["c"], ["out"], axes=[-2, -1], keepdims=0),
    ]
    model = network(nodes, {"w": normal(4, 3, 3, 3)}, opset=opset)
    fused, report = fuse_report(model.SerializeToString())
    assert report.rules[0].applied == 1
    expected = right(model, normal(2, 3, 6, 6))[0]
    np.testing.assert_allclose(run(fused, normal(2, 3, 6, 6))[0], expected, rtol=1e-5, atol=1e-5)


def test_a_mean_over_everything_is_told():
    model = network([node("ReduceMean", ["in"], ["m"]), node("Add", ["in", "m"], ["out"])], {})
    report = fuse_report(model.SerializeToString())[1]
    assert report.rules[0].refusals == {"its axes are not constant, or it names none": 1}


def test_a_rule_that_changes_the_answers_is_taken_back(monkeypatch):
    def spoil(draft, item):
        item.op_type = "Cos"

    wrong = Rule(
        name="sine to cosine",
        matches=lambda draft, item: item.op_type == "Sin",
        refuses=lambda draft, item: None,
        rewrite=spoil,
    )
    monkeypatch.setattr(fusing, "FLOAT_RULES", (GLOBAL_POOL, wrong))
    model = network([node("Sin", ["in"], ["out"])], {})
    fused, report = fuse_report(model.SerializeToString())
    np.testing.assert_allclose(
        run(fused, normal(1, 3, 6, 6))[0], np.sin(normal(1, 3, 6, 6)), atol=1e-6
    )
    assert report.rules[1].applied == 0
    assert any("change the answers" in reason for reason in report.rules[1].refusals)


def test_a_rule_that_costs_kernels_is_taken_back(monkeypatch):
    def detour(draft, item):
        kept, item.output[0] = item.output[0], "detour"
        draft.edit(add=[node("Exp", ["detour"], ["up"]), node("Log", ["up"], [kept])])

    slow = Rule(
        name="through the exponential",
        matches=lambda draft, item: item.op_type == "Sin" and item.output[0] == "out",
        refuses=lambda draft, item: None,
        rewrite=detour,
    )
    monkeypatch.setattr(fusing, "FLOAT_RULES", (slow,))
    report = fuse_report(network([node("Sin", ["in"], ["out"])], {}).SerializeToString())[1]
    assert report.rules[0].refusals == {"the engine would run 3 kernels instead of 1": 1}


def test_folding_that_makes_the_file_much_larger_is_taken_back():
    value = numpy_helper.from_array(np.float32([0.01]), "v")
    nodes = [
        node("ConstantOfShape", ["size"], ["w"], value=value),
        node("MatMul", ["in", "w"], ["out"]),
    ]
    model = network(nodes, {"size": np.array([300, 200])}, given=("N", 300))
    fused, report = fuse_report(model.SerializeToString())
    assert len(fused) < 1000
    assert "times as large" in report.taken_back[0]
    np.testing.assert_allclose(
        run(fused, normal(2, 300))[0], right(model, normal(2, 300))[0], atol=1e-4
    )


def test_macs_of_tensors_without_a_shape_are_no_error():
    nodes = [node("Reshape", ["in", "to"], ["r"]), node("MatMul", ["r", "w"], ["out"])]
    model = network(nodes, {"w": normal(6, 3)})
    model.graph.input.append(helper.make_tensor_value_info("to", TensorProto.INT64, [None]))
    assert graph_facts(model.SerializeToString()).parameters == 18
