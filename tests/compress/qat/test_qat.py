import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from optim.compress.pruning.cutting import fit_to_state
from optim.compress.qat.activation_quantizers import observe, with_activation_quantizers
from optim.compress.qat.fake_quantize import (
    ActivationQuantizer,
    LearnedStepSize,
    WeightQuantizer,
    round_learned,
    round_straight_through,
)
from optim.compress.qat.fold import Layer, fold_batchnorm
from optim.compress.qat.qat import scales_of, with_rounded_weights, with_scales
from optim.graph.quantization.int4 import int4_scale
from optim.graph.quantization.int8 import quantize_weight_int8
from optim.recipe import Prune, QuantizeAware
from optim.task.architectures import ARCHITECTURES, build
from tests.compress.pruning.pruned import pruned
from tests.compress.qat.test_fold import INPUTS, with_statistics
from tests.reference.grids import learned_step_gradients, on_grid
from tests.reference.quantizers import asymmetric

shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))


@settings(deadline=None)
@given(shapes, st.integers(0, 10**6), st.sampled_from([4, 8]), st.booleans())
def test_rounded_weights_equal_the_slow_reference_to_the_bit(shape, seed, bits, per_channel):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    quantizer = WeightQuantizer.of_bits(bits)
    scale = quantizer.scale(weight, per_channel=per_channel)
    expected = on_grid(weight.numpy(), scale.numpy(), low=quantizer.low, high=quantizer.high)
    for rounded in (
        round_straight_through(weight, scale, quantizer),
        round_learned(weight, scale, quantizer),
    ):
        np.testing.assert_array_equal(rounded.numpy(), expected)


@pytest.mark.parametrize("per_channel", [True, False])
def test_scales_equal_those_of_the_file_to_the_bit(per_channel):
    weight = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    axis = 0 if per_channel else None
    eight = WeightQuantizer.of_bits(8).scale(weight, per_channel=per_channel)
    four = WeightQuantizer.of_bits(4).scale(weight, per_channel=per_channel)
    np.testing.assert_array_equal(eight.numpy(), quantize_weight_int8(weight.numpy(), axis)[1])
    np.testing.assert_array_equal(four.numpy(), int4_scale(weight.numpy(), axis))


def test_a_channel_of_zeros_has_a_scale_above_zero():
    weight = torch.zeros(2, 3)
    scale = WeightQuantizer.of_bits(4).scale(weight, per_channel=True)
    assert (scale > 0).all()
    assert torch.equal(round_straight_through(weight, scale, WeightQuantizer.of_bits(4)), weight)


@given(st.integers(0, 10**6), st.floats(0.02, 0.5))
@settings(deadline=None)
def test_learned_steps_have_the_gradients_of_the_paper(seed, step):
    generator = torch.Generator().manual_seed(seed)
    quantizer = WeightQuantizer.of_bits(4)
    weight = torch.randn(3, 4, generator=generator).requires_grad_()
    scale = torch.tensor(step).requires_grad_()
    incoming = torch.randn(3, 4, generator=generator)
    round_learned(weight, scale, quantizer).backward(incoming)
    for_weight, for_scale = learned_step_gradients(
        weight.detach().numpy(), step, incoming.numpy(), low=quantizer.low, high=quantizer.high
    )
    np.testing.assert_allclose(weight.grad, for_weight, atol=1e-6)
    np.testing.assert_allclose(scale.grad, for_scale, atol=1e-5, rtol=1e-4)


def test_each_channel_learns_its_own_step():
    weight = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    way = LearnedStepSize(WeightQuantizer.of_bits(4), weight, per_channel=True)
    way(weight).sum().backward()
    assert way.log_scale.grad.shape == (4,)
    for row in range(4):
        alone = LearnedStepSize(WeightQuantizer.of_bits(4), weight[row : row + 1], per_channel=True)
        alone(weight[row : row + 1]).sum().backward()
        torch.testing.assert_close(way.log_scale.grad[row : row + 1], alone.log_scale.grad)


