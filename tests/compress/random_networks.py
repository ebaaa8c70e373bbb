"""Random networks of the kinds of parts that the field builds from, small and with fixed seeds.

A network is a chain of one to five parts over a map (N, C, H, W), or over tokens (N, T, C), and a
head. Parts that break a dependency graph (norms written by hand, permutations, widths counted in
code) are drawn as often as those that keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

SIDE, TOKENS = 5, 6


@dataclass(frozen=True)
class Drawn:
    """A network with the shape of one example."""

    network: nn.Module
    input_shape: tuple[int, ...]


def random_network(seed: int) -> Drawn:
    """Draw a network; equal seeds give equal networks."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    of_maps = bool(rng.random() < 0.65)
    channels = int(rng.choice([2, 3]))
    start, width = channels, int(rng.choice([8, 12, 16]))
    kinds = MAP_PARTS if of_maps else TOKEN_PARTS
    parts: list[nn.Module] = []
    if rng.random() < 0.8 or not of_maps:
        parts.append(nn.Conv2d(channels, width, 3, padding=1) if of_maps else _stem(start, width))
        channels = width
    for _ in range(int(rng.integers(1, 6))):
        kind = kinds[int(rng.integers(len(kinds)))]
        part = kind(channels, rng)
        parts.append(part)
        channels = int(part(_example(channels, of_maps)).shape[1 if of_maps else -1])
    head = HEADS[int(rng.integers(len(HEADS)))](channels, of_maps)
    network = nn.Sequential(*parts, head)
    _settle(network, rng)
    shape = (start, SIDE, SIDE) if of_maps else (TOKENS, start)
    return Drawn(network.eval(), shape)


def _example(channels: int, of_maps: bool) -> torch.Tensor:
    shape = (2, channels, SIDE, SIDE) if of_maps else (2, TOKENS, channels)
    return torch.randn(*shape)


