"""Operators with weights, as the torch modules that pruning and training know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from optim.graph.to_torch.tables import Call

Pads = list[tuple[int, int]]
"""Padding of each spatial dimension, before and after, the first dimension first."""

CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE_NORMS = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}


def tensor(array: np.ndarray) -> torch.Tensor:
    """Return a copy of an array as a torch tensor, float64 and float16 as float32."""
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    return torch.from_numpy(np.array(array, copy=True))


def weights(call: Call, index: int) -> torch.Tensor | None:
    """Return a constant input as a tensor; None where it is left out."""
    found = call.constant(index)
    return None if found is None else tensor(found)


def _filled(module: nn.Module, **values: torch.Tensor | None) -> nn.Module:
    """Put weights into a module; those that are None must not exist in it either."""
    with torch.no_grad():
        for name, value in values.items():
            if value is not None:
                getattr(module, name).copy_(value.reshape(getattr(module, name).shape))
    return module


def spatial_pads(call: Call, kernel: list[int], strides: list[int], dilations: list[int]) -> Pads:
    """Return the explicit padding of a convolution or pooling, ``auto_pad`` worked out."""
    way = str(call.attribute("auto_pad", "NOTSET"))
    flat = call.integers("pads") or [0] * (2 * len(kernel))
    if way in ("NOTSET", ""):
        half = len(kernel)
        return [(flat[i], flat[half + i]) for i in range(half)]
    if way == "VALID":
        return [(0, 0)] * len(kernel)
    pads = []
    sizes = [size or 0 for size in call.shapes[0][2:]]
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        missing = max(0, (-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size)
        less, more = missing // 2, missing - missing // 2
        pads.append((less, more) if way == "SAME_UPPER" else (more, less))
    return pads


def padding(pads: Pads, value: float) -> nn.Module | None:
    """Return a module that pads where before and after differ; None where the layer can do it."""
    if all(before == after for before, after in pads):
        return None
    flat = [size for pair in reversed(pads) for size in pair]
    return nn.ConstantPad1d(tuple(flat), value) if len(pads) == 1 else _ConstantPad(flat, value)  # type: ignore[arg-type]


class _ConstantPad(nn.Module):
    """Padding of two or three dimensions that may differ before and after."""

    def __init__(self, pads: list[int], value: float) -> None:
        super().__init__()
        self.pads, self.value = pads, value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad (N, C, ...)."""
        return nn.functional.pad(x, self.pads, value=self.value)


def conv(call: Call) -> list[nn.Module]:
    """Conv: the padding where it needs one of its own, and the convolution."""
    weight = weights(call, 1)
    assert weight is not None
    dims = weight.ndim - 2
    if dims not in CONVOLUTIONS:
        call.refuse(f"a convolution over {dims} dimensions")
    strides = call.integers("strides") or [1] * dims
    dilations = call.integers("dilations") or [1] * dims
    kernel = list(weight.shape[2:])
    pads = spatial_pads(call, kernel, strides, dilations)
    before = padding(pads, 0.0)
    groups, bias = call.integer("group", 1), weights(call, 2)
    layer = CONVOLUTIONS[dims](
        weight.shape[1] * groups, weight.shape[0], tuple(kernel), tuple(strides),
        0 if before is not None else tuple(pad[0] for pad in pads), tuple(dilations), groups,
        bias is not None,
    )  # fmt: skip
    return [*filter(None, [before]), _filled(layer, weight=weight, bias=bias)]


def conv_transpose(call: Call) -> list[nn.Module]:
    """ConvTranspose, where torch can express its padding."""
    weight = weights(call, 1)
    assert weight is not None
    dims = weight.ndim - 2
    if dims not in TRANSPOSED or call.integers("output_shape"):
        call.refuse("an output shape of its own, or more than three dimensions")
    strides = call.integers("strides") or [1] * dims
    dilations = call.integers("dilations") or [1] * dims
    if str(call.attribute("auto_pad", "NOTSET")) not in ("NOTSET", "VALID", ""):
        call.refuse("auto_pad of a transposed convolution")
    pads = spatial_pads(call, list(weight.shape[2:]), strides, dilations)
    if any(before != after for before, after in pads):
        call.refuse("its padding differs before and after")
    groups, bias = call.integer("group", 1), weights(call, 2)
    layer = TRANSPOSED[dims](
        weight.shape[0], weight.shape[1] * groups, tuple(weight.shape[2:]), tuple(strides),
        tuple(pad[0] for pad in pads), tuple(call.integers("output_padding") or [0] * dims),
        groups, bias is not None, tuple(dilations),
    )  # fmt: skip
    return [_filled(layer, weight=weight, bias=bias)]


def gemm(call: Call) -> list[nn.Module]:
    """Gemm with constant weights is a linear layer."""
    weight, bias = weights(call, 1), weights(call, 2)
    assert weight is not None
    if call.integer("transA", 0):
        call.refuse("its first input is transposed")
    if not call.integer("transB", 0):
        weight = weight.T
    weight = weight * call.number("alpha", 1.0)
    if bias is not None:
        bias = bias * call.number("beta", 1.0)
        if bias.numel() not in (1, weight.shape[0]):
            call.refuse("its bias differs from example to example")
        bias = bias.reshape(-1).expand(weight.shape[0])
    return [linear(weight, bias)]


def linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """Return a linear layer with given weights (O, I) and bias (O,)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _filled(layer, weight=weight, bias=bias)


def batch_norm(call: Call) -> list[nn.Module]:
    """BatchNormalization with the statistics of the file."""
    kind = BATCH_NORMS.get(call.rank())
    scale, bias, mean, variance = (weights(call, i) for i in range(1, 5))
    if kind is None or scale is None:
        call.refuse(f"an input of {call.rank()} dimensions")
    norm = kind(len(scale), eps=call.number("epsilon", 1e-5))
    return [_filled(norm, weight=scale, bias=bias, running_mean=mean, running_var=variance)]


def instance_norm(call: Call) -> list[nn.Module]:
    """InstanceNormalization."""
    kind = INSTANCE_NORMS.get(call.rank())
    scale = weights(call, 1)
    if kind is None or scale is None:
        call.refuse(f"an input of {call.rank()} dimensions")
    norm = kind(len(scale), eps=call.number("epsilon", 1e-5), affine=True)
    return [_filled(norm, weight=scale, bias=weights(call, 2))]


def layer_norm(call: Call) -> list[nn.Module]:
    """LayerNormalization over the last axes."""
    scale = weights(call, 1)
    axis = call.integer("axis", -1)
    if scale is None or scale.ndim != (call.rank() - axis if axis >= 0 else -axis):
        call.refuse("its scale has another shape than what is normalised")
    bias = weights(call, 2)
    norm = nn.LayerNorm(tuple(scale.shape), call.number("epsilon", 1e-5), bias=bias is not None)
    return [_filled(norm, weight=scale, bias=bias)]


def group_norm(call: Call) -> list[nn.Module]:
    """GroupNormalization with a scale per channel (opset 21)."""
    scale, groups = weights(call, 1), call.integer("num_groups", 1)
    channels = call.shapes[0][1]
    if scale is None or channels is None or len(scale) != channels:
        call.refuse("its scale does not count the channels")
    norm = nn.GroupNorm(groups, channels, call.number("epsilon", 1e-5))
    return [_filled(norm, weight=scale, bias=weights(call, 2))]


class Recurrent(nn.Module):
    """LSTM or GRU over (T, N, C), with the outputs of the ONNX operator.

    Attributes:
        rnn: torch's layer, whose gates stand in another order than ONNX's.
    """

    def __init__(self, rnn: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.rnn = rnn
        self.directions = 2 if rnn.bidirectional else 1

    def forward(
        self, x: torch.Tensor, h: torch.Tensor | None = None, c: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Y (T, D, N, H), then the last state (D, N, H), and for an LSTM the last cell."""
        if isinstance(self.rnn, nn.GRU):
            y, last = self.rnn(x, h)
            states = (last,)
        else:
            start = None if h is None else (h, torch.zeros_like(h) if c is None else c)
            y, states = self.rnn(x, start)
        y = y.reshape(y.shape[0], y.shape[1], self.directions, self.rnn.hidden_size)
        return (y.transpose(1, 2), *states)


GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}
"""Torch's order of the gates in terms of ONNX's: iofc -> ifgo, zrh -> rzn."""


def recurrent(call: Call) -> list[nn.Module]:
    """LSTM and GRU with the usual activations, no peepholes, no clipping, no lengths."""
    kind = call.node.op_type
    w, r, b = weights(call, 1), weights(call, 2), weights(call, 3)
    unusual = ("activations", "clip", "activation_alpha", "activation_beta", "layout")
    if any(call.attribute(name) not in (None, 0) for name in unusual) or call.given(4):
        call.refuse("activations, clipping, a layout or lengths of its own")
    if call.given(7) or (kind == "GRU" and not call.integer("linear_before_reset", 0)):
        call.refuse("peepholes, or a reset gate before the product")
    if w is None or r is None or str(call.attribute("direction", "forward")) == "reverse":
        call.refuse("it runs backwards")
    directions, hidden = len(w), call.integer("hidden_size", r.shape[-1])
    make = nn.LSTM if kind == "LSTM" else nn.GRU
    rnn = make(w.shape[-1], hidden, bias=b is not None, bidirectional=directions == 2)
    gates = GATES[kind]
    with torch.no_grad():
        for d, end in zip(range(directions), ("", "_reverse"), strict=False):
            for name, source in (("weight_ih", w[d]), ("weight_hh", r[d])):
                parts = source.chunk(len(gates))
                getattr(rnn, f"{name}_l0{end}").copy_(torch.cat([parts[i] for i in gates]))
            if b is not None:
                for name, half in zip(("bias_ih", "bias_hh"), b[d].chunk(2), strict=True):
                    parts = half.chunk(len(gates))
                    getattr(rnn, f"{name}_l0{end}").copy_(torch.cat([parts[i] for i in gates]))
    return [Recurrent(rnn)]


RECURRENT = ("LSTM", "GRU")

LAYERS: dict[str, Callable[[Call], list[nn.Module]]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "GroupNormalization": group_norm,
    "LSTM": recurrent,
    "GRU": recurrent,
}
"""One input flows through these; the others are weights."""
