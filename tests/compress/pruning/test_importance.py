import copy

import numpy as np
import pytest
import torch
from torch import nn

from optim.compress.pruning.find_groups import channel_groups
from optim.compress.pruning.importance import comparable, fill_gradients, scores
from optim.errors import RefusedError
from optim.recipe import Criterion, Prune
from optim.task.architectures import build
from optim.task.datasets import Split
from tests.compress.pruning.pruned import lively, noise, pruned


def scores_of(network, criterion, shape=(2,), *, name="0", seed=0):
    group = next(g for g in channel_groups(network.eval(), shape) if g.name == name)
    return scores(network, group, criterion, seed=seed)


def two_layers(first, second):
    network = nn.Sequential(
        nn.Linear(2, len(first), bias=False), nn.ReLU(), nn.Linear(len(first), 1, bias=False)
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor(first))
        network[2].weight.copy_(torch.tensor([second]))
    return network


def test_l1_adds_magnitudes_and_l2_their_squares_over_all_layers_of_a_group():
    network = two_layers([[3.0, 0.0], [2.0, 2.0]], [0.0, 0.0])
    assert (scores_of(network, Criterion.L1) * 7).tolist() == pytest.approx([2 * 3, 2 * 4])
    assert (scores_of(network, Criterion.L2) * 17).tolist() == pytest.approx([2 * 9, 2 * 8])
    heavy = two_layers([[3.0, 0.0], [2.0, 2.0]], [0.0, 5.0])  # what reads a channel counts as well
    assert scores_of(heavy, Criterion.L2)[1] > scores_of(heavy, Criterion.L2)[0]


def test_the_factor_of_the_batch_norm_ranks_by_its_magnitude():
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1), nn.Flatten())
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([0.5, -2.0, 1.0]))
    assert scores_of(network, Criterion.BN_SCALE, (1, 1, 1)).tolist() == [0.5, 2.0, 1.0]


def test_taylor_is_weight_times_gradient_summed_over_the_group():
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    examples = noise((2,), n=100, classes=2)
    fill_gradients(network, examples)
    plain = copy.deepcopy(network)
    loss = nn.functional.cross_entropy(
        plain(torch.from_numpy(examples.inputs)), torch.from_numpy(examples.targets)
    )
    loss.backward()
    moved = [(p * p.grad).abs() for p in plain.parameters()]
    expected = moved[0].sum(1) + moved[1] + moved[2].sum(0)
    torch.testing.assert_close(scores_of(network, Criterion.TAYLOR), expected)


def test_a_channel_that_the_loss_does_not_feel_scores_nothing_by_taylor():
    network = two_layers([[1.0, 1.0], [9.0, 9.0]], [1.0, 0.0])
    network[2] = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        network[2].weight[:, 1] = 0.0
    fill_gradients(network, Split(inputs=np.ones((4, 2), np.float32), targets=np.zeros(4, int)))
    first, second = scores_of(network, Criterion.TAYLOR).tolist()
    assert second == 0 < first
    assert scores_of(network, Criterion.L2)[1] > scores_of(network, Criterion.L2)[0]


def test_the_channel_that_others_can_replace_is_the_one_nearest_to_them():
    weights = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [10.0, 10.0], [0.4, 0.4]]
    found = scores_of(two_layers(weights, [1.0] * 5), Criterion.FPGM)
    distances = torch.cdist(torch.tensor(weights), torch.tensor(weights)).sum(1)
    torch.testing.assert_close(found, distances)
    assert found.argmin() == 4


def test_lamp_is_a_magnitude_as_a_share_of_those_that_are_at_least_as_large():
    network = two_layers([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]], [0.0] * 3)
    expected = [1 / 14, 4 / 13, 1.0]
    torch.testing.assert_close(scores_of(network, Criterion.LAMP), torch.tensor(expected))


@pytest.mark.parametrize("criterion", [c for c in Criterion if c is not Criterion.LAMP])
def test_scores_of_all_groups_have_the_mean_one_when_they_are_compared(criterion):
    network = lively(build("motion_cnn", in_channels=6, classes=7), (6, 128))
    fill_gradients(network, noise((6, 128)))
    for group in channel_groups(network, (6, 128))[:-1]:
        found = comparable(scores(network, group, criterion, seed=0), criterion)
        assert found.shape == (group.units,)
        assert found.mean() == pytest.approx(1.0, rel=1e-4)


def test_chance_is_seeded_and_differs_between_layers():
    network = build("motion_cnn", in_channels=6, classes=7)
    one, same, other = (
        scores_of(network, Criterion.RANDOM, (6, 128), name="blocks.0.main.0", seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    layer = scores_of(network, Criterion.RANDOM, (6, 128), name="blocks.0.main.3", seed=1)
    assert not torch.equal(one, layer)


def test_a_network_without_batch_norm_refuses_to_be_ranked_by_it():
    network = build("squeezenet", in_channels=1, classes=7).eval()
    with pytest.raises(RefusedError, match="no batch norm, whose factors are what bn_scale ranks"):
        pruned(network, Prune(ratio=0.5, criterion=Criterion.BN_SCALE), (1, 28, 28))