def test_the_gradient_goes_straight_through():
    weight = torch.randn(3, 4).requires_grad_()
    quantizer = WeightQuantizer.of_bits(8)
    incoming = torch.randn(3, 4)
    round_straight_through(weight, quantizer.scale(weight, per_channel=True), quantizer).backward(
        incoming
    )
    assert torch.equal(weight.grad, incoming)


def test_activations_equal_the_slow_reference():
    quantizer = ActivationQuantizer()
    quantizer.observing = True
    seen = torch.tensor([-1.0, 0.3, 2.0])
    assert quantizer(seen) is seen
    quantizer.observing = False
    # Random numbers: exactly between two levels, torch may go either way.
    x = torch.rand(200, generator=torch.Generator().manual_seed(0)) * 4 - 1.5
    np.testing.assert_allclose(quantizer(x), asymmetric(x.numpy(), -1.0, 2.0), atol=1e-5)


def test_activations_are_rounded_where_the_file_rounds_them():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 1)
            self.act, self.gate, self.head = nn.ReLU(), nn.Hardswish(), nn.Linear(2, 3)

        def forward(self, x):
            y = self.act(self.first(x))
            z = self.gate(self.second(y))
            return self.head((y + z).mean(2))

    rounded = with_activation_quantizers(Residual().eval())
    places = [str(n.args[0]) for n in rounded.graph.nodes if str(n.target).startswith("grid_")]
    # The input; behind the first ReLU; the convolution before a function without integer kernel,
    # and that function's result; the sum; the mean. Not the logits.
    assert places == ["x", "act", "second", "gate", "add", "mean"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_eight_bits_change_the_answers_a_little_and_four_bits_more(architecture):
    shape = INPUTS[architecture]
    torch.manual_seed(0)
    folded = fold_batchnorm(with_statistics(build(architecture, in_channels=shape[0], classes=7)))
    x = torch.randn(16, *shape)
    noise = {}
    for bits in (8, 4):
        rounded = with_rounded_weights(folded, QuantizeAware(weight_bits=bits))
        observe(rounded, x.numpy())
        with torch.no_grad():
            noise[bits] = ((rounded(x) - folded(x)).norm() / folded(x).norm()).item()
    assert noise[8] < min(0.5, noise[4])


def test_a_checkpoint_without_a_block_loads_as_well():
    step = QuantizeAware()
    network = with_statistics(build("mobilenetv2", in_channels=1, classes=7))
    trained = with_scales(pruned(network, Prune(ratio=0.5, blocks=2), (1, 28, 28)), step)
    again = fit_to_state(with_scales(network, step), trained.state_dict())
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(again(x), trained(x))
    assert list(scales_of(again, step)) == list(scales_of(trained, step))


def test_the_first_layer_keeps_eight_bits():
    folded = fold_batchnorm(build("resnet", in_channels=1, classes=10).eval())
    rounded = with_rounded_weights(folded, QuantizeAware(per_channel=False))
    assert len(rounded.conv1.weight.unique()) > 16
    assert len(rounded.get_submodule("layer1.0.conv1").weight.unique()) <= 16
    assert len(rounded.fc.weight.unique()) <= 16


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("ratio", [0.5, None])
def test_weights_and_scales_of_a_checkpoint_load_into_a_built_network(per_channel, ratio):
    step = QuantizeAware(per_channel=per_channel)
    network = with_statistics(build("motion_cnn", in_channels=6, classes=7))
    smaller = network
    if ratio is not None:
        smaller = pruned(network, Prune(ratio=ratio), (6, 128))
    trained = with_scales(smaller, step)
    for module in trained.modules():
        if isinstance(module, Layer):
            module.weight_scale.uniform_(0.1, 1.0)
    again = fit_to_state(with_scales(network, step), trained.state_dict())
    x = torch.randn(2, 6, 128)
    assert torch.equal(again(x), trained(x))
    ours, theirs = scales_of(trained, step), scales_of(again, step)
    assert list(ours) == list(theirs)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    channels = trained.head.weight.shape[0]
    assert ours["head"].shape == ((channels,) if per_channel else ())
