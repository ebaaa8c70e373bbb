import time

import pytest
import torch
from torch import nn

from optim.compress.pruning.cutting import cut, cut_in_place, fit_to_state, masked
from optim.compress.pruning.find_groups import channel_groups, output_layer
from optim.compress.pruning.prune import choose_channels, narrow, prune, reset_parameters_of
from optim.compress.pruning.ratios import cost_of
from optim.errors import RefusedError
from optim.recipe import Criterion, Prune, PruningUnit, Scope
from optim.task.architectures import ARCHITECTURES, build
from tests.compress.pruning.pruned import assert_equal, lively, noise, pruned, zeroed
from tests.reference.uniform_pruning import uniformly_pruned

INPUTS = dict.fromkeys(ARCHITECTURES, (1, 28, 28)) | {"motion_cnn": (6, 128)}


def sample(architecture, classes=5):
    torch.manual_seed(0)
    shape = INPUTS[architecture]
    return lively(build(architecture, in_channels=shape[0], classes=classes), shape), shape


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("criterion", Criterion)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pruned_network_equals_its_masked_twin(architecture, criterion, scope):
    network, shape = sample(architecture)
    step, examples = Prune(ratio=0.5, criterion=criterion, scope=scope), noise(shape)
    if (architecture, criterion) == ("squeezenet", "bn_scale"):
        with pytest.raises(RefusedError, match="has no batch norm"):
            choose_channels(network, step, examples, seed=0, original=network)
        return
    groups, leaving = choose_channels(network, step, examples, seed=0, original=network)
    smaller = cut(network, groups, leaving)
    x = torch.from_numpy(examples.inputs)
    with torch.no_grad():
        found, expected = smaller(x), zeroed(network, groups, leaving)(x)
        assert torch.equal(masked(network, groups, leaving)(x), expected)
    assert expected.std() > 0.01, "a network that answers nothing tells nothing"
    assert_equal(found, expected)
    assert torch.equal(fit_to_state(network, smaller.state_dict())(x), found)


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.75])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_default_recipe_removes_the_very_channels_that_torch_pruning_removes(architecture, ratio):
    network, shape = sample(architecture)
    ours = pruned(network, Prune(ratio=ratio), shape).state_dict()
    theirs = uniformly_pruned(network, ratio, 16, shape).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pruned_network_is_smaller_and_answers_in_the_same_shape(architecture):
    network, shape = sample(architecture, classes=7)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    smaller = pruned(network, Prune(ratio=0.5), shape)
    assert _size(smaller) < 0.45 * _size(network)
    assert smaller(torch.zeros(2, *shape)).shape == (2, 7)
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before), "the argument was changed"


def test_the_channels_with_the_smallest_weights_leave():
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 3))
    with torch.no_grad():
        network[0].weight.copy_(torch.arange(1.0, 9.0)[:, None, None, None].expand(8, 1, 3, 3))
        network[3].weight.fill_(1.0)
    smaller = pruned(network, Prune(ratio=0.5, round_to=1), (1, 4, 4))
    assert smaller[0].weight[:, 0, 0, 0].tolist() == [5.0, 6.0, 7.0, 8.0]


@pytest.mark.parametrize("unit", [PruningUnit.PARAMETERS, PruningUnit.MACS])
@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("architecture", ["resnet", "mobilenetv2", "motion_cnn"])
def test_a_ratio_may_be_of_the_parameters_or_of_the_macs(architecture, unit, scope):
    network, shape = sample(architecture)
    for ratio in (0.4, 0.7):
        smaller = pruned(network, Prune(ratio=ratio, unit=unit, scope=scope), shape)
        left = [cost_of(net, (), shape, unit)({}) for net in (smaller, network)]
        assert 1 - left[0] / left[1] == pytest.approx(ratio, abs=0.03)


def test_widths_for_a_share_of_the_macs_are_found_in_seconds():
    network, shape = sample("resnet")
    started = time.process_time()
    pruned(network, Prune(ratio=0.5, unit=PruningUnit.MACS), shape)
    assert time.process_time() - started < 5


def test_single_layers_may_have_ratios_of_their_own():
    network, shape = sample("resnet")
    layers = {"layer3.0.conv1": 0.75, "conv1": 0.0}
    smaller = pruned(network, Prune(ratio=0.5, layers=layers), shape)
    assert smaller.conv1.out_channels == 64
    assert smaller.layer3[0].conv1.out_channels == 48
    assert smaller.layer4[0].conv1.out_channels == 128
    alone = pruned(network, Prune(ratio=0.0, layers={"layer3.0.conv1": 0.75}), shape)
    assert _size(network) - _size(alone) == 144 * (128 * 9 + 2 + 192 * 9)


