"""From training to the file: what was trained is what stands in it, to the bit."""

import numpy as np
import pytest
import torch

from optim.compress.qat.qat import scales_of, train_quantized
from optim.compress.training.loop import Follow
from optim.errors import RefusedError
from optim.graph.export import export_onnx
from optim.graph.onnx_file import constants, producers, read_model
from optim.graph.quantization.quantize import quantize
from optim.pipeline import make as pipeline
from optim.pipeline.make import make_candidate, trained_network
from optim.recipe import Prune, Quantize, QuantizeAware, Recipe, ReplaceActivation
from optim.store.results import Results
from tests.compress.qat.test_fold import with_statistics
from tests.graph.running import answers, noise_db
from tests.small_task import small_task

TWO_STEPS = 0.5


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Two steps an epoch."""
    folder = tmp_path_factory.mktemp("tiny")
    return small_task(folder, windows=64, batch_size=16, prepared=with_statistics)


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "workspace")


@pytest.mark.parametrize(
    "step",
    [
        QuantizeAware(weight_bits=8, epochs=TWO_STEPS),
        QuantizeAware(weight_bits=4, epochs=TWO_STEPS),
        QuantizeAware(weight_bits=4, epochs=TWO_STEPS, learned_scales=True),
        QuantizeAware(weight_bits=4, epochs=TWO_STEPS, per_channel=False),
        QuantizeAware(weight_bits=4, epochs=TWO_STEPS, per_channel=False, learned_scales=True),
    ],
)
def test_the_file_holds_the_trained_numbers_to_the_bit(tiny, step):
    network = train_quantized(tiny, tiny.network(), step, seed=0, follow=Follow())
    scales = scales_of(network, step)
    file = quantize(
        export_onnx(network, tiny.input_shape),
        Quantize(precision="int8" if step.weight_bits == 8 else "int4"),
        tiny.split("calibration").inputs,
        weight_scales=scales,
    )
    stored = _stored_weights(file)
    assert list(stored) == list(scales)
    for name, (levels, scale) in stored.items():
        weight = network.get_submodule(name).weight.detach().numpy()
        np.testing.assert_array_equal(scale, scales[name])
        trained = (levels.T * scale).T.astype(np.float32)
        np.testing.assert_array_equal(trained, weight, err_msg=name)
    moved = network.get_submodule("head").weight - tiny.network().head.weight
    assert moved.abs().max() > 0


def test_the_file_answers_as_the_network_did_in_training(tiny):
    step = QuantizeAware(weight_bits=4, epochs=TWO_STEPS)
    network = train_quantized(tiny, tiny.network(), step, seed=0, follow=Follow())
    inputs = tiny.split("calibration").inputs
    file = quantize(
        export_onnx(network, tiny.input_shape), Quantize(precision="int4"), inputs,
        weight_scales=scales_of(network, step),
    )  # fmt: skip
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    assert noise_db(answers(file, inputs), expected) > 25  # the noise of the activations alone


@pytest.mark.parametrize("before", [(), (Prune(ratio=0.5, epochs=0.0),)])
def test_a_trained_candidate_comes_back_from_the_store(tiny, results, before, monkeypatch):
    aware = QuantizeAware(weight_bits=4, epochs=TWO_STEPS)
    recipe = Recipe(steps=(*before, aware, Quantize(precision="int4")))
    first = make_candidate(results, tiny, recipe)
    assert first.artifact is not None
    x = torch.from_numpy(tiny.split("test").inputs[:4])
    answers = trained_network(results, tiny, recipe)(x)

    monkeypatch.setattr(pipeline, "_trained_by", lambda *_, **__: pytest.fail("trained twice"))
    assert torch.equal(trained_network(results, tiny, recipe)(x), answers)
    first.artifact.path.unlink()
    again = make_candidate(results, tiny, recipe)
    assert again.artifact.sha256 == first.artifact.sha256


def test_eight_trained_bits_do_not_fit_into_four(tiny, results):
    recipe = Recipe(
        steps=(QuantizeAware(weight_bits=8, epochs=0.0), Quantize(precision="int4"))
    )  # fmt: skip
    refused = make_candidate(results, tiny, recipe)
    assert refused.artifact is None
    assert "trained" in refused.refusal.reason
    assert "trained for" in refused.refusal.remedy


def test_without_training_the_weights_are_those_of_the_plain_quantizer(tiny):
    step = QuantizeAware(weight_bits=8, epochs=0.0)
    network = train_quantized(tiny, tiny.network(), step, seed=0, follow=Follow())
    calibration = tiny.split("calibration").inputs
    plain = quantize(export_onnx(tiny.network(), tiny.input_shape), Quantize(), calibration)
    trained = quantize(
        export_onnx(network, tiny.input_shape), Quantize(), calibration,
        weight_scales=scales_of(network, step),
    )  # fmt: skip
    ours, theirs = _stored_weights(trained), _stored_weights(plain)
    for name, (levels, _) in ours.items():
        # Exporter and folding multiply in another order: a weight between two levels may move.
        assert np.abs(levels.astype(int) - theirs[name][0]).max() <= 1
        assert (levels == theirs[name][0]).mean() > 0.999


def test_a_network_with_nothing_to_replace_is_a_refused_candidate(tiny, results):
    made = make_candidate(results, tiny, Recipe(steps=(ReplaceActivation(epochs=0.0),)))
    assert made.artifact is None
    assert "no HardSwish" in made.refusal.reason
    with pytest.raises(RefusedError):
        trained_network(results, tiny, Recipe(steps=(ReplaceActivation(epochs=0.0),)))


def _stored_weights(file):
    """Integers and scales of each layer, by its name, as (O, ...) and (O,) or ()."""
    model = read_model(file)
    values, writers = constants(model), producers(model.graph.node)
    found = {}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        stored = writers[node.input[1]]
        assert stored.op_type == "DequantizeLinear"
        name = stored.input[0]
        while name in writers:  # a cast from four bits to eight
            name = writers[name].input[0]
        levels = values[name].astype(np.int8)
        found[node.name] = levels, values[stored.input[1]]
    return found
