import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from optim.compress.sparsity import sparsegpt as repair_module
from optim.compress.sparsity.masks import lowest, magnitudes, places, with_mask
from optim.compress.sparsity.sparsegpt import refit, repair
from optim.compress.sparsity.sparsify import sparsify
from optim.compress.training.loop import Follow
from optim.engines import engine_named
from optim.graph.export import export_onnx
from optim.measure.scoring import predictions_of
from optim.recipe import Pattern, Scope, Sparsify, SparsifyMethod
from optim.task.task import load_task
from tests.reference.optimal_brain import error, remove_cheapest, remove_in_order


def layer(seed, *, outputs=6, inputs=12):
    """Weights, and the moments of inputs that depend on one another."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(100, inputs)) @ rng.normal(size=(inputs, inputs))
    hessian = mixed.T @ mixed / 100 + 0.05 * np.eye(inputs)
    return rng.normal(size=(outputs, inputs)), hessian


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_what_stays_is_where_one_removal_after_the_other_ends_in_any_order(seed, share):
    weight, hessian = layer(seed)
    rng = np.random.default_rng(seed)
    zero = rng.random(weight.shape) < share
    found = refit(weight[None], hessian[None], zero[None])[0]
    for row, new, gone in zip(weight, found, zero, strict=True):
        order = rng.permutation(np.flatnonzero(gone))
        np.testing.assert_allclose(new, remove_in_order(row, hessian, order), atol=1e-6)
    assert (found[zero] == 0).all()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_the_error_is_near_that_of_removing_the_cheapest_one_by_one(share):
    slow, fast, plain = 0.0, 0.0, 0.0
    for seed in range(20):
        weight, hessian = layer(seed)
        count = round(share * weight.size)
        exact = remove_cheapest(weight, hessian, count)
        ours = repaired(weight, hessian, count)
        assert (exact == 0).sum() == (ours == 0).sum() == count
        small = np.where(_lowest(np.abs(weight), share), 0.0, weight)
        slow += error(weight, exact, hessian)
        fast += error(weight, ours, hessian)
        plain += error(weight, small, hessian)
    assert fast < 2 * slow
    assert fast < 0.8 * plain


def repaired(weight, hessian, count):
    """The fast way, on a layer whose inputs have not changed."""
    return repair_module._repaired(
        torch.from_numpy(weight).float(),
        hessian[None],
        np.zeros_like(hessian)[None],
        count,
        Pattern.UNSTRUCTURED,
    ).numpy()


def _lowest(score, share):
    scores = {"w": torch.from_numpy(score)}
    return lowest(scores, share, Pattern.UNSTRUCTURED, Scope.UNIFORM)["w"].numpy()


@pytest.mark.parametrize(
    "reader",
    [
        nn.Conv2d(8, 6, 3, stride=2, padding=1),
        nn.Conv2d(8, 6, 3, padding="same", dilation=2, groups=2),
        nn.Conv1d(8, 6, 5, padding=2, groups=2, padding_mode="circular"),
        nn.Linear(8, 6),
    ],
    ids=str,
)
def test_rows_times_weights_are_what_the_layer_gives(reader):
    shape = {nn.Conv2d: (4, 8, 7, 7), nn.Conv1d: (4, 8, 9), nn.Linear: (4, 8)}[type(reader)]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    rows = repair_module._rows(reader, x)
    groups = len(rows)
    weight = reader.weight.reshape(groups, 6 // groups, -1)
    with torch.inference_mode():
        given_out = reader(x) - reader.bias.reshape(-1, *[1] * (x.ndim - 2))
        expected = given_out.movedim(1, -1).reshape(-1, 6)  # (S, O)
        ours = torch.cat(list(rows @ weight.mT), dim=1)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 24, 3, padding=1, groups=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5),
    ).eval()  # fmt: skip


EXAMPLES = np.random.default_rng(0).normal(size=(192, 2, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("pattern", Pattern)
def test_a_repaired_network_answers_more_like_the_original_than_a_cut_one(pattern):
    network = small_network()
    before = network[2].weight.detach().clone()
    names = places(network, pattern, (2, 8, 8)).weights
    zeros = lowest(magnitudes(network, names), 0.5, pattern, Scope.UNIFORM)
    counts = {name: int(zero.sum()) for name, zero in zeros.items()}
    repaired = repair(network, counts, pattern, EXAMPLES, seed=0)
    assert torch.equal(network[2].weight, before)
    for name, count in counts.items():
        assert int((repaired.get_parameter(name) == 0).sum()) == count
    fresh = torch.randn(64, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = network(fresh)
        ours = (repaired(fresh) - wanted).norm()
        cut = (with_mask(network, zeros)(fresh) - wanted).norm()
    assert ours < 0.6 * cut


def test_without_zeros_nothing_changes():
    network = small_network()
    same = repair(network, {"2.weight": 0, "6.weight": 0}, Pattern.UNSTRUCTURED, EXAMPLES, seed=0)
    for ours, theirs in zip(same.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_repair_at_70_percent_beats_magnitude_on_validation(tmp_path):
    task = load_task("motion-cnn")
    validation = task.split("validation")
    right = {}
    for method in (SparsifyMethod.MAGNITUDE, SparsifyMethod.SPARSEGPT):
        step = Sparsify(sparsity=0.7, method=method, epochs=0)
        network = sparsify(task, task.network(), step, seed=0, follow=Follow())
        path = tmp_path / f"{method}.onnx"
        path.write_bytes(export_onnx(network, task.input_shape))
        answers = predictions_of(engine_named("onnxruntime"), path, validation, threads=1)
        right[method] = (answers == validation.targets).mean()
    assert right[SparsifyMethod.SPARSEGPT] > right[SparsifyMethod.MAGNITUDE] + 0.05
