"""Whatever network is drawn: it loses half of every group and equals its masked twin."""

import numpy as np
import pytest
import torch
from torch import nn

from optim.compress.pruning.cutting import cut, masked
from optim.compress.pruning.find_groups import channel_groups
from optim.compress.pruning.probe import tensors_of
from optim.errors import RefusedError
from tests.compress.random_networks import random_network

IN_ONE_TEST = 25


def leaving(groups, seed):
    """Half of the units of each group, at random."""
    rng = np.random.default_rng(seed)
    return {
        group.name: tuple(sorted(rng.permutation(group.units)[: group.units // 2].tolist()))
        for group in groups
        if group.prunable and group.units > 1
    }


def worst_difference(seed):
    """Of the largest answer, over the network's weights and others; and how many units left."""
    drawn = random_network(seed)
    groups = channel_groups(drawn.network, drawn.input_shape)
    pruned = leaving(groups, seed)
    worst = 0.0
    for network in (drawn.network, with_other_weights(drawn.network, seed)):
        x = torch.randn(3, *drawn.input_shape)
        with torch.no_grad():
            whole = [*tensors_of(masked(network, groups, pruned)(x))]
            narrow = [*tensors_of(cut(network, groups, pruned)(x))]
        for one, other in zip(whole, narrow, strict=True):
            assert one.shape == other.shape
            worst = max(worst, float((one - other).abs().max() / one.abs().max().clamp(min=1e-9)))
    return worst, sum(map(len, pruned.values())), {g.unprunable_reason for g in groups}


def with_other_weights(network, seed):
    torch.manual_seed(seed + 1)
    other = random_network(seed).network
    for module in other.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return other


def assert_all_equal(seeds):
    left, refused, reasons = 0, 0, set()
    for seed in seeds:
        try:
            worst, units, why = worst_difference(seed)
        except RefusedError:
            refused += 1
            continue
        assert worst < 1e-3, f"network {seed} changes by {worst:.2g}"
        left += units
        reasons |= why
    assert left > 5 * len(seeds)
    assert refused < 0.15 * len(seeds)
    return reasons


@pytest.mark.parametrize("start", range(0, 100, IN_ONE_TEST))
def test_a_random_network_equals_its_masked_twin(start):
    assert_all_equal(range(start, start + IN_ONE_TEST))


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("start", range(100, 5100, 500))
def test_many_random_networks_equal_their_masked_twins(start):
    reasons = assert_all_equal(range(start, start + 500))
    assert any("breaks the network's code" in reason for reason in reasons)
