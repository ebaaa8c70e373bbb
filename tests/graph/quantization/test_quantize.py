import functools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optim.engines.onnxruntime.session import optimized_graph
from optim.graph.fuse import fuse
from optim.graph.inspect import graph_facts
from optim.graph.quantization.quantize import quantize
from optim.recipe import Activations, Calibration, Precision, Quantize, Rounding, step_words
from optim.recipe.presets import PRESETS
from tests.graph.conftest import examples_of, exported_of
from tests.graph.running import answers, noise_db
from tests.graph.test_fuse import kinds, model_of

PRECISIONS = (Precision.FP16, Precision.INT8, Precision.INT4)
FEWEST_DB = {Precision.FP16: 50.0, Precision.INT8: 20.0, Precision.INT4: 10.0}
"""Random networks are harsher than trained ones; below this something is broken."""


@functools.cache
def quantized(architecture, precision, *, per_channel=True):
    step = Quantize(precision=precision, per_channel=per_channel)
    return quantize(exported_of(architecture), step, examples_of(architecture))


@functools.cache
def facts_of(model):
    return graph_facts(model)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_quantized_files_are_valid_and_answer_at_any_batch_size(architecture, precision, examples):
    model = quantized(architecture, precision)
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    expected = answers(exported_of(architecture), examples)
    together = answers(model, examples[:7])
    assert noise_db(together, expected[:7]) > FEWEST_DB[precision]
    np.testing.assert_allclose(answers(model, examples[:1]), together[:1], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_quantized_files_have_the_parameters_and_macs_of_their_parent(architecture, precision):
    parent, child = (
        facts_of(exported_of(architecture)),
        facts_of(quantized(architecture, precision)),
    )
    assert child.parameters == parent.parameters
    assert child.macs == parent.macs
    assert child.operators == parent.operators


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT4])
def test_no_heavy_operator_stays_in_float(architecture, precision):
    assert facts_of(quantized(architecture, precision)).float_count == 0


def test_each_precision_halves_the_weights(architecture):
    parameters = facts_of(exported_of(architecture)).parameters
    fp32, fp16, int8, int4 = (
        len(exported_of(architecture)),
        *(len(quantized(architecture, precision)) for precision in PRECISIONS),
    )
    assert fp16 < 0.5 * fp32 + 10_000
    assert int8 - int4 > 0.42 * parameters  # biases, scales and the first layer stay
    assert fp16 - int8 > 0.75 * parameters


def test_int4_weights_are_real_four_bit_tensors(architecture):
    stored = onnx.load_model_from_string(quantized(architecture, Precision.INT4)).graph.initializer
    by_type = dict.fromkeys((TensorProto.INT4, TensorProto.INT8, TensorProto.FLOAT), 0)
    for tensor in stored:
        if tensor.data_type in by_type:
            by_type[tensor.data_type] += int(np.prod(tensor.dims))
    total = sum(by_type.values())
    assert by_type[TensorProto.INT4] > 0.9 * total
    assert all(
        len(tensor.raw_data) == (int(np.prod(tensor.dims)) + 1) // 2
        for tensor in stored
        if tensor.data_type == TensorProto.INT4
    )


