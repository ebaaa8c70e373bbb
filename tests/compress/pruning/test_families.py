"""Networks that were chosen because they break dependency graphs: each loses channels, and stays
its masked twin."""

import pytest
import timm
import torch
import torchvision

from optim.compress.pruning.cutting import cut, fit_to_state
from optim.compress.pruning.find_groups import channel_groups
from optim.compress.pruning.prune import choose_channels, prune
from optim.recipe import Prune
from tests.compress.pruning.pruned import assert_equal, lively, noise, zeroed

SHAPE = (3, 64, 64)
FAMILIES = {
    "resnet18": lambda: timm.create_model("resnet18", num_classes=5),
    "resnext": lambda: timm.create_model("resnext50_32x4d", num_classes=5, layers=(1, 1, 1, 1)),
    "densenet": lambda: timm.create_model(
        "densenet121", num_classes=5, growth_rate=16, block_config=(2, 3, 2)
    ),
    "mobilenetv2": lambda: timm.create_model("mobilenetv2_100", num_classes=5),
    "mobilenetv3": lambda: timm.create_model("mobilenetv3_small_100", num_classes=5),
    "efficientnet_lite0": lambda: timm.create_model("efficientnet_lite0", num_classes=5),
    "efficientnet_b0": lambda: timm.create_model("efficientnet_b0", num_classes=5),
    "regnet": lambda: timm.create_model("regnetx_002", num_classes=5),
    "convnext": lambda: timm.create_model("convnext_atto", num_classes=5),
    "ghostnet": lambda: timm.create_model("ghostnet_100", num_classes=5),
    "vit": lambda: timm.create_model(
        "vit_tiny_patch16_224", num_classes=5, img_size=64, depth=3
    ),
    "squeezenet": lambda: torchvision.models.squeezenet1_1(num_classes=5),
}  # fmt: skip
STEPS = (
    Prune(ratio=0.5),
    Prune(ratio=0.6, criterion="taylor", scope="global", unit="macs", round_to=8),
)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_pruned_to_its_masked_twin(family):
    torch.manual_seed(0)
    network = lively(FAMILIES[family](), SHAPE)
    examples = noise(SHAPE)
    x = torch.from_numpy(examples.inputs)
    for step in STEPS:
        groups, leaving = choose_channels(network, step, examples, seed=0, original=network)
        smaller = cut(network, groups, leaving)
        with torch.no_grad():
            found, expected = smaller(x), zeroed(network, groups, leaving)(x)
            again = fit_to_state(network, smaller.state_dict())(x)
        assert expected.std() > 1e-3, "a network that answers nothing tells nothing"
        assert_equal(found, expected)
        assert torch.equal(again, found)
        assert _size(smaller) < 0.65 * _size(network)


@pytest.mark.parametrize("family", ["resnext", "regnet"])
def test_grouped_convolutions_of_published_networks_keep_the_width_of_a_group(family):
    network = FAMILIES[family]().eval()
    widths = {
        name: module.weight.shape[1]
        for name, module in network.named_modules()
        if getattr(module, "groups", 1) > 1
    }
    smaller = prune(network, Prune(ratio=0.5), examples=noise(SHAPE), seed=0, original=network)
    for name, width in widths.items():
        assert smaller.get_submodule(name).weight.shape[1] == width
        assert smaller.get_submodule(name).groups < network.get_submodule(name).groups


@pytest.mark.parametrize("family", ["resnet18", "ghostnet", "efficientnet_b0", "densenet"])
def test_all_but_the_outputs_can_shrink_where_nothing_normalises_over_channels(family):
    groups = channel_groups(FAMILIES[family]().eval(), SHAPE)
    assert [g.unprunable_reason for g in groups if not g.prunable] == [
        "its channels are the network's outputs."
    ]


def _size(network):
    return sum(p.numel() for p in network.parameters())
