import numpy as np
import pytest
import timm
import torch
from torch import nn

from optim.compress.pruning.blocks import removable_blocks, remove_blocks
from optim.compress.pruning.cutting import fit_to_state
from optim.errors import RefusedError
from optim.recipe import Prune
from optim.task.architectures import build
from tests.compress.pruning.pruned import pruned


def examples(*shape):
    return np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)


def network_of(architecture, channels=1):
    torch.manual_seed(0)
    return build(architecture, in_channels=channels, classes=10).eval()


def test_only_blocks_with_an_identity_shortcut_can_leave_a_resnet():
    blocks = removable_blocks(network_of("resnet"), examples(1, 28, 28))
    assert [block.name for block in blocks] == ["layer1.0"]
    assert blocks[0].activations == 2 * 64 * 28 * 28


def test_a_whole_stage_is_no_block():
    network = timm.create_model("resnet18", in_chans=1, num_classes=5).eval()
    names = [block.name for block in removable_blocks(network, examples(1, 32, 32))]
    assert names == ["layer1.0", "layer1.1", "layer2.1", "layer3.1", "layer4.1"]


def test_a_squeeze_excite_leaves_with_its_block():
    network = timm.create_model("mobilenetv3_small_050", in_chans=1, num_classes=5).eval()
    names = [block.name for block in removable_blocks(network, examples(1, 32, 32))]
    assert "blocks.2.1" in names
    assert not any(name.startswith("blocks.2.1.") for name in names)


def test_the_block_that_only_passes_its_input_on_leaves_first():
    network = timm.create_model("resnet18", in_chans=1, num_classes=5).eval()
    nn.init.zeros_(network.layer3[1].bn2.weight)  # its branch adds nothing, the ReLU comes twice
    x = torch.from_numpy(examples(1, 32, 32))
    shallower = remove_blocks(network, 1, x.numpy())
    assert isinstance(shallower.layer3[1], nn.Identity)
    torch.testing.assert_close(shallower(x), network(x))
    assert not isinstance(network.layer3[1], nn.Identity), "the argument was changed"


@pytest.mark.parametrize("architecture", ["resnet", "mobilenetv2", "squeezenet"])
def test_a_shallower_and_thinner_network_comes_back_from_its_weights(architecture):
    network, shape = network_of(architecture), (1, 28, 28)
    smaller = pruned(network, Prune(ratio=0.5, blocks=1), shape)
    again = fit_to_state(network, smaller.state_dict())
    x = torch.randn(3, *shape)
    assert torch.equal(smaller(x), again(x))
    assert _size(smaller) < _size(pruned(network, Prune(ratio=0.5), shape))


def test_channels_may_all_stay_when_a_block_leaves():
    network = network_of("resnet")
    smaller = pruned(network, Prune(ratio=0.0, blocks=1), (1, 28, 28))
    assert smaller.conv1.out_channels == 64
    assert _size(smaller) == _size(network) - _size(network.layer1)


def test_more_blocks_than_can_leave_are_refused():
    with pytest.raises(RefusedError, match="2 blocks cannot be removed: only 1 of this network"):
        remove_blocks(network_of("resnet"), 2, examples(1, 28, 28))


def _size(network):
    return sum(p.numel() for p in network.parameters())