def test_a_layer_that_is_not_there_is_refused():
    network, shape = sample("resnet")
    with pytest.raises(RefusedError, match=r"nearest names are layer3\.0\.conv1"):
        pruned(network, Prune(ratio=0.5, layers={"layer3.0.con1": 0.5}), shape)


@pytest.mark.parametrize("architecture", ["resnet", "mobilenetv2", "motion_cnn"])
def test_rounds_end_at_the_widths_of_one_cut(architecture):
    network, shape = sample(architecture)
    last = Prune(ratio=0.7, blocks=int(architecture != "motion_cnn"), rounds=3)
    second = last.earlier_round()
    first = second.earlier_round()
    narrower = network
    for step in (first, second, last):
        narrower = prune(narrower, step, examples=noise(shape), seed=0, original=network)
    at_once = pruned(network, Prune(ratio=last.ratio, blocks=last.blocks), shape)
    assert [p.shape for p in narrower.parameters()] == [p.shape for p in at_once.parameters()]


@pytest.mark.parametrize("unit", PruningUnit)
def test_rounds_over_the_whole_network_end_at_the_same_share(unit):
    network, shape = sample("resnet")
    last = Prune(ratio=0.6, rounds=2, unit=unit, scope=Scope.GLOBAL)
    narrower = network
    for step in (last.earlier_round(), last):
        narrower = prune(narrower, step, examples=noise(shape), seed=0, original=network)
    left, whole = (
        sum(g.channels for g in channel_groups(net, shape) if g.prunable)
        if unit is PruningUnit.CHANNELS
        else cost_of(net, (), shape, unit)({})
        for net in (narrower, network)
    )
    assert 1 - left / whole == pytest.approx(0.6, abs=0.03)


def test_blocks_and_channels_together_remove_the_share_of_the_macs():
    network, shape = sample("mobilenetv2")
    smaller = pruned(network, Prune(ratio=0.6, blocks=3, unit=PruningUnit.MACS), shape)
    left = [cost_of(net, (), shape, PruningUnit.MACS)({}) for net in (smaller, network)]
    assert 1 - left[0] / left[1] == pytest.approx(0.6, abs=0.03)


def test_chance_is_the_same_for_the_same_seed():
    network, shape = sample("motion_cnn")
    step = Prune(ratio=0.5, criterion=Criterion.RANDOM)
    one, same, other = (pruned(network, step, shape, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_a_network_without_a_layer_that_can_shrink_is_refused():
    network = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3))
    with pytest.raises(RefusedError, match="no layer of this network can lose channels"):
        pruned(network, Prune(ratio=0.5), (6,))


def test_gradients_leave_with_their_weights():
    network, shape = sample("motion_cnn")
    groups = channel_groups(network, shape)
    network(torch.randn(2, *shape)).sum().backward()
    before = network.head.weight.grad.clone()
    cut_in_place(network, groups, {"blocks.2.main.6": tuple(range(100))})
    assert torch.equal(network.head.weight.grad, before[:, 100:])
    assert torch.equal(cut(network, (), {}).head.weight, network.head.weight)


def test_a_narrower_network_has_the_share_of_every_width():
    network, shape = sample("resnet")
    half = narrow(network, 0.5, shape)
    assert [m.out_channels for m in half.modules() if isinstance(m, nn.Conv2d)] == [
        m.out_channels // 2 for m in network.modules() if isinstance(m, nn.Conv2d)
    ]


def test_the_control_has_the_same_shapes_and_none_of_the_weights():
    network = build("squeezenet", in_channels=1, classes=10)
    fresh = reset_parameters_of(network, seed=1)
    ours, theirs = network.state_dict(), fresh.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert not torch.equal(ours["features.0.weight"], theirs["features.0.weight"])
    again = reset_parameters_of(network, seed=1).state_dict()
    assert torch.equal(theirs["features.0.weight"], again["features.0.weight"])


def test_the_output_layer_is_the_one_that_gives_the_classes():
    network = build("squeezenet", in_channels=1, classes=10)
    assert output_layer(network).out_channels == 10


def _size(network):
    return sum(p.numel() for p in network.parameters())