def _settle(network: nn.Module, rng: np.random.Generator) -> None:
    """Statistics as training leaves them; now and then a layer of zeros or of tiny weights."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean, 0.0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.3)
        elif isinstance(module, nn.Conv2d | nn.Linear) and rng.random() < 0.1:
            module.weight.data *= float(rng.choice([0.0, 1e-4]))


def _stem(channels: int, width: int) -> nn.Module:
    return nn.Linear(channels, width)


class Plain(nn.Module):
    """Layer, norm, activation."""

    def __init__(self, channels, rng):
        super().__init__()
        width = int(rng.choice([6, 8, 16, 24]))
        self.layer = nn.Conv2d(channels, width, int(rng.choice([1, 3])), padding="same")
        self.norm = nn.BatchNorm2d(width) if rng.random() < 0.6 else nn.Identity()
        acts = [nn.ReLU(), nn.ReLU(inplace=True), nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.ELU()]
        acts += [nn.Sigmoid(), nn.PReLU(width), nn.Softplus(), nn.Tanh()]
        self.act = acts[int(rng.integers(len(acts)))]

    def forward(self, x):
        return self.act(self.norm(self.layer(x)))


class Residual(nn.Module):
    """Two layers and a shortcut, with a projection now and then."""

    def __init__(self, channels, rng):
        super().__init__()
        inner, out = int(rng.choice([8, 12])), int(rng.choice([channels, 16]))
        self.one, self.two = nn.Conv2d(channels, inner, 3, padding=1), nn.Conv2d(inner, out, 1)
        self.norm = nn.BatchNorm2d(out)
        self.shortcut = nn.Identity() if out == channels else nn.Conv2d(channels, out, 1)
        self.scale = float(rng.choice([1.0, 0.5]))

    def forward(self, x):
        return (self.norm(self.two(self.one(x).relu())) * self.scale + self.shortcut(x)).relu()


class Joined(nn.Module):
    """Branches side by side."""

    def __init__(self, channels, rng):
        super().__init__()
        widths = rng.choice([4, 6, 8], size=int(rng.integers(2, 4)))
        self.branches = nn.ModuleList(nn.Conv2d(channels, int(w), 1) for w in widths)
        self.with_input = bool(rng.random() < 0.5)

    def forward(self, x):
        found = [branch(x).relu() for branch in self.branches]
        return torch.cat([x, *found] if self.with_input else found, 1)


class Grouped(nn.Module):
    """A convolution in groups between two whole ones."""

    def __init__(self, channels, rng):
        super().__init__()
        groups = int(rng.choice([2, 4]))
        self.one = nn.Conv2d(channels, 16, 1)
        self.two = nn.Conv2d(16, int(rng.choice([8, 16, 32])), 3, padding=1, groups=groups)

    def forward(self, x):
        return self.two(self.one(x).relu()).relu()


class Depthwise(nn.Module):
    """Wide, depthwise, narrow, with one or two outputs for each channel."""

    def __init__(self, channels, rng):
        super().__init__()
        times = int(rng.choice([1, 1, 2]))
        self.wide = nn.Conv2d(channels, 12, 1)
        self.depth = nn.Conv2d(12, 12 * times, 3, padding=1, groups=12)
        self.norm = nn.BatchNorm2d(12 * times)
        self.narrow = nn.Conv2d(12 * times, channels, 1)

    def forward(self, x):
        return x + self.narrow(self.norm(self.depth(self.wide(x).relu())).relu())


class SqueezeExcite(nn.Module):
    """Channels weighed by a gate that sees their means."""

    def __init__(self, channels, rng):
        super().__init__()
        self.main = nn.Conv2d(channels, 16, 1)
        self.one, self.two = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.gate = nn.Sigmoid() if rng.random() < 0.5 else nn.Hardsigmoid()

    def forward(self, x):
        x = self.main(x)
        return x * self.gate(self.two(self.one(x.mean((2, 3), keepdim=True)).relu()))


class Shared(nn.Module):
    """One layer that runs twice."""

    def __init__(self, channels, rng):
        super().__init__()
        self.layer, self.out = (
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.Conv2d(channels, 8, 1),
        )

    def forward(self, x):
        return self.out(self.layer(self.layer(x).relu()).relu())


class HandNorm(nn.Module):
    """A norm over the channels that no module shows."""

    def __init__(self, channels, rng):
        super().__init__()
        self.layer, self.kind = nn.Conv2d(channels, 24, 1), int(rng.integers(4))

    def forward(self, x):
        x = self.layer(x)
        match self.kind:
            case 0:
                return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)
            case 1:
                return x - x.mean(1, keepdim=True)
            case 2:
                return x / (x.norm(dim=1, keepdim=True) + 1e-6)
            case _:
                return nn.functional.normalize(x, dim=1)


class Permuted(nn.Module):
    """Channels are shuffled, turned round, rolled, sliced or counted."""

    def __init__(self, channels, rng):
        super().__init__()
        self.layer, self.kind = nn.Conv2d(channels, 16, 1), int(rng.integers(7))

    def forward(self, x):
        x = self.layer(x)
        n, c, h, w = x.shape
        match self.kind:
            case 0:
                return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            case 1:
                return x.flip(1)
            case 2:
                return x.roll(3, 1)
            case 3:
                return torch.cat([x[:, :4] + x[:, 4:8], x[:, 8:]], 1)
            case 4:
                one, other = x.chunk(2, 1)
                return one * other.sigmoid()
            case 5:
                return x.permute(0, 2, 3, 1).relu().permute(0, 3, 1, 2)
            case _:
                return x * (c / 16)


class Partial(nn.Module):
    """A residual sum with the first channels alone."""

    def __init__(self, channels, rng):
        super().__init__()
        self.one, self.two = nn.Conv2d(channels, 8, 1), nn.Conv2d(8, 12, 1)

    def forward(self, x):
        a = self.one(x)
        b = self.two(a)
        return torch.cat([b[:, :8] + a, b[:, 8:]], 1).relu()


class Normed(nn.Module):
    """A layer and a norm that mixes channels, as a module."""

    def __init__(self, channels, rng):
        super().__init__()
        self.layer = nn.Conv2d(channels, 12, 1)
        kinds: list[Callable[[], nn.Module]] = [
            lambda: nn.GroupNorm(3, 12), lambda: nn.InstanceNorm2d(12, affine=True),
            lambda: nn.LocalResponseNorm(3), lambda: nn.ChannelShuffle(3),
        ]  # fmt: skip
        self.norm = kinds[int(rng.integers(len(kinds)))]()

    def forward(self, x):
        return self.norm(self.layer(x)).relu()


class Attention(nn.Module):
    """Heads over tokens; queries, keys and values in one layer or in three."""

    def __init__(self, channels, rng):
        super().__init__()
        self.num_heads, self.head_dim = int(rng.choice([2, 4])), 4
        width = self.num_heads * self.head_dim
        self.split = bool(rng.random() < 0.4)
        if self.split:
            self.q, self.k, self.v = (nn.Linear(channels, width) for _ in range(3))
        else:
            self.qkv = nn.Linear(channels, 3 * width)
        self.proj = nn.Linear(width, channels)

    def forward(self, x):
        n, t, _ = x.shape
        if self.split:
            parts = [layer(x).view(n, t, self.num_heads, -1) for layer in (self.q, self.k, self.v)]
            q, k, v = (part.transpose(1, 2) for part in parts)
        else:
            qkv = self.qkv(x).reshape(n, t, 3, self.num_heads, self.head_dim)
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        y = ((q @ k.transpose(-2, -1)) / self.head_dim**0.5).softmax(-1) @ v
        return x + self.proj(y.transpose(1, 2).reshape(n, t, -1))


class Mlp(nn.Module):
    """Norm, wide, narrow, and the stream goes past them; a gated one now and then."""

    def __init__(self, channels, rng):
        super().__init__()
        self.norm = nn.LayerNorm(channels) if rng.random() < 0.5 else nn.Identity()
        self.one, self.two = nn.Linear(channels, 24), nn.Linear(24, channels)
        self.gate = nn.Linear(channels, 24) if rng.random() < 0.4 else None

    def forward(self, x):
        y = self.norm(x)
        wide = nn.functional.gelu(self.one(y))
        return x + self.two(wide if self.gate is None else wide * self.gate(y))


class TokenNorm(nn.Module):
    """A wide layer, a norm over its features by hand, and a narrow one."""

    def __init__(self, channels, rng):
        super().__init__()
        width = int(rng.choice([24, 256]))
        self.one, self.two = nn.Linear(channels, width), nn.Linear(width, channels)
        self.centred = bool(rng.random() < 0.3)

    def forward(self, x):
        y = self.one(x)
        if self.centred:
            return self.two(y - y.mean(-1, keepdim=True))
        return self.two(y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6))


class Mixer(nn.Module):
    """A layer over the tokens instead of the features."""

    def __init__(self, channels, rng):
        super().__init__()
        self.one, self.two = nn.Linear(TOKENS, 8), nn.Linear(8, TOKENS)

    def forward(self, x):
        return x + self.two(self.one(x.transpose(1, 2)).relu()).transpose(1, 2)


class PooledHead(nn.Module):
    """The mean over space or tokens, then classes."""

    def __init__(self, channels, of_maps):
        super().__init__()
        self.axes, self.fc = (2, 3) if of_maps else (1,), nn.Linear(channels, 5)

    def forward(self, x):
        return self.fc(x.mean(self.axes))


class FlatHead(nn.Module):
    """Everything in one row, then classes."""

    def __init__(self, channels, of_maps):
        super().__init__()
        self.fc = nn.Linear(channels * (SIDE * SIDE if of_maps else TOKENS), 5)

    def forward(self, x):
        return self.fc(x.flatten(1))


class TwoHeads(PooledHead):
    """A dictionary of classes and of the features that they are read from."""

    def forward(self, x):
        return {"classes": super().forward(x), "features": x}


class ZeroHead(PooledHead):
    """Classes before any training: zeros."""

    def __init__(self, channels, of_maps):
        super().__init__(channels, of_maps)
        nn.init.zeros_(self.fc.weight)


MAP_PARTS = (
    Plain, Plain, Residual, Joined, Grouped, Depthwise, SqueezeExcite, Shared, HandNorm, Permuted,
    Partial, Normed,
)  # fmt: skip
TOKEN_PARTS = (Attention, Attention, Mlp, Mlp, TokenNorm, Mixer)
HEADS = (PooledHead, PooledHead, FlatHead, TwoHeads, ZeroHead)
