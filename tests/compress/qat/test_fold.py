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


class Pair(nn.Module):
    """A layer, its norm, and what is done with what the layer wrote."""

    def __init__(self, layer, norm, *, between=lambda y: y):
        super().__init__()
        self.layer, self.norm, self.between = layer, norm, between

    def forward(self, x):
        return self.norm(self.between(self.layer(x))).relu()


def assert_answers_stay(network, x, **options):
    network = with_statistics(network)
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(fold_batchnorm(network, **options)(x), expected)


@pytest.mark.parametrize("shape", [(4, 7, 5), (7, 7, 5), (5, 3, 7, 5)])
@pytest.mark.parametrize("given", [True, False])
def test_a_norm_that_counts_another_axis_than_its_linear_layer_stays(shape, given):
    kind = nn.BatchNorm1d if len(shape) == 3 else nn.BatchNorm2d
    network = Pair(nn.Linear(5, 7), kind(shape[1]))
    options = {"input_shape": shape[1:]} if given else {}
    assert_answers_stay(network, torch.randn(*shape), **options)


def test_a_norm_behind_a_linear_layer_folds_where_a_run_shows_two_axes():
    network = Pair(nn.Linear(5, 7), nn.BatchNorm1d(7))
    assert_answers_stay(network, torch.randn(6, 5), input_shape=(5,))
    assert isinstance(fold_batchnorm(network, input_shape=(5,)).norm, nn.Identity)
    assert isinstance(fold_batchnorm(network).norm, BatchNorm)


def hooked(layer):
    layer.register_forward_hook(lambda module, x, y: y - 3)
    return layer


def fed_otherwise(layer):
    layer.register_forward_pre_hook(lambda module, x: (x[0] + 1,))
    return layer


def patched(layer):
    own = layer.forward
    layer.forward = lambda x: own(x).abs()
    return layer


class Standardized(nn.Conv2d):  # makes other weights of its own at every call
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight / weight.std(), self.bias)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "change",
    [
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        nn.utils.parametrizations.weight_norm,
        hooked,
        fed_otherwise,
        patched,
    ],
)
def test_a_layer_whose_weights_or_calls_are_not_its_own_stays(change):
    network = Pair(change(nn.Conv2d(2, 6, 3)), nn.BatchNorm2d(6))
    assert_answers_stay(network, torch.randn(3, 2, 8, 8))


def test_a_layer_that_makes_other_weights_of_its_own_stays():
    assert_answers_stay(Pair(Standardized(2, 6, 3), nn.BatchNorm2d(6)), torch.randn(3, 2, 8, 8))


def test_a_norm_whose_input_is_changed_by_a_hook_stays():
    network = Pair(nn.Conv2d(2, 6, 3), fed_otherwise(nn.BatchNorm2d(6)))
    assert_answers_stay(network, torch.randn(3, 2, 8, 8))


def test_what_stands_between_layer_and_norm_is_not_folded_over():
    network = Pair(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), between=torch.relu)
    assert_answers_stay(network, torch.randn(3, 2, 8, 8))
    inner = hooked(nn.Sequential(nn.Conv2d(2, 6, 3)))
    assert_answers_stay(Pair(inner, nn.BatchNorm2d(6)), torch.randn(3, 2, 8, 8))


def test_weights_that_somebody_else_reads_stay():
    class Reader(Pair):
        def forward(self, x):
            return super().forward(x) + self.layer.weight.sum()

    assert_answers_stay(Reader(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6)), torch.randn(3, 2, 8, 8))
    tied = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(2)), nn.BatchNorm2d(4))
    tied[0].weight = tied[1].weight
    assert_answers_stay(tied, torch.randn(3, 4, 5, 5))
    assert fold_batchnorm(tied)[0].weight is not None


def test_a_norm_with_two_names_folds_under_both():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6)
            self.parts = nn.ModuleList([self.conv, self.norm])

        def forward(self, x):
            for part in self.parts:
                x = part(x)
            return x

    assert_answers_stay(Named(), torch.randn(3, 2, 8, 8))
    assert not any(isinstance(m, BatchNorm) for m in fold_batchnorm(Named()).modules())


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_folding_keeps_the_type_of_the_weights(kind):
    network = with_statistics(Pair(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6))).to(kind)
    assert fold_batchnorm(network).layer.weight.dtype is kind
    with torch.no_grad():
        x = torch.randn(3, 2, 8, 8).to(kind)
        torch.testing.assert_close(fold_batchnorm(network)(x), network(x), atol=0.1, rtol=0.05)


@pytest.mark.parametrize("error", [KeyError, AttributeError, AssertionError, IndexError])
def test_whatever_the_networks_code_raises_when_traced_is_a_refusal(error):
    class Raising(nn.Module):
        def forward(self, x):
            raise error

    with pytest.raises(RefusedError, match="cannot be traced"):
        fold_batchnorm(Raising())
