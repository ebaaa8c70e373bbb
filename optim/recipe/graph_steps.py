"""The steps that change the file: frozen values that check themselves at birth."""

from __future__ import annotations

from dataclasses import dataclass, field

from optim.recipe.checks import check
from optim.recipe.choices import (
    INTEGER_PRECISIONS,
    Activations,
    Calibration,
    Precision,
    Rounding,
)
from optim.recipe.fields import check_fields


@dataclass(frozen=True, kw_only=True)
class Fuse:
    """Fold batch norms and constants into the layers before them, in the file itself.

    The engine does the same each time it loads a file, so this changes size and load time, not
    latency. INT8 and INT4 always include it.
    """


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """Post-training quantization: ranges come from calibration examples, no training.

    Attributes:
        precision: FP16, INT8 or INT4: what the weights are stored in.
        activations: in what the results between layers are computed. Left out, it is ``uint8`` for
            INT8 and INT4, ``float`` for FP16.
        calibration: how activation ranges are chosen; of no effect on dynamic and float ones.
        calibration_examples: how many training examples the ranges are read from.
        calibration_seed: which ones are drawn from the training split; 0 takes the split that is
            kept for calibration.
        per_channel: one weight scale per output channel instead of one per tensor.
        rounding: to which neighbouring level a weight goes. Left out, it is ``nearest`` for INT8
            and ``gptq`` for INT4.
        bias_correction: the mean error that quantization leaves in each channel is taken out of the
            bias (Nagel et al. 2019, section 4.2).
        equalize: scales move between neighbouring layers so that the channels of one layer have
            equal ranges (cross-layer equalization, Nagel et al. 2019, section 4.1).
        smooth: share of the activations' range that moves into the weights of the matrix product
            behind them, 0 to 1; 0 moves nothing (SmoothQuant, Xiao et al. 2023).
    """

    precision: Precision = Precision.INT8
    activations: Activations | None = None
    calibration: Calibration = Calibration.MINMAX
    calibration_examples: int = 512
    calibration_seed: int = 0
    per_channel: bool = True
    rounding: Rounding | None = None
    bias_correction: bool = False
    equalize: bool = False
    smooth: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "quantize")
        check(
            self.precision is not Precision.FP32,
            "quantize precision must be fp16, int8 or int4: fp32 is the network as it is. "
            "Leave the step out.",
        )
        half, four = self.precision is Precision.FP16, self.precision is Precision.INT4
        if self.activations is None:
            usual = Activations.FLOAT if half else Activations.UINT8
            object.__setattr__(self, "activations", usual)
        if self.rounding is None:
            usual_rounding = Rounding.GPTQ if four else Rounding.NEAREST
            object.__setattr__(self, "rounding", usual_rounding)

    @property
    def calibrates(self) -> bool:
        """True if ranges of activations are read off examples."""
        ranged = self.activations in (Activations.UINT8, Activations.INT8)
        return ranged and self.precision in INTEGER_PRECISIONS


@dataclass(frozen=True, kw_only=True)
class MixedPrecision:
    """Single layers get another precision than the ``Quantize`` step before gives to all.

    Attributes:
        layers: precision by the layer's name in the ONNX file; FP32 leaves it as it is. Kept as
            pairs in the order of the names, so that the step is a value.
    """

    layers: tuple[tuple[str, Precision], ...] = field(default=())

    def __post_init__(self) -> None:
        check_fields(self, "mixed_precision")
        check(
            all(precision is not Precision.FP16 for _, precision in self.layers),
            "mixed_precision layers must be fp32, int8 or int4; fp16 is no choice for one layer.",
        )
