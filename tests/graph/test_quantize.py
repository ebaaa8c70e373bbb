import functools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optim.engines.onnxruntime import ONNX_RUNTIME
from optim.errors import RefusedError
from optim.graph.fuse import fuse
from optim.graph.inspect import graph_facts
from optim.graph.quantize import quantize
from optim.recipe import Precision, Quantize
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
    optimized = onnx.load_model_from_string(ONNX_RUNTIME.optimized(model))
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
