"""Random changes to training examples, one batch at a time, in torch.

Images are mirrored, shifted by up to two pixels and lose one 8 x 8 square (Cutout, DeVries and
Taylor 2017). Sensor windows are scaled per axis, shifted in time and get a little noise (Um et al.
2017).
"""

from __future__ import annotations

from typing import Literal

import torch

SHIFT = 2
CUTOUT = 8
TIME_SHIFT = 16


def augment(
    x: torch.Tensor, kind: Literal["image", "series"], *, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change a batch at random.

    Args:
        x: (N, C, H, W) for images, (N, C, L) for series.
        kind: which family of changes makes sense.
        generator: the source of chance.

    Returns:
        The changed batch, and the view of each example, (N,) int64: 1 where it was mirrored, else
        0.
    """
    if kind == "series":
        return _augment_series(x, generator), torch.zeros(len(x), dtype=torch.int64)
    return _augment_images(x, generator)


def views(x: torch.Tensor, kind: Literal["image", "series"]) -> tuple[torch.Tensor, ...]:
    """The views a teacher labels once: as is, and mirrored for images."""
    return (x, x.flip(3)) if kind == "image" else (x,)


def _augment_images(
    x: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    n, _, height, width = x.shape
    mirrored = torch.rand(n, generator=generator) < 0.5
    rows = torch.arange(height) + _integers(n, -SHIFT, SHIFT, generator)
    columns = torch.arange(width) + _integers(n, -SHIFT, SHIFT, generator)
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    outside = ((rows < 0) | (rows >= height))[:, :, None] | ((columns < 0) | (columns >= width))[
        :, None, :
    ]
    shifted = x[
        torch.arange(n)[:, None, None],
        :,
        rows.clamp(0, height - 1)[:, :, None],
        columns.clamp(0, width - 1)[:, None, :],
    ].permute(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)
    shifted = torch.where(outside[:, None], x.amin(), shifted)
    top = _integers(n, 0, height - CUTOUT, generator)
    left = _integers(n, 0, width - CUTOUT, generator)
    in_rows = (torch.arange(height) >= top) & (torch.arange(height) < top + CUTOUT)
    in_columns = (torch.arange(width) >= left) & (torch.arange(width) < left + CUTOUT)
    hole = in_rows[:, :, None] & in_columns[:, None, :]
    return shifted.masked_fill(hole[:, None], 0.0), mirrored.long()


def _augment_series(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n, axes, length = x.shape
    steps = (torch.arange(length) + _integers(n, -TIME_SHIFT, TIME_SHIFT, generator)).clamp(
        0, length - 1
    )
    shifted = x.gather(2, steps[:, None, :].expand(n, axes, length))
    scale = 1 + 0.2 * torch.randn(n, axes, 1, generator=generator)
    return shifted * scale + 0.05 * torch.randn(x.shape, generator=generator)


def _integers(n: int, low: int, high: int, generator: torch.Generator) -> torch.Tensor:
    """Whole numbers in [low, high], shape (n, 1)."""
    return torch.randint(low, high + 1, (n, 1), generator=generator)
