"""Fake quantization: numbers are rounded in the forward pass, not in the backward pass.

    w_hat = s * clamp(round(w / s), low, high)        weights, exactly as in the file
    x_hat = s * (clamp(round(x / s) + z, 0, 255) - z)   activations, unsigned 8 bits

The gradient of rounding is taken as 1 (straight-through, Bengio et al. 2013). The scale of the
weights either follows the largest of them, as the file's quantizer does,

    s = max|w| / 127,  -127 .. 127   at 8 bits,        s = max|w| / 7.5,  -8 .. 7   at 4 bits,

or is trained (LSQ, Esser et al. 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class WeightQuantizer:
    """Symmetric quantizer of weights, with integers from low to high.

    Attributes:
        largest: where max|w| falls, in steps of the scale.
    """

    low: int
    high: int
    largest: float

    @classmethod
    def of_bits(cls, bits: int) -> WeightQuantizer:
        """Return the quantizer that the file uses for 8 or 4 bits."""
        if bits == 8:
            return cls(low=-127, high=127, largest=127.0)
        return cls(low=-8, high=7, largest=7.5)

    def scale(self, weight: torch.Tensor, *, per_channel: bool) -> torch.Tensor:
        """Return the scale at which weights are rounded, but none is clipped.

        Args:
            weight: float32, shape (O, ...).
            per_channel: one step per output channel.

        Returns:
            float32, shape (O,) or ().
        """
        magnitude = weight.detach().abs()
        largest = magnitude.flatten(1).amax(1) if per_channel else magnitude.amax()
        # Divided in float32, as in the file: a scale that differs by one bit rounds differently.
        return torch.where(largest > 0, largest, torch.ones_like(largest)) / self.largest

    def levels(self, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Return the integers as float32, shape of ``weight``; halves go to the even one."""
        return torch.round(weight / along_outputs(scale, weight)).clamp(self.low, self.high)


def along_outputs(scale: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Reshape a scale of shape (O,) or () so that it broadcasts against (O, ...)."""
    return scale.reshape((-1,) + (1,) * (weight.ndim - 1)) if scale.ndim else scale


def round_straight_through(
    weight: torch.Tensor, scale: torch.Tensor, quantizer: WeightQuantizer
) -> torch.Tensor:
    """Round weights exactly as the file does; the gradient goes to the weights unchanged."""
    on_grid = quantizer.levels(weight, scale) * along_outputs(scale, weight)
    return on_grid.detach() + (weight - weight.detach())  # a sum with 0: not one bit is lost


def round_learned(
    weight: torch.Tensor, scale: torch.Tensor, quantizer: WeightQuantizer
) -> torch.Tensor:
    """Round weights exactly as the file does, with gradients for weights and scale.

    With v = w / s the gradient of an output is, for the weight, 1 inside the range and 0 outside;
    for the scale, times g = 1 / sqrt(weights per scale * high),

        -v + round(v)   inside,      low   below,      high   above.

    Args:
        weight: float32, shape (O, ...).
        scale: float32 above 0, shape (O,) or ().

    Source: Esser et al. 2020, "Learned Step Size Quantization", equations 1 to 5, section 2.2.
    """
    count = weight.numel() / max(1, scale.numel())
    step = _with_gradient(scale, 1 / math.sqrt(count * quantizer.high))
    step = along_outputs(step, weight)
    ratio = (weight / step).clamp(quantizer.low, quantizer.high)
    levels = torch.round(ratio).detach() + (ratio - ratio.detach())
    return levels * step


def _with_gradient(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Return the same number with ``factor`` times its gradient."""
    return x.detach() + (x - x.detach()) * factor


class MinMaxScale(nn.Module):
    """Parametrization that quantizes a weight with a scale that follows the largest weight."""

    def __init__(self, quantizer: WeightQuantizer, *, per_channel: bool) -> None:
        super().__init__()
        self.quantizer, self.per_channel = quantizer, per_channel

    def scale(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the step now, float32, (O,) or ()."""
        return self.quantizer.scale(weight, per_channel=self.per_channel)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the quantized weights."""
        return round_straight_through(weight, self.scale(weight), self.quantizer)


class LearnedStepSize(nn.Module):
    """Parametrization that quantizes a weight with a scale that is trained.

    The logarithm is what the optimizer sees: a scale stays above 0, and a step changes it by the
    same share whatever its size. It starts at the followed scale.
    """

    def __init__(
        self, quantizer: WeightQuantizer, weight: torch.Tensor, *, per_channel: bool
    ) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.log_scale = nn.Parameter(quantizer.scale(weight, per_channel=per_channel).log())

    def scale(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the step now, float32, (O,) or (); the weights have no say."""
        return self.log_scale.exp()

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the quantized weights."""
        return round_learned(weight, self.scale(weight), self.quantizer)


class ActivationQuantizer(nn.Module):
    """Unsigned 8-bit quantizer of activations over the range seen while ``observing``.

    The range contains 0, as in the file, so that padding and zeros after a ReLU are exact.
    """

    def __init__(self) -> None:
        super().__init__()
        self.observing = False
        self.low: torch.Tensor
        self.high: torch.Tensor
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` quantized, or unchanged while observing."""
        if self.observing:
            low, high = torch.aminmax(x.detach())
            self.low = torch.minimum(self.low, low)
            self.high = torch.maximum(self.high, high)
            return x
        scale = (self.high - self.low).clamp(min=1e-6) / 255
        zero_point = torch.round(-self.low / scale).clamp(0, 255).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, 0, 255)
