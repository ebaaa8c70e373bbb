"""The kernels of ONNX Runtime: their names, and the timed events that its profiler writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optim.engines.profile import KernelTimes

FLOAT_KERNELS = (
    "Conv", "FusedConv", "NhwcFusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul",
    "FusedMatMul", "MatMulNBits",
)  # fmt: skip
"""Layers in float, as ONNX Runtime names them after its own optimization."""
INTEGER_KERNELS = (
    "QLinearConv", "NhwcQLinearConv", "QConv", "ConvInteger", "QGemm", "QLinearMatMul",
    "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
)  # fmt: skip
KERNEL_SUFFIX = "_kernel_time"


def read_kernel_times(events: Sequence[dict[str, Any]], *, runs: int) -> tuple[KernelTimes, ...]:
    """Group the events of ONNX Runtime's profile by kernel; only the last ``runs`` runs count.

    Raises:
        ValueError: if the profile holds fewer runs, or runs of different kernels.
    """
    found: list[list[dict[str, Any]]] = [[]]
    for event in events:
        if event.get("name") == "model_run":  # it ends a run, and is written at its end
            found.append([])
        elif event.get("cat") == "Node" and event["name"].endswith(KERNEL_SUFFIX):
            found[-1].append(event)
    timed = found[:-1][-runs:]
    names = [[event["name"] for event in run] for run in timed]
    if len(timed) < runs or any(run != names[0] for run in names):
        raise ValueError(f"the profile must hold {runs} equal runs, got {len(timed)}.")
    durations = np.array([[event["dur"] for event in run] for run in timed], np.int64)
    return tuple(
        KernelTimes(
            name=event["name"].removesuffix(KERNEL_SUFFIX),
            kernel=event["args"]["op_name"],
            types=tuple(kind for item in event["args"]["input_type_shape"] for kind in item),
            microseconds=durations[:, index],
        )
        for index, event in enumerate(timed[0])
    )
