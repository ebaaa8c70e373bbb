"""Where the time of a file goes: one row per kernel that the engine really runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


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
        reason: why it computes in float although the file is quantized; empty if it does not.
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
        """Plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Profile:
        """The inverse of ``to_dict``."""
        operators = tuple(OperatorTime(**row) for row in data["operators"])
        return cls(**{**data, "operators": operators})
