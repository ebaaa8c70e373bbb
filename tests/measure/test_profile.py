from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from optim.engines.onnxruntime.kernels import read_kernel_times
from optim.engines.onnxruntime.origins import FileGraph, activation_name
from optim.engines.onnxruntime.profiler import profile
from optim.engines.onnxruntime.reasons import WhyFloat, why_float
from optim.engines.profile import FloatReason, Profile
from optim.errors import EngineError
from optim.graph.export import export_onnx
from optim.graph.quantization.quantize import quantize
from optim.graph.rules.rule import apply_rules
from optim.graph.rules.soft_gate import SOFT_GATE
from optim.recipe import Precision, Quantize
from tests.graph.quantized import hard_swish, silu

SHAPE = (3, 12, 12)


class Tiny(nn.Module):
    """A convolution with each kind of activation, a residual, a pool and a head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.wide = nn.Conv2d(16, 32, 1)
        self.narrow = nn.Conv2d(32, 16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = nn.functional.relu(self.stem(x))
        y = nn.functional.elu(self.depthwise(x))
        y = nn.functional.silu(self.wide(y))
        return self.head((x + self.narrow(y)).mean((2, 3)))


LAYERS = ("stem", "depthwise", "wide", "narrow", "head")


@pytest.fixture(scope="module")
def exported():
    torch.manual_seed(0)
    return export_onnx(Tiny().eval(), SHAPE)


@pytest.fixture(scope="module")
def example():
    return np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def profiles(exported, example, tmp_path_factory):
    """The network in each precision, by name of precision."""
    calibration = np.random.default_rng(1).normal(size=(16, *SHAPE)).astype(np.float32)
    files = {"fp32": exported}
    for precision in (Precision.FP16, Precision.INT8):
        files[precision] = quantize(exported, Quantize(precision=precision), calibration)
    found = {}
    for name, content in files.items():
        path = tmp_path_factory.mktemp("profile") / f"{name}.onnx"
        path.write_bytes(content)
        found[name] = profile(path, example, threads=1)
    return found


def heavy(found: Profile):
    return [o for o in found.operators if any(k in o.kernel for k in ("Conv", "Gemm", "MatMul"))]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_layer_has_one_kernel_whatever_the_engine_made_of_it(profiles, precision):
    assert Counter(o.layer for o in heavy(profiles[precision])) == Counter(LAYERS)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_times_add_up(profiles, precision):
    found = profiles[precision]
    assert found.runs >= 50
    assert found.total_ms == pytest.approx(sum(o.time_ms for o in found.operators))
    assert all(o.time_ms > 0 for o in found.operators)


def test_a_float_file_owes_no_reasons(profiles):
    assert {o.reason for o in profiles["fp32"].operators} == {""}
    assert {o.precision for o in heavy(profiles["fp32"])} == {"fp32"}


def test_an_operator_without_integer_kernel_says_so_and_its_conversions_name_it(profiles):
    found = profiles["int8"].operators
    (elu,) = [o for o in found if o.kernel == "Elu"]
    assert (elu.layer, elu.operator, elu.precision) == ("depthwise", "Elu", "fp32")
    assert elu.reason == "ONNX Runtime has no INT8 kernel for Elu"
    around = [o for o in found if o.operator == "Elu" and o.overhead]
    assert Counter(o.kernel for o in around) == Counter(["QuantizeLinear", "DequantizeLinear"])
    assert {(o.precision, o.layer) for o in around} == {("", "")}


def test_a_hard_swish_is_called_so_however_it_is_spelled_out():
    graph = FileGraph(hard_swish(reach=8))
    gate, product = (
        next(node for node in graph.nodes if node.op_type == kind)
        for kind in ("HardSigmoid", "Mul")
    )
    assert activation_name(graph, gate) == activation_name(graph, product) == "HardSwish"
    assert graph.layer_of(gate) == graph.layer_of(product)
    assert why_float(graph, gate) == WhyFloat(
        FloatReason.NO_KERNEL, "ONNX Runtime has no INT8 kernel for HardSwish"
    )


def test_a_silu_in_one_piece_is_in_float_on_purpose():
    graph = FileGraph(apply_rules(silu(), [SOFT_GATE])[0])
    parts = [node for node in graph.nodes if node.op_type in ("Clip", "Sigmoid", "Mul")]
    assert len(parts) == 3
    assert {activation_name(graph, node) for node in parts} == {"SiLU"}
    assert {why_float(graph, node) for node in parts} == {
        WhyFloat(
            FloatReason.FASTER_IN_FLOAT,
            "as one float kernel SiLU is faster than as an INT8 table and an INT8 product",
        )
    }


def test_weights_in_half_precision_are_computed_in_single(profiles):
    reasons = {o.layer: o.reason for o in heavy(profiles["fp16"])}
    assert reasons["wide"] == (
        "its weights are only stored in FP16: ONNX Runtime computes in FP32 on CPUs"
    )


def test_a_profile_survives_being_stored(profiles):
    assert Profile.from_dict(profiles["int8"].to_dict()) == profiles["int8"]


def test_a_file_that_is_not_there_is_one_sentence(tmp_path, example):
    with pytest.raises(EngineError, match=r"gone\.onnx cannot be read"):
        profile(tmp_path / "gone.onnx", example, threads=1)


def event(name, duration, kernel="Conv"):
    args = {"op_name": kernel, "input_type_shape": [{"float": [1]}]}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": duration, "args": args}


def test_events_are_grouped_by_run_and_the_warm_up_is_left_out():
    events = [{"cat": "Session", "name": "session_initialization", "dur": 9}]
    for turn in range(4):
        events += [event("a", 10 * turn), event("b", 1, "Relu"), {"name": "model_run", "dur": 99}]
    first, second = read_kernel_times(events, runs=3)
    assert (first.name, first.kernel, first.types) == ("a", "Conv", ("float",))
    assert first.microseconds.tolist() == [10, 20, 30]
    assert second.microseconds.tolist() == [1, 1, 1]


def test_a_profile_of_too_few_runs_is_refused():
    with pytest.raises(ValueError, match="3 equal runs, got 1"):
        read_kernel_times([event("a", 1), {"name": "model_run", "dur": 1}], runs=3)
