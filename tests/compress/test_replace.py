import pytest
import timm
import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d, activations
from torch import nn

from optim.compress.replace import SMOOTH, replace_activations
from optim.errors import RefusedError
from optim.recipe import ReplaceActivation
from optim.task.architectures import build


@pytest.mark.parametrize("name", ["mobilenetv3_large_100", "efficientnet_b0", "mobilevit_xxs"])
@pytest.mark.parametrize(("activation", "kind"), [("relu", nn.ReLU), ("relu6", nn.ReLU6)])
def test_no_smooth_activation_is_left_and_gates_stay(name, activation, kind):
    network = timm.create_model(name, num_classes=10).eval()
    smooth = sum(isinstance(module, SMOOTH) for module in network.modules())
    before = sum(type(module) is kind for module in network.modules())
    changed = replace_activations(network, ReplaceActivation(activation=activation))
    assert smooth > 0
    assert not any(isinstance(module, SMOOTH) for module in changed.modules())
    assert sum(type(module) is kind for module in changed.modules()) == before + smooth
    for gate in (nn.Sigmoid, nn.Hardsigmoid):
        assert _count(changed, gate) == _count(network, gate)
    assert changed(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


def test_weights_and_names_stay_and_the_argument_is_left_alone():
    network = timm.create_model("mobilenetv3_small_050", num_classes=10)
    changed = replace_activations(network, ReplaceActivation())
    ours, theirs = network.state_dict(), changed.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert _count(network, nn.Hardswish) > 0


def test_a_batch_norm_that_activates_gets_another_activation():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4, act_layer=nn.SiLU)).eval()
    changed = replace_activations(network, ReplaceActivation())
    x = torch.randn(2, 3, 8, 8)
    plain = F.batch_norm(
        network[0](x), network[1].running_mean, network[1].running_var, eps=network[1].eps
    )
    torch.testing.assert_close(changed(x), F.relu(plain))


def test_functions_and_shared_modules_are_replaced_as_well():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = activations.hard_swish
            self.first = self.second = nn.GELU()

        def forward(self, x):
            return self.second(self.first(self.act(x)))

    x = torch.randn(4, 5)
    changed = replace_activations(Block(), ReplaceActivation(activation="relu6"))
    assert torch.equal(changed(x), F.relu6(x))


@pytest.mark.parametrize("architecture", ["resnet", "mobilenetv2", "squeezenet"])
def test_a_network_with_nothing_to_replace_is_refused(architecture):
    network = build(architecture, in_channels=1, classes=10)
    with pytest.raises(RefusedError, match=r"to replace. Leave the step out"):
        replace_activations(network, ReplaceActivation())


def _count(network, kind):
    return sum(isinstance(module, kind) for module in network.modules())
