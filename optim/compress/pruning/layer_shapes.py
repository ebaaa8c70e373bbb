"""The shape of every layer as a function of how many channels each group keeps.

Neighbours shrink together: a group that loses channels makes the layers narrower that write them
*and* those that read them. So the cost of a layer is a function of two numbers,

    weights = outputs * inputs / groups * kernel,        MACs = weights * positions,

and each of the two is its whole width less what the groups in it have lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import nn

    from optim.compress.pruning.groups import ChannelGroup

KeptShares = Mapping[str, float]
"""By the name of a group: the share of its channels that stays, 0..1; groups not named are whole.
"""


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """One layer with weights: convolution, linear layer, or a batch norm that nothing folds.

    Attributes:
        layer: its name in the torch network.
        inputs, outputs: channels of the whole layer.
        groups: of the convolution.
        kernel, stride, padding, dilation: one number per axis of space; empty for linear layers.
        size: of the input along the axes of space; of a linear layer the axes before the channels.
        positions: numbers written per output channel for one example.
        bias: True if its file has a bias: its own, or that of the batch norm folded into it.
        norm: True for a batch norm that follows no layer and stays an operator of its own.
        attention: True for a layer whose outputs are queries, keys and values, which are multiplied
            with each other at every pair of positions.
        reads, writes: groups among the inputs and outputs, each with how many channels of this
            layer are in it.
    """

    layer: str
    inputs: int
    outputs: int
    groups: int = 1
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    size: tuple[int, ...] = ()
    positions: int = 1
    bias: bool = True
    norm: bool = False
    attention: bool = False
    reads: tuple[tuple[str, int], ...] = ()
    writes: tuple[tuple[str, int], ...] = ()

    def inputs_at(self, kept: KeptShares) -> int:
        """Return the number of input channels that are left."""
        return _left(self.inputs, self.reads, kept)

    def outputs_at(self, kept: KeptShares) -> int:
        """Return the number of output channels that are left."""
        return _left(self.outputs, self.writes, kept)

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count the weights and biases of a layer of this width."""
        if self.norm:
            return 2 * outputs
        return self._weights(inputs, outputs) + (outputs if self.bias else 0)

    def macs(self, inputs: int, outputs: int) -> int:
        """Return the multiply-accumulates of a layer of this width, for one example."""
        products = 2 * self.positions**2 * outputs // 3 if self.attention else 0
        return 0 if self.norm else self._weights(inputs, outputs) * self.positions + products

    def _weights(self, inputs: int, outputs: int) -> int:
        """Count the weights; a grouped convolution loses whole groups, the others stay as wide."""
        each = inputs if self.groups == 1 else self.inputs // self.groups
        return outputs * each * prod(self.kernel)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerShape:
        """Read what ``dataclasses.asdict`` wrote, with lists where JSON has made them of tuples."""
        return cls(**{name: _tuples(value) for name, value in data.items()})


def network_parameters(shapes: tuple[LayerShape, ...], kept: KeptShares) -> int:
    """Count the weights and biases of the whole pruned network."""
    return sum(s.parameters(s.inputs_at(kept), s.outputs_at(kept)) for s in shapes)


def network_macs(shapes: tuple[LayerShape, ...], kept: KeptShares) -> int:
    """Return the multiply-accumulates of the whole pruned network, for one example."""
    return sum(s.macs(s.inputs_at(kept), s.outputs_at(kept)) for s in shapes)


def layer_shapes(
    network: nn.Module, groups: tuple[ChannelGroup, ...], input_shape: tuple[int, ...]
) -> tuple[LayerShape, ...]:
    """Return every layer of a network, in the order in which they run.

    Args:
        network: in evaluation mode, on the CPU; it is left alone.
        groups: of this network.
        input_shape: of one example.
    """
    import torch
    from torch import nn

    from optim.compress.pruning.groups import is_attention

    ran: dict[str, _Ran] = {}

    def watch(name: str, module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        ran.setdefault(name, _Ran(module, x, y))

    kinds = nn.modules.conv._ConvNd | nn.Linear | nn.modules.batchnorm._BatchNorm
    hooks = [
        module.register_forward_hook(lambda module, x, y, name=name: watch(name, module, x[0], y))
        for name, module in network.named_modules()
        if isinstance(module, kinds)
    ]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, *input_shape))
    finally:
        for hook in hooks:
            hook.remove()
    attentions = {f"{name}.qkv" for name, m in network.named_modules() if is_attention(m)}
    norms = [each for each in ran.values() if _is_norm(each.module)]
    written = [each.y for each in ran.values() if not _is_norm(each.module)]
    return tuple(
        replace(
            _shape(name, each, groups, normed=any(norm.x is each.y for norm in norms)),
            attention=name in attentions,
        )
        for name, each in ran.items()
        if not (_is_norm(each.module) and any(each.x is y for y in written))  # folded
    )


class _Ran(NamedTuple):
    """A layer with what it read and wrote."""

    module: Any
    x: torch.Tensor
    y: torch.Tensor


def _is_norm(module: Any) -> bool:
    from torch import nn

    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def _shape(name: str, ran: _Ran, groups: tuple[ChannelGroup, ...], *, normed: bool) -> LayerShape:
    module, x, y = ran
    reads, writes = (_shares(name, groups, side) for side in ("inputs", "outputs"))
    if _is_norm(module):
        width = x.shape[1]
        return LayerShape(
            layer=name, inputs=width, outputs=width, norm=True, reads=reads, writes=writes
        )
    convolution = hasattr(module, "kernel_size")
    return LayerShape(
        layer=name,
        inputs=x.shape[1 if convolution else -1],
        outputs=y.shape[1 if convolution else -1],
        size=tuple(x.shape[2:] if convolution else x.shape[1:-1]),
        positions=prod(y.shape[2:] if convolution else y.shape[1:-1]),
        bias=module.bias is not None or normed,
        reads=reads,
        writes=writes,
        **(_window(module) if convolution else {}),
    )


def _shares(layer: str, groups: tuple[ChannelGroup, ...], side: str) -> tuple[tuple[str, int], ...]:
    """Return how many channels of one side of a layer are in each group."""
    found: dict[str, int] = {}
    for group in groups:
        for part in group.parts if group.prunable else ():
            if part.layer == layer and part.side in (side, "both"):
                found[group.name] = found.get(group.name, 0) + len(part.channel)
    return tuple(found.items())


def _window(module: Any) -> dict[str, Any]:
    """Return the sizes of a convolution other than its channels."""
    kernel, dilation = tuple(module.kernel_size), tuple(module.dilation)
    padding = {
        "valid": tuple(0 for _ in kernel),
        "same": tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True)),
    }
    window: dict[str, Any] = {
        "groups": module.groups,
        "kernel": kernel,
        "stride": tuple(module.stride),
        "padding": padding.get(module.padding) or tuple(module.padding),
        "dilation": dilation,
    }
    return window


def _left(whole: int, shares: tuple[tuple[str, int], ...], kept: KeptShares) -> int:
    return whole - sum(
        channels - round(channels * kept.get(group, 1.0)) for group, channels in shares
    )


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