def test_int8_activations_are_unsigned_and_weights_signed_with_a_scale_per_channel():
    model = onnx.load_model_from_string(quantized("motion_cnn", Precision.INT8))
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            assert stored[node.input[2]].dtype == np.uint8
            assert stored[node.input[1]].shape == ()
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            weight, scale = stored[node.input[0]], stored[node.input[1]]
            assert weight.dtype in (np.int8, np.int32)
            assert scale.shape == (weight.shape[0],)
    assert "Relu" not in kinds(quantized("motion_cnn", Precision.INT8))


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT4])
def test_one_scale_per_tensor_is_smaller(precision):
    fine, coarse = (quantized("motion_cnn", precision, per_channel=flag) for flag in (True, False))
    assert len(coarse) < len(fine)
    x = examples_of("motion_cnn")
    expected = answers(exported_of("motion_cnn"), x)
    assert noise_db(answers(coarse, x), expected) > FEWEST_DB[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy"])
def test_the_same_input_gives_the_same_bytes(precision, calibration):
    step = Quantize(precision=precision, calibration=calibration, calibration_examples=16)
    model, x = exported_of("motion_cnn"), examples_of("motion_cnn")
    assert quantize(model, step, x) == quantize(model, step, x)
    assert quantize(model, step, x) == quantize(fuse(model), step, x[:16])


def test_four_bit_weights_with_float_activations_are_unpacked_once_and_computed_in_float():
    step = Quantize(precision="int4", activations="float")
    model = quantize(exported_of("motion_cnn"), step, examples_of("motion_cnn"))
    optimized = onnx.load_model_from_string(optimized_graph(model))
    assert "DequantizeLinear" not in {node.op_type for node in optimized.graph.node}
    assert facts_of(model).float_count == facts_of(model).operators


def test_half_precision_leaves_numbers_that_do_not_fit_in_float32():
    weight = np.full((64, 2), 1e5, np.float32)
    model = model_of(
        [helper.make_node("Gemm", ["input", "w"], ["logits"], transB=1)],
        {"w": weight},
        shape=("N", 2),
        outputs=("N", 64),
    )
    half = quantize(model, Quantize(precision="fp16"), np.ones((8, 2), np.float32))
    x = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(answers(half, x), answers(model, x))


def stored_types(model: bytes) -> dict[str, int]:
    """How many numbers the file stores in each type of weights."""
    found: dict[str, int] = {}
    for tensor in onnx.load_model_from_string(model).graph.initializer:
        if len(tensor.dims) >= 2:
            kind = TensorProto.DataType.Name(tensor.data_type)
            found[kind] = found.get(kind, 0) + int(np.prod(tensor.dims))
    return found


def of_motion(step, **options):
    return quantize(exported_of("motion_cnn"), step, examples_of("motion_cnn"), **options)


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT4])
@pytest.mark.parametrize("activations", list(Activations))
def test_activations_are_what_was_asked_for(precision, activations):
    model = of_motion(Quantize(precision=precision, activations=activations))
    read = onnx.load_model_from_string(model)
    onnx.checker.check_model(read, full_check=True)
    stored = {t.name: numpy_helper.to_array(t) for t in read.graph.initializer}
    kinds_of_file = {node.op_type for node in read.graph.node}
    zeros = {stored[n.input[2]].dtype for n in read.graph.node if n.op_type == "QuantizeLinear"}
    match activations:
        case Activations.UINT8 | Activations.INT8:
            assert zeros == {np.dtype(str(activations))}
        case Activations.DYNAMIC:
            assert {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"} <= kinds_of_file
            assert not {"Conv", "Gemm", "MatMul", "QuantizeLinear"} & kinds_of_file
        case Activations.FLOAT:
            assert zeros == set()
            assert "DequantizeLinear" in kinds_of_file
    x = examples_of("motion_cnn")
    exact = answers(exported_of("motion_cnn"), x)
    assert noise_db(answers(model, x), exact) > FEWEST_DB[precision] + 10


@pytest.mark.parametrize("activations", list(Activations))
@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT4])
def test_whatever_the_activations_the_layers_keep_their_names_and_counts(precision, activations):
    model = of_motion(Quantize(precision=precision, activations=activations))
    named = {n.name for n in onnx.load_model_from_string(model).graph.node if n.name}
    parent = onnx.load_model_from_string(fuse(exported_of("motion_cnn")))
    assert named == {node.name for node in parent.graph.node if node.name}
    ours, theirs = facts_of(model), facts_of(exported_of("motion_cnn"))
    assert (ours.parameters, ours.macs) == (theirs.parameters, theirs.macs)
    assert ours.operators == theirs.operators


@pytest.mark.parametrize("name", list(PRESETS))
@pytest.mark.parametrize("network", ["motion_cnn", "resnet"])
def test_every_preset_gives_a_file_that_the_engine_computes_in_integers(name, network):
    step = PRESETS[name]
    x = examples_of(network)
    model = quantize(exported_of(network), step, x)
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    assert noise_db(answers(model, x), answers(exported_of(network), x)) > 15
    assert facts_of(model).float_count == 0
    assert step.activations is Activations.UINT8
    weights = "INT4" if step.precision is Precision.INT4 else "INT8"
    assert stored_types(model)[weights] > 0.9 * sum(stored_types(model).values())


@pytest.mark.parametrize(
    "step",
    [
        *(Quantize(rounding=rounding, per_channel=False) for rounding in Rounding),
        *(Quantize(precision="int4", rounding=rounding) for rounding in Rounding),
        *(Quantize(calibration=calibration, bias_correction=True) for calibration in Calibration),
        Quantize(activations="int8", bias_correction=True, equalize=True, smooth=0.5),
        Quantize(activations="dynamic", bias_correction=True, smooth=0.3, precision="int4"),
        Quantize(activations="float", bias_correction=True, equalize=True, rounding="learned"),
    ],
    ids=lambda step: step_words(step),
)
def test_options_work_together_and_give_the_same_bytes_twice(step):
    first = of_motion(step)
    assert first == of_motion(step)
    x = examples_of("motion_cnn")
    assert noise_db(answers(first, x), answers(exported_of("motion_cnn"), x)) > 20


@pytest.mark.parametrize("activations", ["uint8", "int8", "dynamic", "float"])
def test_each_layer_has_the_precision_that_it_was_given(activations):
    layers = {
        "blocks.0.main.3": Precision.FP32,
        "blocks.1.main.0": Precision.INT4,
        "head": Precision.FP32,
    }
    model = of_motion(Quantize(activations=activations), layers=layers)
    read = onnx.load_model_from_string(model)
    types = {t.name: t.data_type for t in read.graph.initializer}
    source = {}
    for node in read.graph.node:
        origin = source.get(node.input[0], node.input[0]) if node.input else ""
        if node.op_type in ("DequantizeLinear", "Cast") and origin in types:
            source[node.output[0]] = origin
    found = {
        node.name: types[source.get(node.input[1], node.input[1])]
        for node in read.graph.node
        if node.name
    }
    codes = {
        Precision.FP32: TensorProto.FLOAT, Precision.INT4: TensorProto.INT4,
        Precision.INT8: TensorProto.INT8,
    }  # fmt: skip
    for name, kind in found.items():
        assert kind == codes[layers.get(name, Precision.INT8)], name


