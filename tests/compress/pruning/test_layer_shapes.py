"""Counted shapes of pruned networks against the files that they become."""

import json
from dataclasses import asdict

import pytest
import timm
import torch
from torch import nn

from optim.compress.pruning.cutting import cut
from optim.compress.pruning.find_groups import channel_groups
from optim.compress.pruning.layer_shapes import (
    LayerShape,
    layer_shapes,
    network_macs,
    network_parameters,
)
from optim.graph.export import export_onnx
from optim.graph.inspect import count_macs, count_parameters
from optim.graph.onnx_file import read_model
from optim.task.architectures import build


class Joined(nn.Module):
    """Depthwise, two branches joined, a norm behind them, a convolution in groups."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding="same", bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.left = nn.Conv2d(16, 8, 1)
        self.right = nn.Conv2d(16, 24, 3, padding="valid")
        self.joined = nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        x = self.grouped(self.depthwise(torch.relu(self.norm(self.stem(x)))))
        x = torch.cat([self.left(x)[:, :, 1:-1, 1:-1], self.right(x)], 1)
        return self.head(torch.relu(self.joined(x)).mean((2, 3)))


NETWORKS = {
    "joined": (Joined, (3, 14, 14)),
    "motion": (lambda: build("motion_cnn", in_channels=6, classes=7), (6, 128)),
    "mobilenet": (lambda: build("mobilenetv2", in_channels=1, classes=10), (1, 16, 16)),
    "squeezenet": (lambda: build("squeezenet", in_channels=1, classes=10), (1, 28, 28)),
}


def with_numbers(network):
    """A file keeps equal constants once, so no two may be equal."""
    torch.manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.dtype.is_floating_point:
            tensor.copy_(torch.rand_like(tensor) + ("running_var" in name))
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pruned_network_has_the_parameters_and_macs_that_were_counted(name):
    make, shape = NETWORKS[name]
    network = with_numbers(make())
    groups = channel_groups(network, shape)
    shapes = layer_shapes(network, groups, shape)
    able = [group for group in groups if group.prunable and group.units > 1]
    leaving = {group.name: tuple(range(group.units // 2)) for group in able}
    kept = {group.name: 1 - (group.units // 2) / group.units for group in able}
    for made, share in ((network, {}), (cut(network, groups, leaving), kept)):
        file = read_model(export_onnx(made, shape))
        assert network_parameters(shapes, share) == count_parameters(file)
        assert network_macs(shapes, share) == count_macs(file)


def test_products_of_queries_and_keys_are_counted_by_the_heads_that_are_left():
    shape = (3, 32, 32)
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=5).eval()
    groups = channel_groups(network, shape)
    shapes = layer_shapes(network, groups, shape)
    smaller = cut(network, groups, {"blocks.0.attn.qkv": (0, 2)})
    for made, share in ((network, {}), (smaller, {"blocks.0.attn.qkv": 1 / 3})):
        assert network_macs(shapes, share) == count_macs(read_model(export_onnx(made, shape)))


def test_shapes_go_through_json():
    network = Joined().eval()
    shapes = layer_shapes(network, channel_groups(network, (3, 14, 14)), (3, 14, 14))
    read = json.loads(json.dumps([asdict(shape) for shape in shapes]))
    assert tuple(map(LayerShape.from_dict, read)) == shapes
