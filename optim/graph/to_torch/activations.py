"""Activations as modules, so that they can be folded behind, replaced, and read in a print."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from optim.graph.to_torch.layers import tensor, weights
from optim.graph.to_torch.tables import Call

SIXTH = 1 / 6
CLOSE = 1e-6


class HardSigmoid(nn.Module):
    """max(0, min(1, alpha x + beta)) with any slope; torch's own has 1/6 and 1/2."""

    def __init__(self, alpha: float, beta: float) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return torch.clamp(x * self.alpha + self.beta, 0, 1)


class Clamp(nn.Module):
    """Bounds of any value."""

    def __init__(self, low: float | None, high: float | None) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return torch.clamp(x, self.low, self.high)


def clip(call: Call) -> nn.Module:
    """Clip: ReLU and ReLU6 where it is one."""
    low, high = _bound(call, 1, "min"), _bound(call, 2, "max")
    if low == 0 and high is None:
        return nn.ReLU()
    if low == 0 and high == 6:
        return nn.ReLU6()
    return nn.Identity() if low is None and high is None else Clamp(low, high)


def _bound(call: Call, index: int, name: str) -> float | None:
    """Return a bound, an attribute before opset 11; None where there is none."""
    named = call.attribute(name)
    found = call.constant(index)
    value = named if found is None else float(np.ravel(found)[0])
    if value is None or abs(float(value)) > 3e38:  # type: ignore[arg-type]
        return None
    return float(value)  # type: ignore[arg-type]


def hard_sigmoid(call: Call) -> nn.Module:
    """HardSigmoid: torch's own where the slope is a sixth."""
    alpha, beta = call.number("alpha", 0.2), call.number("beta", 0.5)
    if abs(alpha - SIXTH) < CLOSE and abs(beta - 0.5) < CLOSE:
        return nn.Hardsigmoid()
    return HardSigmoid(alpha, beta)


def prelu(call: Call) -> nn.Module:
    """PRelu with one slope, or one for each channel."""
    slope = weights(call, 1)
    if slope is None:
        call.refuse("its slope is left out")
    if slope.numel() > 1 and call.shapes[0][1] != slope.numel():
        call.refuse("its slopes do not count the channels")
    layer = nn.PReLU(slope.numel())
    with torch.no_grad():
        layer.weight.copy_(tensor(np.asarray(slope)).reshape(-1))
    return layer


def gelu(call: Call) -> nn.Module:
    """Gelu, exact or by tanh."""
    return nn.GELU(approximate=str(call.attribute("approximate", "none")))


ACTIVATIONS: dict[str, Callable[[Call], nn.Module]] = {
    "Relu": lambda call: nn.ReLU(),
    "Clip": clip,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": lambda call: nn.Hardswish(),
    "Sigmoid": lambda call: nn.Sigmoid(),
    "Tanh": lambda call: nn.Tanh(),
    "Gelu": gelu,
    "LeakyRelu": lambda call: nn.LeakyReLU(call.number("alpha", 0.01)),
    "Elu": lambda call: nn.ELU(call.number("alpha", 1.0)),
    "Celu": lambda call: nn.CELU(call.number("alpha", 1.0)),
    "Selu": lambda call: nn.SELU(),
    "Softplus": lambda call: nn.Softplus(),
    "Softsign": lambda call: nn.Softsign(),
    "Mish": lambda call: nn.Mish(),
    "PRelu": prelu,
}
"""One tensor in, one of the same shape out."""

GATED: dict[type, type[nn.Module]] = {nn.Sigmoid: nn.SiLU, nn.Hardsigmoid: nn.Hardswish}
"""What x times its own gate is called."""
