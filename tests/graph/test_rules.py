import numpy as np
import onnx
import pytest
from onnx import helper

from optim.engines.onnxruntime.session import optimized_graph
from optim.graph.rules.all_rules import FLOAT_RULES, INTEGER_RULES, rewrite_integers
from optim.graph.rules.global_pool import GLOBAL_POOL
from optim.graph.rules.hard_gate import HARD_GATE
from optim.graph.rules.hard_swish import HARD_SWISH
from optim.graph.rules.rule import apply_rules
from optim.graph.rules.soft_gate import SOFT_GATE
from optim.graph.rules.whole_blocks import WHOLE_BLOCKS
from tests.graph.quantized import Sketch, hard_swish, inverted_residual, silu, squeeze_excite
from tests.graph.running import answers, noise_db
from tests.graph.test_fuse import model_of


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(5).normal(size=(4, 3, 6, 6)).astype(np.float32)


def applied(model, rule):
    """The rewritten file, how often the rule was applied, and why not."""
    rewritten, (report,) = apply_rules(model, [rule])
    onnx.checker.check_model(rewritten, full_check=True)
    return rewritten.SerializeToString(), report.applied, report.refusals


def kernels(model: bytes):
    return [n.op_type for n in onnx.load_model_from_string(optimized_graph(model)).graph.node]


