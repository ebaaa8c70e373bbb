"""A residual 1-D convolutional network for windows of sensor readings.

The layout follows the ResNet baseline for time series of Wang, Yan and Oates 2017, "Time Series
Classification from Scratch with Deep Neural Networks": residual blocks of convolutions of lengths
7, 5 and 3, then global average pooling. We halve the time axis between blocks.
"""

from __future__ import annotations

import torch
from torch import nn


class MotionCNN(nn.Module):
    """Residual 1-D network: (N, C, L) float32 -> logits (N, classes)."""

    def __init__(self, in_channels: int, classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        inputs = (in_channels, *widths[:-1])
        self.blocks = nn.Sequential(
            *(_ResidualBlock(i, o) for i, o in zip(inputs, widths, strict=True))
        )
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) for windows (N, C, L)."""
        logits: torch.Tensor = self.head(self.pool(self.blocks(x)).flatten(1))
        return logits


class _ResidualBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_conv(in_channels, out_channels, 7, stride=2),
            nn.ReLU(),
            *_conv(out_channels, out_channels, 5),
            nn.ReLU(),
            *_conv(out_channels, out_channels, 3),
        )
        self.shortcut = nn.Sequential(*_conv(in_channels, out_channels, 1, stride=2))
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated: torch.Tensor = self.activation(self.main(x) + self.shortcut(x))
        return activated


def _conv(i: int, o: int, kernel: int, *, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv1d(i, o, kernel, stride=stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm1d(o)
