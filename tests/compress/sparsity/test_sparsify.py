import copy
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from optim.artifact import Artifact
from optim.compress.pruning.prune import narrow
from optim.compress.sparsity.masks import lowest, magnitudes, mask_of, places
from optim.compress.sparsity.sparsify import RAMP, Ramp, sparsify
from optim.compress.training.loop import Follow
from optim.graph.export import export_onnx
from optim.graph.inspect import graph_facts
from optim.graph.onnx_file import LAYERS, constants
from optim.graph.quantization.quantize import quantize
from optim.pipeline.make import make_candidate, trained_network
from optim.recipe import (
    Pattern,
    Precision,
    Quantize,
    Recipe,
    Rounding,
    Scope,
    Sparsify,
    SparsifyMethod,
)
from optim.store.results import Results
from tests.small_task import small_task


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Its weights are averaged over time when it trains for three epochs or more."""
    task = small_task(tmp_path_factory.mktemp("tiny"), windows=128)
    averaged = replace(task.training, schedule={**task.training.schedule, "ema_decay": 0.9})
    return replace(task, card=replace(task.card, training=averaged))


@pytest.fixture(scope="module")
def network(tiny):
    """A quarter of the channels: repairing the whole one takes too long for a test."""
    return narrow(tiny.network(), 0.25, tiny.input_shape)


def asked(network, task, step):
    """How many zeros each weight is to have, by its name."""
    names = places(network, step.pattern, task.input_shape).weights
    if step.scope is Scope.UNIFORM:
        return {n: round(step.sparsity * network.get_parameter(n).numel()) for n in names}
    zeros = lowest(magnitudes(network, names), step.sparsity, step.pattern, step.scope)
    return {name: int(zero.sum()) for name, zero in zeros.items()}


def counted(network):
    return {name: int(zero.sum()) for name, zero in mask_of(network).items()}


def file_counts(content):
    """Zeros by the weights' names, in the ONNX file."""
    model = onnx.load_model_from_string(content)
    stored = constants(model)
    found = {
        f"{node.name}.weight": int((stored[node.input[1]] == 0).sum())
        for node in model.graph.node
        if node.op_type in LAYERS
    }
    return {name: zeros for name, zeros in found.items() if zeros}


@pytest.mark.parametrize("method", SparsifyMethod)
@pytest.mark.parametrize(
    "what",
    [
        {"sparsity": 0.7},
        {"sparsity": 0.9, "scope": Scope.GLOBAL},
        {"pattern": Pattern.TWO_OF_FOUR},
        {"pattern": Pattern.FOUR_OF_EIGHT},
    ],
    ids=str,
)
def test_network_and_file_have_exactly_the_zeros_that_were_asked_for(tiny, network, method, what):
    step = Sparsify(method=method, epochs=3.0, **what)
    before = copy.deepcopy(network.state_dict())
    sparse = sparsify(tiny, network, step, seed=0, follow=Follow())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    counts = counted(sparse)
    if step.method is SparsifyMethod.GRADUAL and step.scope is Scope.GLOBAL:
        assert sum(counts.values()) == sum(asked(network, tiny, step).values())
    else:
        assert counts == asked(network, tiny, step)
    assert file_counts(export_onnx(sparse, tiny.input_shape)) == counts
    if step.pattern is not Pattern.UNSTRUCTURED:
        size = 4 if step.pattern is Pattern.TWO_OF_FOUR else 8
        for zero in mask_of(sparse).values():
            groups = zero.movedim(1, -1).reshape(-1, size)
            assert (groups.sum(1) == size // 2).all()


@pytest.mark.parametrize("method", [SparsifyMethod.MAGNITUDE, SparsifyMethod.SPARSEGPT])
def test_without_training_neither_training_data_nor_labels_are_looked_at(tiny, network, method):
    class Guarded(type(tiny)):
        def split(self, name):
            assert name == "calibration"
            return super().split(name)

    guarded = Guarded(**{field: getattr(tiny, field) for field in tiny.__dataclass_fields__})
    step = Sparsify(sparsity=0.8, method=method, epochs=0)
    sparse = sparsify(guarded, network, step, seed=0, follow=Follow())
    assert counted(sparse) == asked(network, tiny, step)


@pytest.fixture(scope="module")
def sparse_file(tiny, network):
    step = Sparsify(sparsity=0.7, method=SparsifyMethod.SPARSEGPT, epochs=0)
    return export_onnx(sparsify(tiny, network, step, seed=0, follow=Follow()), tiny.input_shape)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT4])