def test_layers_in_fp32_have_no_conversion_between_them():
    layers = {f"blocks.1.{name}": Precision.FP32 for name in ("main.0", "main.3", "main.6")}
    layers["blocks.1.shortcut.0"] = Precision.FP32
    read = onnx.load_model_from_string(of_motion(Quantize(), layers=layers))
    writers = {name: node for node in read.graph.node for name in node.output}
    by_name = {node.name: node for node in read.graph.node if node.name}

    def before(name):
        """The first operator before a layer that does more than clamp or add."""
        node = writers[by_name[name].input[0]]
        while node.op_type in ("Relu", "Add"):
            node = writers[node.input[0]]
        return node.op_type

    assert before("blocks.1.main.3") == before("blocks.1.main.6") == "Conv"
    # One conversion each where they meet their INT8 neighbours; the addition between is float too.
    assert before("blocks.1.main.0") == "DequantizeLinear"
    assert before("blocks.2.main.0") == "DequantizeLinear"
    added = [n for n in read.graph.node if n.op_type == "Add"]
    assert "Conv" in {writers[name].op_type for name in added[1].input}


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT4])
@pytest.mark.parametrize("per_channel", [True, False])
def test_trained_scales_are_written_to_the_bit(precision, per_channel):
    name = "blocks.1.main.3"
    model = onnx.load_model_from_string(fuse(exported_of("motion_cnn")))
    node = next(node for node in model.graph.node if node.name == name)
    tensor = next(t for t in model.graph.initializer if t.name == node.input[1])
    rng = np.random.default_rng(0)
    low, high = (-8, 7) if precision is Precision.INT4 else (-127, 127)
    levels = rng.integers(low, high + 1, size=tuple(tensor.dims))
    scale = rng.uniform(0.01, 0.02, size=tensor.dims[0] if per_channel else ()).astype(np.float32)
    spread = scale.reshape(-1, 1, 1) if per_channel else scale
    tensor.CopyFrom(numpy_helper.from_array((levels * spread).astype(np.float32), tensor.name))
    made = quantize(
        model.SerializeToString(),
        Quantize(precision=precision, rounding="learned"),
        examples_of("motion_cnn"),
        weight_scales={name: scale},
    )
    read = onnx.load_model_from_string(made)
    stored = {t.name: numpy_helper.to_array(t) for t in read.graph.initializer}
    writers = {output: node for node in read.graph.node for output in node.output}
    unpack = writers[next(n for n in read.graph.node if n.name == name).input[1]]
    origin = writers.get(unpack.input[0])
    kept = stored[origin.input[0] if origin is not None else unpack.input[0]]
    np.testing.assert_array_equal(kept.astype(int), levels)
    np.testing.assert_array_equal(stored[unpack.input[1]], scale)


def test_fp16_keeps_named_layers_in_float32():
    model = of_motion(Quantize(precision="fp16"), layers={"head": Precision.FP32})
    types = stored_types(model)
    assert types["FLOAT"] > 0
    assert types["FLOAT16"] > 0


def test_depthwise_and_matrix_products_are_fast_in_four_bits():
    rng = np.random.default_rng(0)
    model = model_of(
        [
            helper.make_node("Conv", ["input", "a"], ["1"], name="a", pads=[1, 1, 1, 1]),
            helper.make_node("Conv", ["1", "d"], ["2"], name="d", group=8, pads=[1, 1, 1, 1]),
            helper.make_node("GlobalAveragePool", ["2"], ["3"]),
            helper.make_node("Flatten", ["3"], ["4"]),
            helper.make_node("MatMul", ["4", "m"], ["5"], name="m"),
            helper.make_node("Gemm", ["5", "g", "gb"], ["logits"], name="g", transB=1),
        ],
        {
            "a": rng.normal(size=(8, 2, 3, 3)).astype(np.float32),
            "d": rng.normal(size=(8, 1, 3, 3)).astype(np.float32),
            "m": rng.normal(size=(8, 16)).astype(np.float32),
            "g": rng.normal(size=(3, 16)).astype(np.float32),
            "gb": rng.normal(size=3).astype(np.float32),
        },
    )
    x = rng.normal(size=(32, 2, 6, 6)).astype(np.float32)
    four = quantize(model, Quantize(precision="int4"), x)
    facts = facts_of(four)
    assert facts.float_count == 0
    assert facts.operators == 4
    assert facts.parameters == facts_of(model).parameters
    assert noise_db(answers(four, x), answers(model, x)) > 12
