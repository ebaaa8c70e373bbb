"""Where did the accuracy of a quantized file go? From FP32 down to the file, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from optim.candidate import Candidate
from optim.task import Task

if TYPE_CHECKING:
    from optim.store.results import Results

Progress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step of the waterfall: the same network with a little more of it quantized.

    Attributes:
        name: in words, such as ``weights in INT8``.
        accuracy: on validation, 0..1.
        sqnr_db: signal to noise in the logits against FP32, decibels; None for FP32 itself.
    """

    name: str
    accuracy: float
    sqnr_db: float | None


@dataclass(frozen=True, kw_only=True)
class KeptInFloat:
    """What keeping one layer in FP32 would give, measured.

    Attributes:
        layer: its ONNX node name.
        accuracy_gain: on validation, 0..1.
        sqnr_gain_db: decibels in the logits.
        time_ms: latency added, milliseconds (negative: it becomes faster).
        size_bytes: bytes added.
    """

    layer: str
    accuracy_gain: float
    sqnr_gain_db: float
    time_ms: float
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Waterfall:
    """The way from the float parent to the quantized file.

    Attributes:
        stages: FP32 first, the file last.
        layers: those whose return to FP32 wins most, best first.
        n: validation examples.
    """

    stages: tuple[Stage, ...]
    layers: tuple[KeptInFloat, ...]
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Waterfall:
        """The inverse of ``to_dict``."""
        return cls(
            stages=tuple(Stage(**row) for row in data["stages"]),
            layers=tuple(KeptInFloat(**row) for row in data["layers"]),
            n=data["n"],
        )


def measure_waterfall(
    results: Results, task: Task, candidate: Candidate, *, progress: Progress
) -> Waterfall:
    """Quantize more and more of the float parent until it is the candidate's file."""
    raise NotImplementedError