def test_quantization_keeps_every_zero(tiny, sparse_file, rounding, precision):
    step = Quantize(precision=precision, rounding=rounding, bias_correction=True)
    quantized = quantize(sparse_file, step, tiny.split("calibration").inputs[:32])
    before, after = graph_facts(sparse_file), graph_facts(quantized)
    assert after.weights == before.weights
    assert after.zero_weights >= before.zero_weights
    kept = _weights_as_floats(quantized)
    for name, weight in _weights_as_floats(sparse_file).items():
        assert (kept[name][weight == 0] == 0).all()


def _weights_as_floats(content):
    """Weights by the layer's place in the file, as they are stored."""
    model = onnx.load_model_from_string(content)
    stored = constants(model)
    made = {node.output[0]: node.input[0] for node in model.graph.node if node.input}

    def origin(name):
        return name if name in stored else origin(made[name])

    layers = [node for node in model.graph.node if node.op_type in LAYERS]
    return {i: stored[origin(node.input[1])].astype(np.float32) for i, node in enumerate(layers)}


def test_the_ramp_is_cubic_and_what_is_zero_stays_zero(network, tiny):
    step = Sparsify(sparsity=0.8, method=SparsifyMethod.GRADUAL)
    where = places(network, step.pattern, tiny.input_shape)
    ramp, training = Ramp(where, step), copy.deepcopy(network)
    generator = torch.Generator().manual_seed(0)
    total = sum(network.get_parameter(name).numel() for name in where.weights)
    before = None
    for done in np.linspace(0.01, 1, 100):
        with torch.no_grad():
            for parameter in training.parameters():
                parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
        ramp(done, training)
        zeros = mask_of(training)
        share = sum(int(zero.sum()) for zero in zeros.values()) / total
        expected = 0.8 * (1 - (1 - min(1, done / RAMP)) ** 3)
        assert share == pytest.approx(expected, abs=0.06)
        if before is not None:
            assert all((zeros[name] | ~zero).all() for name, zero in before.items())
        before = zeros
    assert share == pytest.approx(0.8, abs=1e-4)


def test_a_recipe_makes_a_sparse_candidate_and_its_facts_say_so(tiny, tmp_path):
    results = Results(tmp_path)
    recipe = Recipe.from_text(
        "steps:\n- {step: sparsify, sparsity: 0.7, method: sparsegpt, epochs: 0}\n"
    )
    made = make_candidate(results, tiny, recipe)
    baseline = make_candidate(results, tiny, Recipe())
    assert isinstance(made.artifact, Artifact), made.refusal
    assert isinstance(baseline.artifact, Artifact)
    sparse = trained_network(results, tiny, recipe)  # from the store
    assert counted(sparse) == asked(tiny.network(), tiny, recipe.steps[0])
    assert made.facts.zero_weights == sum(counted(sparse).values())
    assert 0.65 < made.facts.sparsity < 0.7  # the first layer is dense
    assert made.artifact.size_bytes == pytest.approx(baseline.artifact.size_bytes, rel=0.01)
    assert made.artifact.compressed_bytes < 0.55 * baseline.artifact.compressed_bytes


def test_a_killed_training_goes_on_and_ends_as_sparse(tiny, network, tmp_path):
    class KilledError(Exception):
        pass

    def kill(epoch):
        if epoch.epoch == 2:
            raise KilledError

    step = Sparsify(sparsity=0.8, method=SparsifyMethod.GRADUAL, epochs=3)
    checkpoint = tmp_path / "run.pt"
    with pytest.raises(KilledError):
        sparsify(tiny, network, step, seed=0, follow=Follow(on_epoch=kill, checkpoint=checkpoint))
    resumed = sparsify(tiny, network, step, seed=0, follow=Follow(checkpoint=checkpoint))
    whole = sparsify(tiny, network, step, seed=0, follow=Follow())
    assert counted(resumed) == counted(whole) == asked(network, tiny, step)
