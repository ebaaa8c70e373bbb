"""What an engine's profiler tells of its kernels: ONNX Runtime writes a list of timed events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

KERNEL_SUFFIX = "_kernel_time"


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelTimes:
    """One kernel of the graph that the engine runs.

    Attributes:
        name: the engine's name of the node; it grows out of the name in the file.
        kernel: the operator.
        types: element types of the inputs, such as ``float`` or ``uint8``.
        microseconds: shape (runs,), int64. The profiler cuts off what lies behind the point.
    """

    name: str
    kernel: str
    types: tuple[str, ...]
    microseconds: np.ndarray


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
