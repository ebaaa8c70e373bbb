"""What does this precision cost in this layer? Each layer alone is quantized, the rest is float."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from optim.candidate import Candidate
from optim.recipe import Precision
from optim.task import Task

if TYPE_CHECKING:
    from optim.store.results import Results

Progress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """One layer in one precision, everything else in FP32.

    Attributes:
        layer: its ONNX node name.
        operator: Conv, Gemm or MatMul.
        precision: of this layer.
        sqnr_db: signal to quantization noise in the logits, decibels; higher is better.
        accuracy_drop: accuracy of the FP32 file minus that with this layer quantized, on
            *validation*, 0..1; negative is a gain.
        size_bytes: of this layer's weights and scales in this precision.
        time_ms: of this layer in this precision on the engine, milliseconds, from profiles of whole
            files; None where it was not measured.
        alone_in_float_gain: accuracy on validation that a file in this precision wins back when
            this layer alone stays in FP32 ("one but one"), 0..1; None where it was not measured.
    """

    layer: str
    operator: str
    precision: Precision
    sqnr_db: float
    accuracy_drop: float
    size_bytes: int
    time_ms: float | None = None
    alone_in_float_gain: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """Every layer in every precision, FP32 included (as the cost of keeping it).

    Attributes:
        rows: in the order of the network, layer by layer.
        accuracy: of the FP32 file on validation, 0..1.
        n: validation examples that accuracies are taken over.
    """

    rows: tuple[LayerSensitivity, ...]
    accuracy: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Sensitivity:
        """The inverse of ``to_dict``."""
        rows = tuple(
            LayerSensitivity(**{**row, "precision": Precision(row["precision"])})
            for row in data["rows"]
        )
        return cls(**{**data, "rows": rows})


def measure_sensitivity(
    results: Results, task: Task, candidate: Candidate, *, progress: Progress
) -> Sensitivity:
    """Quantize one layer at a time of a float candidate, and see what it does."""
    raise NotImplementedError
