import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from optim.architectures import ARCHITECTURES, build
from optim.compress.channel_groups import output_layer
from optim.compress.cutting import fit_to_state
from optim.compress.prune import fresh_weights
from optim.compress.ratios import channels_to_keep
from optim.recipe import Prune
from tests.compress.pruned import pruned

INPUTS = dict.fromkeys(ARCHITECTURES, (1, 28, 28)) | {"motion_cnn": (6, 128)}


@given(st.integers(1, 512), st.floats(0.01, 0.95), st.sampled_from([1, 8, 16, 32]))
def test_a_layer_keeps_at_least_one_block_and_never_grows(channels, ratio, round_to):
    kept = channels_to_keep(channels, ratio, round_to)
    assert 1 <= kept <= channels
    if channels >= 2 * round_to and kept < channels:
        assert kept % round_to == 0


@given(st.integers(32, 512), st.floats(0.05, 0.9))
def test_a_higher_ratio_never_keeps_more_channels(channels, ratio):
    assert channels_to_keep(channels, ratio + 0.05, 16) <= channels_to_keep(channels, ratio, 16)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pruned_network_is_smaller_and_answers_in_the_same_shape(architecture):
    shape = INPUTS[architecture]
    network = build(architecture, in_channels=shape[0], classes=7).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    smaller = pruned(network, Prune(ratio=0.5), shape)
    assert _size(smaller) < 0.45 * _size(network)
    assert smaller(torch.zeros(2, *shape)).shape == (2, 7)
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before), "the argument was changed"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pruned_network_comes_back_from_its_weights_alone(architecture):
    shape = INPUTS[architecture]
    network = build(architecture, in_channels=shape[0], classes=5).eval()
    smaller = pruned(network, Prune(ratio=0.6), shape)
    again = fit_to_state(network, smaller.state_dict())
    x = torch.randn(3, *shape)
    assert torch.equal(smaller(x), again(x))


def test_the_channels_with_the_smallest_weights_leave():
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 3))
    with torch.no_grad():
        network[0].weight.copy_(torch.arange(1.0, 9.0)[:, None, None, None].expand(8, 1, 3, 3))
        network[3].weight.fill_(1.0)
    smaller = pruned(network, Prune(ratio=0.5, round_to=1), (1, 4, 4))
    assert smaller[0].weight[:, 0, 0, 0].tolist() == [5.0, 6.0, 7.0, 8.0]


def test_channels_that_were_zero_leave_without_a_trace():
    torch.manual_seed(0)
    network = build("resnet", in_channels=1, classes=10).eval()
    with torch.no_grad():  # the inner channels of the first block's second half
        network.layer1[0].conv1.weight[32:] = 0.0
        network.layer1[0].bn1.weight[32:] = 0.0
        network.layer1[0].bn1.bias[32:] = 0.0
        network.layer1[0].conv2.weight[:, 32:] = 0.0
    import torch_pruning as tp

    x = torch.randn(2, 1, 28, 28)
    expected = network(x)
    graph = tp.DependencyGraph().build_dependency(network, example_inputs=x)
    layer = network.layer1[0].conv1
    graph.get_pruning_group(layer, tp.prune_conv_out_channels, list(range(32, 64))).prune()
    assert layer.weight.shape[0] == 32
    torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-5)


def test_the_control_has_the_same_shapes_and_none_of_the_weights():
    network = build("squeezenet", in_channels=1, classes=10)
    fresh = fresh_weights(network, seed=1)
    ours, theirs = network.state_dict(), fresh.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert not torch.equal(ours["features.0.weight"], theirs["features.0.weight"])
    again = fresh_weights(network, seed=1).state_dict()
    assert torch.equal(theirs["features.0.weight"], again["features.0.weight"])


def test_the_output_layer_is_the_one_that_gives_the_classes():
    network = build("squeezenet", in_channels=1, classes=10)
    assert output_layer(network).out_channels == 10


def _size(network):
    return sum(p.numel() for p in network.parameters())
