"""AdaRound on random layers, and the walk that feeds it."""

import numpy as np
import onnx
import pytest

from optim.graph.fuse import fuse
from optim.graph.quantization.adaround import learn_rounding
from optim.graph.quantization.calibrate import activation_ranges
from optim.graph.quantization.plan import plan_int8
from optim.graph.quantization.quantize import quantize
from optim.graph.quantization.side_by_side import grid_of_activations, meetings
from optim.recipe import Activations, Calibration, Quantize
from tests.graph.conftest import examples_of, exported_of
from tests.graph.running import answers, noise_db


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("clamp", [(-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0)])
def test_learned_rounding_beats_nearest_on_inputs_it_has_not_seen(groups, clamp):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(groups, 8, 20)).astype(np.float32)
    mixing = rng.normal(size=(20, 20))
    inputs = (rng.normal(size=(4000, groups, 20)) @ mixing).astype(np.float32)
    targets = np.einsum("god,sgd->sgo", weight, inputs)
    scale = np.abs(weight).max(axis=2, keepdims=True) / 7.5
    learned = learn_rounding(
        weight, inputs[:2000], targets[:2000], scale, low=-8, high=7, clamp=clamp
    )
    nearest = np.clip(np.rint(weight / scale), -8, 7)

    def error(levels):
        given = np.einsum("god,sgd->sgo", levels * scale, inputs[2000:])
        return ((given.clip(*clamp) - targets[2000:].clip(*clamp)) ** 2).mean()

    assert error(learned) < 0.7 * error(nearest)
    assert learned.min() >= -8
    assert learned.max() <= 7
    assert np.abs(learned - weight / scale).max() <= 1.0 + 1e-5


def test_learning_from_a_compensated_start_keeps_to_the_levels_around_it():
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(1, 4, 6)).astype(np.float32)
    start = np.rint(weight * 3) + rng.integers(-1, 2, size=weight.shape)
    inputs = rng.normal(size=(500, 1, 6)).astype(np.float32)
    targets = np.einsum("god,sgd->sgo", weight, inputs)
    scale = np.full((1, 4, 1), 1 / 3, np.float32)
    levels = learn_rounding(
        weight, inputs, targets, scale, low=-127, high=127, start_from=start, iterations=50
    )
    assert np.abs(levels - start).max() <= 1


def test_the_same_seed_learns_the_same():
    rng = np.random.default_rng(2)
    weight, inputs = rng.normal(size=(1, 3, 5)), rng.normal(size=(300, 1, 5))
    targets = np.einsum("god,sgd->sgo", weight, inputs)
    scale = np.full((1, 3, 1), 0.4)
    first, second = (
        learn_rounding(weight, inputs, targets, scale, low=-8, high=7, iterations=60)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_the_walk_sees_what_the_file_computes(activations):
    """The last layer's input in the simulation gives the file's logits."""
    step = Quantize(precision="int8", activations=activations)
    x = examples_of("motion_cnn")
    from optim.graph.quantization.unshared_initializers import with_unshared_initializers

    model = with_unshared_initializers(
        onnx.load_model_from_string(fuse(exported_of("motion_cnn"))), biases=False
    )
    plan = plan_int8(model, signed=activations == "int8")
    ranges = activation_ranges(model, plan.own_grid, x, Calibration.MINMAX)
    on_grid = grid_of_activations(plan, ranges, Activations(activations))
    layers = [n.output[0] for n in model.graph.node if n.op_type in ("Conv", "Gemm")]
    last = list(meetings(model, plan, on_grid, {}, layers, x))[-1]
    np.testing.assert_allclose(
        last.target, answers(exported_of("motion_cnn"), x), rtol=1e-3, atol=1e-3
    )
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    simulated = last.reads @ values[last.node.input[1]].T + values[last.node.input[2]]
    file = answers(quantize(exported_of("motion_cnn"), step, x), x)
    exact = answers(exported_of("motion_cnn"), x)
    # The file rounds weights too; both are near the exact answers, at the same distance.
    assert noise_db(simulated, exact) > noise_db(file, exact) - 1
    assert noise_db(file, simulated) > 25


@pytest.mark.parametrize("activations", list(Activations))
def test_learned_four_bit_weights_beat_nearest_ones_in_the_network(activations):
    x = examples_of("motion_cnn")
    exact = answers(exported_of("motion_cnn"), x)
    learned, nearest = (
        noise_db(
            answers(
                quantize(
                    exported_of("motion_cnn"),
                    Quantize(precision="int4", rounding=rounding, activations=activations),
                    x,
                ),
                x,
            ),
            exact,
        )
        for rounding in ("learned", "nearest")
    )
    assert learned > nearest + 2


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_bias_correction_brings_the_mean_of_each_logit_back(precision):
    x = examples_of("motion_cnn")
    exact = answers(exported_of("motion_cnn"), x).mean(axis=0)
    plain, corrected = (
        answers(
            quantize(
                exported_of("motion_cnn"),
                Quantize(precision=precision, rounding="nearest", bias_correction=flag),
                x,
            ),
            x,
        ).mean(axis=0)
        for flag in (False, True)
    )
    assert np.abs(corrected - exact).max() < 0.3 * np.abs(plain - exact).max()
