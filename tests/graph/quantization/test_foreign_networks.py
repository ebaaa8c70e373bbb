"""Networks of other tools in every precision: near to what they answer, or refused."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from optim.errors import RefusedError
from optim.graph.onnx_file import read_model
from optim.graph.quantization.quantize import quantize
from optim.recipe import Quantize
from tests.graph.foreign import network, node, normal, right, run, signal_db

INT8 = Quantize()
EVERY_INT8 = [Quantize(activations=kind) for kind in ("uint8", "int8", "dynamic", "float")]


def signal(model, x, step=INT8, *, asked=None):
    """Of the quantized file, in decibels, on ``asked`` or on what it was calibrated with."""
    given = x if asked is None else asked
    return signal_db(run(quantize(model.SerializeToString(), step, x), given), right(model, given))


# -- biases


def behind_a_dead_relu(*, scale=1.0, dense=True):
    """A layer with a bias that reads a ReLU which is never active."""
    nodes = [node("Conv", ["in", "w", "never"], ["c"]), node("Relu", ["c"], ["dead"])]
    constants = {
        "w": normal(6, 3, 3, 3, seed=1, size=0.1),
        "never": np.full(6, -90, np.float32),
        "b": np.float32([2, -7, 0.5]) * np.float32(scale),
    }
    if dense:
        nodes += [node("Flatten", ["dead"], ["f"]), node("Gemm", ["f", "v", "b"], ["out"])]
        constants["v"] = normal(96, 3, seed=2)
    else:
        nodes += [node("Conv", ["dead", "v", "b"], ["out"])]
        constants["v"] = normal(3, 6, 2, 2, seed=2)
    return network(nodes, constants)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("scale", [1e-3, 1, 3e5])
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_layer_keeps_its_bias_behind_a_relu_that_is_never_active(dense, scale, precision):
    x = normal(12, 3, 6, 6, seed=3)
    assert (
        signal(behind_a_dead_relu(scale=scale, dense=dense), x, Quantize(precision=precision)) > 30
    )


@pytest.mark.parametrize("per_channel", [True, False])
def test_a_row_of_tiny_weights_keeps_its_bias(per_channel):
    w = normal(4, 3, 3, 3, seed=1)
    w[1] *= 1e-13
    nodes = [node("Conv", ["in", "w", "b"], ["c"]), node("GlobalAveragePool", ["c"], ["out"])]
    model = network(nodes, {"w": w, "b": np.float32([0.2, 40, -0.3, 0.1])})
    x = normal(12, 3, 6, 6, seed=3)
    found = run(quantize(model.SerializeToString(), Quantize(per_channel=per_channel), x), x)[0]
    assert found[:, 1].ravel() == pytest.approx(np.full(12, 40.0), rel=0.02)


@pytest.mark.parametrize("shape", [(6, 1), (6, 4), (1, 4), (4,), (1, 1), (1,), ()])
@pytest.mark.parametrize("step", EVERY_INT8, ids=lambda step: step.activations)
def test_a_gemm_takes_a_bias_of_any_shape(shape, step):
    constants = {"w": normal(4, 5, seed=1), "c": normal(*shape, seed=2, size=3)}
    nodes = [node("Gemm", ["in", "w", "c"], ["h"], transB=1), node("Gemm", ["h", "v"], ["out"])]
    model = network(nodes, constants | {"v": normal(4, 3, seed=4)}, given=(6, 5))
    assert signal(model, normal(6, 5, seed=3), step) > 30


def test_an_absent_bias_may_be_written_out():
    model = network([node("Gemm", ["in", "w", ""], ["out"])], {"w": normal(5, 4)}, given=("N", 5))
    assert signal(model, normal(16, 5, seed=1), INT8) > 35
    assert signal(model, normal(16, 5, seed=1), Quantize(bias_correction=True)) > 35


# -- names, inputs, shapes


@pytest.mark.parametrize("step", [*EVERY_INT8, Quantize(precision="fp16")])
@pytest.mark.parametrize(
    ("source", "output"), [("in", "in.dq"), ("in.q", "in"), ("2.w", "3.scale"), ("t", "t.w.dq")]
)
def test_names_of_the_author_stay_apart_from_ours(source, output, step):
    nodes = [node("Conv", [source, "w"], ["c"]), node("Conv", ["c", "v", "b"], [output])]
    constants = {"w": normal(8, 3, 3, 3), "v": normal(4, 8, 1, 1, seed=1), "b": normal(4)}
    model = network(nodes, constants, source=source, outputs=(output,))
    x = normal(8, 3, 6, 6, seed=2)
    content = quantize(model.SerializeToString(), step, x)
    graph = read_model(content).graph
    assert [value.name for value in (*graph.input, *graph.output)] == [source, output]
    assert signal_db(run(content, x), right(model, x)) > 25


@pytest.mark.parametrize("batch", [1, 3, 4, 40])
@pytest.mark.parametrize(
    "step",
    [
        INT8,
        Quantize(bias_correction=True),
        Quantize(precision="int4", calibration_examples=16),
        Quantize(rounding="adaround", calibration_examples=8),
        Quantize(smooth=0.5, calibration="percentile"),
        Quantize(precision="fp16"),
    ],
)
def test_a_fixed_batch_is_calibrated_as_many_at_a_time(batch, step):
    nodes = [
        node("Conv", ["in", "w", "b"], ["c"], pads=[1] * 4),
        node("Relu", ["c"], ["r"]),
        node("Reshape", ["r", "shape"], ["f"]),
        node("Gemm", ["f", "v", "d"], ["out"]),
    ]
    constants = {
        "w": normal(4, 3, 3, 3, size=0.3), "b": normal(4), "v": normal(144, 5, size=0.1),
        "d": normal(5), "shape": np.array([batch, 144]),
    }  # fmt: skip
    model = network(nodes, constants, given=(batch, 3, 6, 6))
    x = normal(18, 3, 6, 6, seed=5)
    asked = np.resize(x, (batch, 3, 6, 6))
    assert signal(model, x, step, asked=asked) > (15 if step.precision == "int4" else 28)


def test_free_height_and_width_are_calibrated():
    nodes = [node("Conv", ["in", "w"], ["c"]), node("GlobalMaxPool", ["c"], ["out"])]
    model = network(nodes, {"w": normal(4, 3, 3, 3)}, given=("N", 3, "H", "W"))
    assert signal(model, normal(8, 3, 9, 7)) > 30
    with pytest.raises(ValueError, match=r"shape \(3, any, any\)"):
        quantize(model.SerializeToString(), INT8, normal(8, 4, 9, 7))


def test_an_input_of_integers_is_calibrated():
    nodes = [
        node("Gather", ["table", "in"], ["e"]),
        node("MatMul", ["e", "w"], ["out"]),
    ]
    model = network(nodes, {"table": normal(30, 8), "w": normal(8, 4, seed=1)}, given=("N", 5))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    words = np.random.default_rng(0).integers(0, 30, (12, 5))
    assert signal(model, words) > 35
    with pytest.raises(ValueError, match="int64"):
        quantize(model.SerializeToString(), INT8, words.astype(np.float32))


def two_inputs():
    nodes = [node("Conv", ["in", "w"], ["c"]), node("Mul", ["c", "gate"], ["out"])]
    model = network(nodes, {"w": normal(4, 3, 3, 3)})
    gate = helper.make_tensor_value_info("gate", TensorProto.FLOAT, ["N", 4, 1, 1])
    model.graph.input.append(gate)
    return model


def test_several_inputs_have_examples_by_name():
    content = two_inputs().SerializeToString()
    given = {"in": normal(8, 3, 6, 6), "gate": normal(8, 4, 1, 1, seed=1)}
    for step in (INT8, Quantize(activations="dynamic", bias_correction=True)):
        found = run(quantize(content, step, given), given)
        assert signal_db(found, right(two_inputs(), given)) > 25
    with pytest.raises(ValueError, match=r"one array for each input \(in, gate\); got in"):
        quantize(content, INT8, given["in"])


def test_an_input_that_breaks_the_network_is_refused():
    nodes = [node("Reshape", ["in", "to"], ["r"]), node("MatMul", ["r", "w"], ["out"])]
    model = network(nodes, {"to": np.array([7, 108]), "w": normal(108, 3)}, given=("N", 3, 6, 6))
    with pytest.raises(RefusedError, match="must run on the calibration examples"):
        quantize(model.SerializeToString(), INT8, normal(8, 3, 6, 6))


# -- weights


@pytest.mark.parametrize("step", ["nearest", "gptq", "adaround"])
@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("shape", [(4, 8, 6), (2, 4, 8, 6), (1, 8, 6)])
def test_a_stack_of_matrices_is_rounded_in_every_way(step, precision, shape):
    given = ("N", *shape[:-2], 5, 8)
    nodes = [node("MatMul", ["in", "w"], ["h"]), node("MatMul", ["h", "v"], ["out"])]
    model = network(nodes, {"w": normal(*shape), "v": normal(6, 3, seed=1)}, given=given)
    x = normal(16, *given[1:], seed=2)
    wish = Quantize(precision=precision, rounding=step, calibration_examples=16)
    assert signal(model, x, wish) > (34 if precision == "int8" else 16)


def test_smoothing_leaves_stacks_of_matrices_alone():
    nodes = [node("MatMul", ["in", "w"], ["h"]), node("MatMul", ["h", "v"], ["out"])]
    constants = {"w": normal(3, 8, 6), "v": normal(6, 4, seed=1)}
    model = network(nodes, constants, given=("N", 3, 5, 8))
    assert signal(model, normal(16, 3, 5, 8, seed=2), Quantize(smooth=0.7)) > 30


@pytest.mark.parametrize("pad", ["SAME_UPPER", "SAME_LOWER"])
def test_automatic_padding_is_seen_by_every_rounding(pad):
    nodes = [
        node("Conv", ["in", "w", "b"], ["c"], auto_pad=pad, strides=[2, 2]),
        node("Relu", ["c"], ["r"]),
        node("Conv", ["r", "v"], ["out"], auto_pad=pad),
    ]
    constants = {"w": normal(6, 3, 3, 2), "b": normal(6), "v": normal(4, 6, 2, 3, seed=1)}
    model = network(nodes, constants)
    x = normal(16, 3, 6, 6, seed=2)
    for rounding in ("gptq", "adaround"):
        assert signal(model, x, Quantize(rounding=rounding, calibration_examples=16)) > 30


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["w", "b", "v"])
@pytest.mark.parametrize(
    "step",
    [*EVERY_INT8, Quantize(precision="int4", activations="float"), Quantize(precision="fp16")],
)
def test_weights_that_are_no_finite_numbers_are_refused(bad, where, step):
    constants = {"w": normal(8, 3, 3, 3), "b": normal(8), "v": normal(4, 8, 1, 1)}
    constants[where].flat[2] = bad
    nodes = [node("Conv", ["in", "w", "b"], ["c"]), node("Conv", ["c", "v"], ["out"])]
    with pytest.raises(RefusedError, match="finite"):
        quantize(network(nodes, constants).SerializeToString(), step, normal(8, 3, 6, 6))


# -- ranges


@pytest.mark.parametrize("size", [1e-4, 1e-7, 1e-11, 1e-20, 1e8])
@pytest.mark.parametrize("kind", ["uint8", "int8", "dynamic"])
def test_the_size_of_the_numbers_does_not_matter(size, kind):
    nodes = [
        node("Conv", ["in", "w"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("Conv", ["r", "v"], ["out"]),
    ]
    model = network(nodes, {"w": normal(8, 3, 3, 3, size=0.2), "v": normal(4, 8, 1, 1, seed=1)})
    x = normal(12, 3, 6, 6, seed=2, size=size)
    assert signal(model, x, Quantize(activations=kind)) > 30


def test_numbers_that_no_grid_tells_from_zero_are_refused():
    nodes = [node("Conv", ["in", "w"], ["c"]), node("Conv", ["c", "v"], ["out"])]
    model = network(nodes, {"w": normal(8, 3, 3, 3), "v": normal(4, 8, 1, 1, seed=1)})
    with pytest.raises(RefusedError, match="told from 0"):
        quantize(model.SerializeToString(), INT8, normal(12, 3, 6, 6, size=1e-36))


# -- half precision


def scaled_back(weight, factor):
    """A convolution whose channels are made large again behind it."""
    nodes = [node("Conv", ["in", "w"], ["c"]), node("Mul", ["c", "k"], ["out"])]
    return network(nodes, {"w": weight, "k": factor})


def test_tensors_near_zero_stay_in_single_precision():
    x = normal(12, 3, 6, 6, seed=2)
    model = scaled_back(normal(8, 3, 3, 3, size=3e-8), np.float32(3e7))
    content = quantize(model.SerializeToString(), Quantize(precision="fp16"), x)
    assert signal_db(run(content, x), right(model, x)) > 60


def test_a_channel_near_zero_keeps_its_tensor_in_single_precision():
    weight, factor = normal(8, 3, 3, 3), np.ones((8, 1, 1), np.float32)
    weight[3] *= 1e-8
    factor[3] = 1e9
    model = scaled_back(weight, factor)
    assert signal(model, normal(12, 3, 6, 6, seed=2), Quantize(precision="fp16")) > 60


def test_half_precision_of_nothing_is_refused():
    model = network(
        [node("Tanh", ["in"], ["t"]), node("Mul", ["t", "k"], ["out"])], {"k": np.float32(2)}
    )
    with pytest.raises(RefusedError, match="32 numbers or more"):
        quantize(model.SerializeToString(), Quantize(precision="fp16"), normal(8, 3, 6, 6))


# -- rules, outputs, subgraphs


@pytest.mark.parametrize("inner", ["gate in", "x", "gate", "mid"])
def test_inner_outputs_are_what_they_were(inner):
    names = {
        name: inner if name == inner else f"{name}!" for name in ("gate in", "x", "gate", "mid")
    }
    nodes = [
        node("Conv", ["in", "w", "b"], ["c"]),
        node("Relu", ["c"], [names["x"]]),
        node("GlobalAveragePool", [names["x"]], ["p"]),
        node("Conv", ["p", "v", "b"], [names["gate in"]]),
        node("HardSigmoid", [names["gate in"]], [names["gate"]], alpha=0.2, beta=0.4),
        node("Mul", [names["gate"], names["x"]], [names["mid"]]),
        node("Conv", [names["mid"], "u"], ["out"]),
    ]
    constants = {"w": normal(20, 3, 1, 1), "v": normal(20, 20, 1, 1, size=0.2), "b": normal(20)}
    model = network(nodes, constants | {"u": normal(5, 20, 1, 1)}, outputs=("out", inner))
    assert signal(model, normal(12, 3, 6, 6, seed=2)) > 22


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (36, 1, 1), (1, 36, 1, 1), (1, 1, 1, 8)])
def test_gates_of_any_shape_stand_beside_a_depthwise_convolution(shape):
    channels, space = (shape[-3], shape[-2:]) if len(shape) > 2 else (1, shape)
    reduced = {1: "GlobalAveragePool", 8: None}[space[0]]
    nodes = [
        node("Conv", ["in", "w", "b"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("Conv", ["r", "d"], ["e"], group=36, pads=[1] * 4),
        node("Relu", ["e"], ["f"]),
        *([node(reduced, ["f"], ["p"])] if reduced else []),
        node("Conv", ["p" if reduced else "f", "g"], ["h"]),
        node("Sigmoid", ["h"], ["s"]),
        node("Mul", ["s", "f"], ["m"]),
        node("Conv", ["m", "u"], ["out"]),
    ]
    constants = {
        "w": normal(36, 3, 1, 1), "b": normal(36), "d": normal(36, 1, 3, 3, size=0.3),
        "g": normal(channels, 36, 1, 1, size=0.2), "u": normal(4, 36, 1, 1),
    }  # fmt: skip
    model = network(nodes, constants, given=("N", 3, 8, 8))
    assert signal(model, normal(12, 3, 8, 8, seed=2)) > 22
    assert signal(model, normal(12, 3, 8, 8, seed=2), Quantize(precision="int4")) > 8


@pytest.mark.parametrize(
    "step", [*EVERY_INT8, Quantize(precision="int4"), Quantize(precision="fp16")]
)
def test_a_branch_reads_what_it_read(step):
    bodies = {
        key: helper.make_graph(
            [node(kind, ["turned", "v"], [key])],
            key,
            [],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, [None] * 4)],
        )
        for key, kind in (("then_branch", "Add"), ("else_branch", "Mul"))
    }
    nodes = [
        node("Conv", ["in", "w"], ["c"]),
        node("Transpose", ["c"], ["turned"], perm=[0, 1, 3, 2]),
        node("ReduceMax", ["in"], ["top"], keepdims=0),
        node("Greater", ["top", "limit"], ["high"]),
        node("If", ["high"], ["chosen"], **bodies),
        node("Conv", ["chosen", "u"], ["out"]),
    ]
    constants = {"w": normal(6, 3, 3, 3), "u": normal(4, 6, 1, 1), "v": normal(4)}
    model = network(nodes, constants | {"limit": np.float32(1)})
    assert signal(model, normal(8, 3, 6, 6, seed=2), step) > (
        10 if step.precision == "int4" else 22
    )


def test_a_clamp_before_a_branch_goes_on_clamping():
    bodies = {
        key: helper.make_graph(
            [node(kind, ["soft"], [key])],
            key,
            [],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, [None] * 4)],
        )
        for key, kind in (("then_branch", "Tanh"), ("else_branch", "Abs"))
    }
    nodes = [
        node("Conv", ["in", "w"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("Softplus", ["r"], ["soft"]),
        node("ReduceMax", ["in"], ["top"], keepdims=0),
        node("Greater", ["top", "limit"], ["high"]),
        node("If", ["high"], ["chosen"], **bodies),
        node("Conv", ["chosen", "u"], ["out"]),
    ]
    constants = {"w": normal(6, 3, 3, 3), "u": normal(4, 6, 1, 1), "limit": np.float32(1)}
    assert signal(network(nodes, constants), normal(8, 3, 6, 6, seed=2)) > 25


def test_layers_of_another_domain_are_none():
    model = network([node("Conv", ["in", "w"], ["out"], domain="mine")], {"w": normal(4, 3, 1, 1)})
    model.opset_import.append(helper.make_opsetid("mine", 1))
    from optim.graph.quantization.layers import is_quantizable_layer

    (layer,) = model.graph.node
    assert not is_quantizable_layer(layer, {"w": normal(4, 3, 1, 1)})
