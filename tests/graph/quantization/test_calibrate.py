import numpy as np
import onnx
import pytest

from optim.graph.quantization.calibrate import (
    activation_ranges,
    cut_entropy,
    cut_mse,
    cut_percentile,
    moving_average,
)
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


@pytest.mark.parametrize(
    "method", [method for method in Calibration if method is not Calibration.MINMAX]
)
def test_the_other_methods_lie_within_min_max(method):
    model, tensors = model_and_tensors()
    x = np.concatenate([examples_of("motion_cnn"), 0.9 * examples_of("motion_cnn")])
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
    assert cut_mse(counts, 0.0, 0.0) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_least_square_error_is_that_of_every_range_tried_by_hand(seed):
    """Against the slow search that quantizes the values themselves."""
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, size=20_000).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=2048, range=(low, high))
    found = cut_mse(counts, low, high)
    tried = [(a * low, b * high) for a in np.linspace(0.2, 1, 17) for b in np.linspace(0.2, 1, 17)]
    least = min(mean_square_error(values, *bounds) for bounds in tried)
    assert mean_square_error(values, *found) <= 1.05 * least
    assert mean_square_error(values, *found) < mean_square_error(values, low, high)


def mean_square_error(values, low, high):
    scale = (high - low) / 255
    return float(
        ((np.rint((np.clip(values, low, high) - low) / scale) * scale + low - values) ** 2).mean()
    )


def test_the_moving_average_starts_at_the_first_batch_and_forgets_it_slowly():
    batches = np.array([[1.0, 0.0], [1.0, 10.0], [1.0, 10.0]])
    np.testing.assert_allclose(moving_average(batches), [1.0, 1.9])
