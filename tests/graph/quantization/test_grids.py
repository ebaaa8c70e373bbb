"""The grids against quantizers written number by number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from optim.graph.quantization.gptq import round_compensated
from optim.graph.quantization.int4 import HIGH, LOW, int4_scale
from optim.graph.quantization.int8 import activation_grid, quantize_weight_int8
from optim.graph.quantization.plan import Plan
from optim.graph.quantization.side_by_side import grid_of_activations
from optim.recipe import Activations
from tests.reference.quantizers import asymmetric, compensated, signed, symmetric


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("seed", range(3))
def test_int8_weights_equal_the_reference(axis, seed):
    weight = np.random.default_rng(seed).normal(size=(5, 4, 3)).astype(np.float32)
    rounded, scale = quantize_weight_int8(weight, axis)
    expected, scales = symmetric(weight, axis, low=-127, high=127, largest_level=127)
    np.testing.assert_array_equal(scale.reshape(-1), scales)
    np.testing.assert_array_equal(rounded, expected)
    assert rounded.dtype == np.int8


@pytest.mark.parametrize("axis", [0, 1, None])
def test_the_int4_grid_equals_the_reference(axis):
    weight = np.random.default_rng(3).normal(size=(6, 5)).astype(np.float32)
    scale = int4_scale(weight, axis)
    expected, scales = symmetric(weight, axis, low=LOW, high=HIGH, largest_level=7.5)
    np.testing.assert_array_equal(scale.reshape(-1), scales)
    broadcast = scale if axis in (1, None) else scale[:, None]
    np.testing.assert_array_equal(np.clip(np.rint(weight / broadcast), LOW, HIGH), expected)


@given(
    low=st.floats(-50, 0, width=32),
    high=st.floats(0, 50, width=32),
    share=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
@settings(max_examples=60, deadline=None)
def test_activations_are_off_by_half_a_step_at_most_and_zero_is_exact(low, high, share):
    scale, zero_point = activation_grid(low, high)
    values = np.array([low + (high - low) * s for s in share] + [0.0])
    levels = np.clip(np.rint(values / scale) + zero_point, 0, 255)
    back = (levels - zero_point) * float(scale)
    np.testing.assert_allclose(back, asymmetric(values, low, high), atol=1e-6)
    assert back[-1] == 0.0
    # One more half step at the ends: the zero point itself is rounded.
    inside = (values > low + scale) & (values < high - scale)
    assert np.all(np.abs(back - values)[inside] <= scale * (0.5 + 1e-4))
    assert np.all(np.abs(back - values) <= scale * (1 + 1e-4))


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_int8_weights_are_off_by_half_a_step_at_most(numbers):
    weight = np.array([numbers], np.float32)
    rounded, scale = quantize_weight_int8(weight, 0)
    assert np.all(np.abs(rounded * scale - weight) <= scale * (0.5 + 1e-3))


def test_a_channel_of_zeros_stays_zero():
    weight = np.zeros((2, 3), np.float32)
    weight[1] = 1.0
    rounded, scale = quantize_weight_int8(weight, 0)
    np.testing.assert_allclose(rounded * scale[:, None], weight)
    assert np.all(int4_scale(weight, 0) > 0)


@pytest.mark.parametrize(
    ("activations", "reference"), [(Activations.UINT8, asymmetric), (Activations.INT8, signed)]
)
@given(
    low=st.floats(-50, 0, width=32),
    high=st.floats(0, 50, width=32),
    values=st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=20),
)
@settings(max_examples=60, deadline=None)
def test_simulated_activations_equal_the_reference(activations, reference, low, high, values):
    plan = Plan(nodes=(), layers=frozenset(), own_grid=("x",), same_grid={"y": "x"})
    on_grid = grid_of_activations(plan, {"x": (low, high)}, activations)
    x = np.array(values, np.float32)
    np.testing.assert_allclose(on_grid("x", x), reference(x, low, high), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(on_grid("y", x), on_grid("x", x))
    np.testing.assert_array_equal(on_grid("elsewhere", x), x)


def test_dynamic_activations_have_a_grid_for_every_example():
    node = helper.make_node("Gemm", ["x", "w"], ["y"])
    plan = Plan(nodes=(node,), layers=frozenset({"y"}), own_grid=(), same_grid={})
    on_grid = grid_of_activations(plan, {}, Activations.DYNAMIC)
    x = np.random.default_rng(0).normal(size=(4, 30)).astype(np.float32)
    x *= np.array([[0.1], [1], [10], [100]], np.float32)
    for row, found in zip(x, on_grid("x", x), strict=True):
        expected = asymmetric(row, min(0.0, float(row.min())), max(0.0, float(row.max())))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(on_grid("y", x), x)


@pytest.mark.parametrize(("low", "high"), [(-8, 7), (-127, 127)])
@pytest.mark.parametrize("seed", range(3))
def test_compensated_rounding_equals_the_reference(seed, low, high):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(5, 9)).astype(np.float32)
    inputs = rng.normal(size=(200, 9)) @ rng.normal(size=(9, 9))
    moments = inputs.T @ inputs / len(inputs)
    scale = np.abs(weight).max(axis=1) / (high + 0.5)
    ours = round_compensated(weight[None], moments[None], scale[None, :, None], low=low, high=high)
    np.testing.assert_array_equal(ours[0], compensated(weight, moments, scale, low, high))
