"""Random changes to training examples, one batch at a time, in torch.

Images are mirrored, shifted by up to two pixels and lose one 8 x 8 square (Cutout, DeVries and
Taylor 2017). Sensor windows are scaled per axis, shifted in time and get a little noise (Um et al.
2017).

A teacher whose answers come from a table has seen the example as it is, or mirrored. The student
then gets *weak* augmentation only: an answer to a picture that it does not see teaches it nonsense
("consistent teaching", Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and
consistent"). ``fine_tuning_schedule`` says when it is better without a teacher, too.
"""

from __future__ import annotations

from typing import assert_never

import torch

from optim.task.datasets import Kind

SHIFT, WEAK_SHIFT = 2, 1
CUTOUT = 8
TIME_SHIFT, WEAK_TIME_SHIFT = 16, 4
SCALE, NOISE, GENTLE_NOISE = 0.2, 0.05, 0.02


def augment(
    x: torch.Tensor,
    kind: Kind,
    *,
    weak_augmentation: bool = False,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change a batch at random.

    Args:
        x: (N, C, H, W) for images, (N, C, L) for series.
        kind: which family of changes makes sense; other data stays as it is.
        weak_augmentation: only what leaves a recorded answer of the teacher true.
        generator: the source of chance.

    Returns:
        The changed batch, and the view of each example, (N,) int64: 1 where it was mirrored, else
        0.
    """
    as_it_is = torch.zeros(len(x), dtype=torch.int64)
    match kind:
        case "image":
            shift = WEAK_SHIFT if weak_augmentation else SHIFT
            moved, mirrored = _mirror_and_shift(x, shift, generator)
            return (moved if weak_augmentation else _cut_out(moved, generator)), mirrored
        case "series":
            return _augment_series(x, weak_augmentation, generator), as_it_is
        case "other":
            return x, as_it_is
        case _:
            assert_never(kind)


def views(x: torch.Tensor, kind: Kind) -> tuple[torch.Tensor, ...]:
    """Return the views a teacher labels once: as is, and mirrored for images."""
    return (x, x.flip(3)) if kind == "image" else (x,)


def _mirror_and_shift(
    x: torch.Tensor, shift: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    n, _, height, width = x.shape
    mirrored = torch.rand(n, generator=generator) < 0.5
    rows = torch.arange(height) + _integers(n, -shift, shift, generator)
    columns = torch.arange(width) + _integers(n, -shift, shift, generator)
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
    return torch.where(outside[:, None], x.amin(), shifted), mirrored.long()


def _cut_out(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = x.shape
    top = _integers(n, 0, height - CUTOUT, generator)
    left = _integers(n, 0, width - CUTOUT, generator)
    in_rows = (torch.arange(height) >= top) & (torch.arange(height) < top + CUTOUT)
    in_columns = (torch.arange(width) >= left) & (torch.arange(width) < left + CUTOUT)
    hole = in_rows[:, :, None] & in_columns[:, None, :]
    return x.masked_fill(hole[:, None], 0.0)


def _augment_series(
    x: torch.Tensor, weak_augmentation: bool, generator: torch.Generator
) -> torch.Tensor:
    n, axes, length = x.shape
    shift = WEAK_TIME_SHIFT if weak_augmentation else TIME_SHIFT
    steps = (torch.arange(length) + _integers(n, -shift, shift, generator)).clamp(0, length - 1)
    shifted = x.gather(2, steps[:, None, :].expand(n, axes, length))
    noise = torch.randn(x.shape, generator=generator)
    if weak_augmentation:
        return shifted + GENTLE_NOISE * noise
    scale = 1 + SCALE * torch.randn(n, axes, 1, generator=generator)
    return shifted * scale + NOISE * noise


def _integers(n: int, low: int, high: int, generator: torch.Generator) -> torch.Tensor:
    """Return integers in [low, high], shape (n, 1)."""
    return torch.randint(low, high + 1, (n, 1), generator=generator)