def without_grids(model):
    """The same network in float: conversions of activations taken out."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    renamed = {}
    stored = {tensor.name for tensor in model.graph.initializer}
    kept = []
    for node in bare.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        moves = node.input[0] not in stored
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and moves:
            renamed[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    del bare.graph.node[:]
    bare.graph.node.extend(kept)
    return bare.SerializeToString()


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (hard_swish(reach=8), HARD_GATE),
        (hard_swish(reach=2), HARD_GATE),
        (squeeze_excite(), HARD_GATE),
        (squeeze_excite(bias=False), HARD_GATE),
        (silu(), SOFT_GATE),
    ],
    ids=["hard swish", "hard swish of small numbers", "gate", "gate without bias", "silu"],
)
def test_a_gate_is_as_near_to_float_as_before(model, rule, x):
    rewritten, times, _ = applied(model, rule)
    assert times == 1
    reference = answers(without_grids(model), x)
    before = noise_db(answers(model.SerializeToString(), x), reference)
    assert noise_db(answers(rewritten, x), reference) > before - 1


@pytest.mark.parametrize("model", [hard_swish(8), hard_swish(2), squeeze_excite()])
def test_no_hard_gate_is_left_and_the_engine_computes_all_in_integers(model):
    assert "HardSigmoid" in kernels(model.SerializeToString())
    left = kernels(applied(model, HARD_GATE)[0])
    assert "HardSigmoid" not in left
    assert left.count("QuantizeLinear") == left.count("DequantizeLinear") == 1


def test_a_hard_swish_in_one_operator_becomes_integers_as_well(x):
    model = hard_swish(8, whole=True)
    before = model.SerializeToString()
    reference = answers(without_grids(model), x)
    after = rewrite_integers(before)
    assert "HardSigmoid" not in kernels(after)
    noise = noise_db(answers(before, x), reference)
    assert noise_db(answers(after, x), reference) > noise - 1


def test_a_hard_swish_that_is_read_in_float_stays():
    sketch = Sketch()
    x = sketch.grid(sketch.conv(sketch.grid("input", -3, 3), 3, 16), -4, 4)
    model = sketch.model(sketch.node("HardSwish", x), 16)
    assert applied(model, HARD_SWISH)[1:] == (0, {"its result is read in float": 1})


def test_silu_is_one_kernel_for_the_engine():
    assert "QuickGelu" in kernels(applied(silu(), SOFT_GATE)[0])


def test_a_gate_of_something_else_is_no_silu():
    assert applied(squeeze_excite(gate="Sigmoid"), SOFT_GATE)[1:] == (0, {})


@pytest.mark.parametrize("channels", [40, 33, 63])
def test_channels_that_do_nothing_change_no_bit(channels, x):
    model = inverted_residual(channels)
    rewritten, times, refusals = applied(model, WHOLE_BLOCKS)
    assert (times, refusals) == (1, {})
    np.testing.assert_array_equal(answers(rewritten, x), answers(model.SerializeToString(), x))
    groups = [
        item.i
        for node in onnx.load_model_from_string(rewritten).graph.node
        for item in node.attribute
        if item.name == "group" and item.i > 1
    ]
    assert groups == [-(-channels // 16) * 16]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (inverted_residual(24), "it has fewer than 32 channels"),
        (inverted_residual(40, residual=True), "Add has its channels, too"),
        (inverted_residual(40, leaves=True), "Identity has its channels, too"),
    ],
)
def test_blocks_are_left_alone_for_a_reason(model, reason):
    assert applied(model, WHOLE_BLOCKS)[1:] == (0, {reason: 1})


def test_whole_blocks_are_no_match():
    assert applied(inverted_residual(48), WHOLE_BLOCKS)[1:] == (0, {})


def refused_gate(change):
    sketch = Sketch()
    x = sketch.conv(sketch.grid("input", -3, 3), 3, 16)
    if change != "float input":
        x = sketch.grid(x, -4, 4, kind=np.int8 if change == "signed" else np.uint8)
    gate = sketch.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    if change != "float result":
        gate = sketch.grid(gate, 0, 2 if change == "wide result" else 1)
    y = sketch.grid(sketch.node("Mul", x, gate), -1, 4)
    if change == "other reader":
        y = sketch.grid(sketch.node("Add", x, y), -4, 8)
    return sketch.model(y, 16)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("float input", "its input is not on an unsigned 8-bit grid"),
        ("signed", "its input is not on an unsigned 8-bit grid"),
        ("float result", "its result is read in float"),
        ("wide result", "the grid of its result does not end where it clips"),
        ("other reader", "its input is read by more than the product that makes a HardSwish"),
    ],
)
def test_a_hard_gate_is_left_alone_for_a_reason(change, reason):
    assert applied(refused_gate(change), HARD_GATE)[1:] == (0, {reason: 1})


def mean(axes, *, keepdims=1, channels=2):
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["m"], keepdims=keepdims),
        helper.make_node("Identity", ["m"], ["logits"]),
    ]
    outputs = [d for i, d in enumerate(["N", channels, 6, 6]) if i not in axes or keepdims]
    outputs = [1 if keepdims and i in axes else d for i, d in enumerate(outputs)]
    content = model_of(nodes, {"axes": np.array(axes)}, outputs=outputs)
    return onnx.load_model_from_string(content)


@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_mean_over_space_is_the_pool(keepdims):
    model = mean([2, 3], keepdims=keepdims)
    inputs = np.random.default_rng(0).normal(size=(3, 2, 6, 6)).astype(np.float32)
    rewritten, times, _ = applied(model, GLOBAL_POOL)
    assert times == 1
    expected = answers(model.SerializeToString(), inputs)
    np.testing.assert_allclose(answers(rewritten, inputs), expected, rtol=1e-5, atol=1e-6)


def test_another_mean_says_what_it_is():
    reason = "it is a mean over dimensions [1, 2] of 4, not over all of space"
    assert applied(mean([1, 2]), GLOBAL_POOL)[1:] == (0, {reason: 1})


@pytest.mark.parametrize("model", [hard_swish(8), squeeze_excite(), silu(), inverted_residual(40)])
def test_rules_leave_the_model_alone_and_find_nothing_twice(model):
    before = model.SerializeToString()
    once = rewrite_integers(before)
    assert model.SerializeToString() == before
    _, reports = apply_rules(onnx.load_model_from_string(once), [*FLOAT_RULES, *INTEGER_RULES])
    assert sum(report.applied for report in reports) == 0
    assert rewrite_integers(once) == once
