import pytest
import timm
import torch
from torch import nn

from optim.compress.pruning.cutting import cut
from optim.compress.pruning.find_groups import channel_groups
from optim.recipe import Prune
from optim.task.architectures import build
from tests.compress.pruning.pruned import lively, pruned, zeroed


def groups_of(network, shape=(1, 28, 28)):
    return {group.name: group for group in channel_groups(network.eval(), shape)}


def test_residual_branches_lose_the_same_channels():
    groups = groups_of(build("resnet", in_channels=1, classes=10))
    assert groups["conv1"].layers == ("conv1", "layer1.0.conv2")
    assert groups["layer2.0.conv2"].layers == ("layer2.0.conv2", "layer2.0.downsample.0")
    assert groups["layer1.0.conv1"].layers == ("layer1.0.conv1",)
    assert [g.channels for g in groups.values()] == [64, 64, 128, 128, 192, 192, 256, 256, 10]


def test_the_layers_that_read_a_group_lose_inputs_and_no_outputs():
    group = groups_of(build("resnet", in_channels=1, classes=10))["layer4.0.conv2"]
    reads = [part for part in group.parts if part.side == "inputs"]
    assert [part.layer for part in reads] == ["fc"]
    assert "fc" not in group.layers


def test_a_depthwise_convolution_shrinks_with_the_layer_before_it():
    group = groups_of(build("mobilenetv2", in_channels=1, classes=7))["blocks.1.0.conv_pw"]
    assert group.layers == ("blocks.1.0.conv_pw", "blocks.1.0.conv_dw")


def test_joined_layers_shrink_alone():
    groups = groups_of(build("squeezenet", in_channels=1, classes=7))
    narrow, wide = (groups[f"features.3.expand{k}"] for k in ("1x1", "3x3"))
    read = {
        g.name: next(p for p in g.parts if p.layer == "features.4.squeeze") for g in (narrow, wide)
    }
    assert read[narrow.name].channel.tolist() == [*range(64)]
    assert read[wide.name].channel.tolist() == [*range(64, 128)]


def test_groups_come_in_the_order_of_the_network_and_hold_every_layer_once():
    network = build("efficientnet_lite0", in_channels=1, classes=7)
    groups = channel_groups(network.eval(), (1, 28, 28))
    order = [name for name, _ in network.named_modules()]
    assert [g.name for g in groups] == sorted((g.name for g in groups), key=order.index)
    layers = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sorted(layer for g in groups for layer in g.layers) == sorted(layers)


def test_the_outputs_stay_and_say_so():
    group = groups_of(build("motion_cnn", in_channels=6, classes=7), (6, 128))["head"]
    assert not group.prunable
    assert group.unprunable_reason == "its channels are the network's outputs."


def test_a_narrower_network_has_the_same_groups():
    network = build("mobilenetv2", in_channels=1, classes=7).eval()
    before = groups_of(network)
    after = groups_of(pruned(network, Prune(ratio=0.5), (1, 28, 28)))
    assert list(before) == list(after)
    assert all(after[name].layers == group.layers for name, group in before.items())


def test_a_grouped_convolution_loses_whole_groups():
    network = nn.Sequential(
        nn.Conv2d(1, 24, 1), nn.Conv2d(24, 48, 3, groups=4), nn.Conv2d(48, 5, 1), nn.Flatten()
    )
    groups = channel_groups(network.eval(), (1, 3, 3))
    assert [g.name for g in groups] == ["0", "2"]
    assert groups[0].layers == ("0", "1")
    assert (groups[0].channels, groups[0].granularity, groups[0].units) == (24, 6, 4)
    smaller = cut(network, groups, {"0": (1, 3)})
    assert (smaller[1].groups, smaller[1].in_channels, smaller[1].out_channels) == (2, 12, 24)
    x = torch.randn(2, 1, 3, 3)
    torch.testing.assert_close(smaller(x), zeroed(network, groups, {"0": (1, 3)})(x))


def test_channels_that_meet_in_one_place_leave_together():
    class Doubled(nn.Module):  # as GhostNet: half of the channels are made from the other half
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 1)
            self.cheap = nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.shortcut = nn.Conv2d(1, 16, 1)
            self.last = nn.Conv2d(16, 3, 1)

        def forward(self, x):
            y = self.first(x)
            return self.last(torch.cat([y, self.cheap(y)], 1) + self.shortcut(x)).mean((2, 3))

    network = Doubled().eval()
    (group,) = [g for g in channel_groups(network, (1, 4, 4)) if g.prunable]
    assert group.units == 8
    shortcut = next(part for part in group.parts if part.layer == "shortcut")
    assert shortcut.channels_of((3,)).tolist() == [3, 11]


def test_attention_shrinks_by_heads_and_the_stream_stays_whole():
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, num_classes=5)
    groups = groups_of(network, (3, 32, 32))
    heads = groups["blocks.0.attn.qkv"]
    assert (heads.channels, heads.granularity, heads.units) == (192, 64, 3)
    assert groups["blocks.0.mlp.fc1"].prunable
    assert groups["patch_embed.proj"].unprunable_reason.startswith(
        "a LayerNorm normalises over its channels"
    )


def test_a_head_that_leaves_takes_its_queries_keys_and_values():
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=5).eval()
    groups = channel_groups(network, (3, 32, 32))
    leaving = {"blocks.0.attn.qkv": (1,)}
    smaller = cut(network, groups, leaving)
    assert smaller.blocks[0].attn.num_heads == 2
    assert smaller.blocks[0].attn.qkv.out_features == 3 * 2 * 64
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(smaller(x), zeroed(network, groups, leaving)(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [nn.LayerNorm, lambda c: nn.GroupNorm(2, c)])
def test_a_layer_that_is_normalised_over_its_channels_stays_whole(kind):
    network = nn.Sequential(
        nn.Linear(6, 8), kind(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)
    )
    groups = groups_of(network, (6,))
    assert "normalises over its channels" in groups["0"].unprunable_reason
    assert groups["3"].prunable


def test_a_softmax_over_channels_is_an_obstacle():
    network = nn.Sequential(nn.Linear(6, 8), nn.Softmax(1), nn.Linear(8, 3))
    assert "mixes its channels" in groups_of(network, (6,))["0"].unprunable_reason


def test_a_network_that_counts_its_channels_itself_is_left_whole_there():
    class Splitting(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(1, 8, 1), nn.Conv2d(4, 6, 1)
            self.head = nn.Conv2d(6, 3, 1)

        def forward(self, x):
            one, other = self.first(x).reshape(-1, 2, 4, 5, 5).unbind(1)
            return self.head(self.last(one * other)).mean((2, 3))

    groups = groups_of(Splitting(), (1, 5, 5))
    assert not groups["first"].prunable
    assert groups["last"].prunable


def test_channels_that_are_shuffled_are_found_out():
    class Shuffled(nn.Module):  # as ShuffleNet: the graph cannot follow the transposition
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(1, 8, 1), nn.Conv2d(8, 6, 1)
            self.head = nn.Conv2d(6, 3, 1)

        def forward(self, x):
            y = self.first(x)
            n, c, h, w = y.shape
            y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            return self.head(self.last(y)).mean((2, 3))

    groups = groups_of(lively(Shuffled(), (1, 5, 5)), (1, 5, 5))
    assert groups["first"].unprunable_reason.startswith("cutting it changes its other channels")
    assert groups["last"].prunable


def test_the_network_is_left_alone():
    network = build("motion_cnn", in_channels=6, classes=7).train()
    network.head.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    channel_groups(network, (6, 128))
    assert network.training
    assert not network.head.weight.requires_grad
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
