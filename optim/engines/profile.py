"""Profile: the time of a file, one row per kernel that the engine really runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np


class FloatReason(StrEnum):
    """Why a kernel computes in float although its file is quantized; an engine adds the words."""

    NO_KERNEL = "no_kernel"
    """The engine has no integer kernel for the operator."""
    WEIGHTS_IN_FLOAT = "weights_in_float"
    """The file keeps these weights in FP32 or FP16."""
    WEIGHTS_ONLY = "weights_only"
    """Only the weights are quantized, so they are unpacked to compute."""
    FLOAT_ACTIVATIONS = "float_activations"
    """No activation in the file is quantized."""
    BEHIND_LAST_LAYER = "behind_last_layer"
    FASTER_IN_FLOAT = "faster_in_float"
    """It was left in float on purpose."""
    CLAMP = "clamp"
    """A ReLU or Clip that was not absorbed into a quantization."""
    NEIGHBOURS = "neighbours"
    """What it reads, or what reads it, is in float."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelTimes:
    """One kernel of the graph that the engine runs.

    Attributes:
        name: the engine's name of the node; it grows out of the name in the file.
        kernel: the operator.
        types: element types of the inputs, such as ``float`` or ``uint8``.
        microseconds: shape (runs,), int64. A profiler cuts off what lies behind the point.
    """

    name: str
    kernel: str
    types: tuple[str, ...]
    microseconds: np.ndarray


@dataclass(frozen=True, kw_only=True)
class OperatorTime:
    """One kernel of the graph that the engine really runs.

    Attributes:
        kernel: the engine's name of the operator, such as ``QLinearConv`` or ``ReorderInput``.
        layer: the layer of the shipped file (its ONNX node name) whose work this is; empty for
            conversions and helpers.
        precision: ``int8`` or ``fp32``: in what it computes; empty for pure data movement.
        time_ms: median over the runs, milliseconds per example.
        overhead: True for quantize, dequantize, reorder, transpose and cast: work that only
            prepares the work of others.
        reason: why it computes in float although the file is quantized, in the engine's words;
            empty if it does not.
        code: the same reason for programs; None if it does not.
        operator: the operator of the shipped file that this is part of, as an expert calls it:
            HardSwish for ``x * HardSigmoid(x)``. For a conversion, the operator in float that makes
            it necessary; empty where the engine has put it in.
    """

    kernel: str
    layer: str
    precision: str
    time_ms: float
    overhead: bool = False
    reason: str = ""
    operator: str = ""
    code: FloatReason | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Times of one file by operator, in the order in which they run.

    Attributes:
        operators: the kernels.
        total_ms: sum of their times; the profiler itself adds some.
        runs: how many runs each median is over.
    """

    operators: tuple[OperatorTime, ...]
    total_ms: float
    runs: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Profile:
        """Read what ``to_dict`` wrote, also before reasons had a code."""
        operators = tuple(
            OperatorTime(**{**row, "code": _code_of(row)}) for row in data["operators"]
        )
        return cls(**{**data, "operators": operators})


def _code_of(row: dict[str, Any]) -> FloatReason | None:
    """Return the code of a row; older rows tell it in words only."""
    code = row.get("code")
    if code is None and " has no INT8 kernel for " in row["reason"]:
        return FloatReason.NO_KERNEL
    return None if code is None else FloatReason(code)
