import numpy as np
import onnx
import pytest

from optim.graph.calibrate import activation_ranges, cut_entropy, cut_percentile
from optim.recipe import Calibration
from tests.graph.conftest import examples_of, exported_of


def model_and_tensors():
    model = onnx.load_model_from_string(exported_of("motion_cnn"))
    return model, ["input", *(n.output[0] for n in model.graph.node if n.op_type == "Conv")]


def test_min_max_holds_every_value_and_zero_whatever_the_batches():
    model, tensors = model_and_tensors()
    x = np.concatenate([examples_of("motion_cnn")] * 2)
    x[40:] += 3.0  # the extremes lie in the second batch
    ranges = activation_ranges(model, tensors, x, Calibration.MINMAX)
    assert list(ranges) == tensors
    assert ranges["input"] == (pytest.approx(x.min()), pytest.approx(x.max()))
    assert all(low <= 0 <= high for low, high in ranges.values())


@pytest.mark.parametrize("method", [Calibration.PERCENTILE, Calibration.ENTROPY])
def test_the_other_methods_lie_within_min_max(method):
    model, tensors = model_and_tensors()
    x = examples_of("motion_cnn")
    widest = activation_ranges(model, tensors, x, Calibration.MINMAX)
    ranges = activation_ranges(model, tensors, x, method)
    for name, (low, high) in ranges.items():
        assert widest[name][0] - 1e-6 <= low <= 0 <= high <= widest[name][1] + 1e-6
    assert sum(high - low for low, high in ranges.values()) < sum(
        high - low for low, high in widest.values()
    )


@pytest.mark.parametrize("cut", [cut_percentile, cut_entropy])
def test_one_far_outlier_is_cut_off(cut):
    values = np.concatenate([np.random.default_rng(0).normal(size=100_000), [40.0]])
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=2048, range=(low, high))
    cut_low, cut_high = cut(counts, low, high)
    assert cut_high < 20.0
    assert cut_low < 0.0


def test_the_percentile_is_that_of_the_values():
    values = np.random.default_rng(0).normal(size=200_000)
    counts, _ = np.histogram(values, bins=2048, range=(values.min(), values.max()))
    expected = np.percentile(values, [0.005, 99.995])
    found = cut_percentile(counts, float(values.min()), float(values.max()))
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_a_tensor_that_is_always_zero_has_an_empty_range():
    counts = np.zeros(2048, np.int64)
    assert cut_entropy(counts, 0.0, 0.0) == (0.0, 0.0)
    assert cut_percentile(counts, 0.0, 0.0) == (0.0, 0.0)
