import pytest
import timm
import torch
from torch import nn

from optim.compress.qat.fold import BatchNorm, fold_batchnorm
from optim.errors import RefusedError
from optim.recipe import Prune
from optim.task.architectures import ARCHITECTURES, build
from tests.compress.pruning.pruned import pruned

INPUTS = dict.fromkeys(ARCHITECTURES, (1, 28, 28)) | {"motion_cnn": (6, 128)}


@pytest.fixture(autouse=True)
def same_weights_whatever_ran_before():
    torch.manual_seed(0)


def with_statistics(network, seed=0):
    """Random statistics and factors, as training would leave them: fresh ones are all 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, BatchNorm):
            for numbers in (module.weight, module.running_var):
                numbers.data.copy_(torch.rand(numbers.shape, generator=generator) + 0.5)
            for numbers in (module.bias, module.running_mean):
                numbers.data.copy_(torch.randn(numbers.shape, generator=generator) * 0.1)
    return network.eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_folded_network_answers_the_same_without_a_batch_norm(architecture):
    shape = INPUTS[architecture]
    network = with_statistics(build(architecture, in_channels=shape[0], classes=7))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold_batchnorm(network)
    x = torch.randn(3, *shape)
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(folded(x), expected, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, BatchNorm) for module in folded.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "efficientnet_b0"])
def test_networks_with_gates_fold_as_well(name):
    network = with_statistics(timm.create_model(name, num_classes=5))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(fold_batchnorm(network)(x), network(x), atol=1e-4, rtol=1e-4)


def test_a_pruned_network_folds():
    network = with_statistics(build("mobilenetv2", in_channels=1, classes=7))
    smaller = pruned(network, Prune(ratio=0.5), (1, 28, 28))
    x = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(fold_batchnorm(smaller)(x), smaller(x), atol=1e-4, rtol=1e-4)


def test_a_batch_norm_stays_where_its_input_is_read_twice():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3)

        def forward(self, x):
            y = self.conv(x)
            return self.norm(y) + y

    network = with_statistics(Branching())
    folded = fold_batchnorm(network)
    x = torch.randn(2, 2, 5)
    assert isinstance(folded.norm, BatchNorm)
    torch.testing.assert_close(folded(x), network(x))


def test_a_network_whose_path_depends_on_its_input_is_refused():
    class Choosing(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(RefusedError, match=r"cannot be traced.*Quantize it after training"):
        fold_batchnorm(Choosing())
