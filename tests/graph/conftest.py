"""Each architecture with random weights, exported once."""

import functools

import numpy as np
import pytest
import torch
from timm.models.resnet import BasicBlock, ResNet

from optim.graph.export import export_onnx
from optim.task.architectures import ARCHITECTURES, build
from optim.task.motion_cnn import MotionCNN

SHAPES = dict.fromkeys(ARCHITECTURES, (1, 28, 28)) | {"motion_cnn": (6, 128)}


@functools.cache
def network_of(architecture):
    """Untrained, but with batch norms and biases that do something."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = _narrow(architecture)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.8, 1.5)
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.normal_(0, 0.2)
    return network.eval()


def _narrow(architecture):
    """The sample architectures; the widest of them with a quarter of the channels."""
    match architecture:
        case "resnet":
            channels = (16, 32, 48, 64)
            network = ResNet(BasicBlock, (1, 1, 1, 1), channels=channels, in_chans=1, num_classes=7)
            network.maxpool = torch.nn.Identity()
            return network
        case "motion_cnn":
            return MotionCNN(6, 7, (16, 32, 48))
        case _:
            return build(architecture, in_channels=1, classes=7)


@functools.cache
def exported_of(architecture):
    return export_onnx(network_of(architecture), SHAPES[architecture])


@functools.cache
def examples_of(architecture, n=24):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, *SHAPES[architecture])).astype(np.float32)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture
def exported(architecture):
    return exported_of(architecture)


@pytest.fixture
def examples(architecture):
    return examples_of(architecture)
