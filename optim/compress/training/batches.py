"""Examples in batches, on the device and in the memory order that is fast there."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


def device() -> torch.device:
    """Return the GPU if torch finds one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def bfloat16_is_fast(where: torch.device) -> bool:
    """True if the device multiplies in bfloat16; a CPU that only emulates it is slower with it.

    On x86 that takes AVX512-BF16 or AMX, on ARM the BF16 extension. A torch too old to be asked
    counts as no.
    """
    if where.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def batches(x: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Cut along the first axis; the last batch may be smaller."""
    return [x[start : start + size] for start in range(0, len(x), size)]


def training_batches(rows: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Return ``batches``, but a single last example joins the batch before it.

    Batch norm in training needs more than one number per channel.
    """
    cut = batches(rows, size)
    if len(cut) > 1 and len(cut[-1]) == 1:
        cut[-2:] = [torch.cat(cut[-2:])]
    return cut


def network_on(network: nn.Module, where: torch.device) -> nn.Module:
    """Move to a device, in channels-last order: several times faster for depthwise convolutions."""
    network = network.to(where)
    return network.to(memory_format=torch.channels_last)


def batch_on(x: torch.Tensor, where: torch.device) -> torch.Tensor:
    """Move to a device; images (N, C, H, W) in channels-last order."""
    x = x.to(where)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
