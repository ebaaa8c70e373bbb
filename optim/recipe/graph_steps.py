"""The steps that change the file: frozen values that check themselves at birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optim.recipe.checks import check, check_flag, check_number, check_whole
from optim.recipe.choices import (
    Activations,
    Calibration,
    Precision,
    Rounding,
    parse_choice,
    parse_precision,
)

MAX_LAYERS = 1000


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
            and ``compensated`` for INT4.
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
        precision = parse_precision(self.precision)
        check(
            precision is not Precision.FP32,
            "quantize precision must be fp16, int8 or int4: fp32 is the network as it is. "
            "Leave the step out.",
        )
        half = precision is Precision.FP16
        usual = Activations.FLOAT if half else Activations.UINT8
        activations = self.activations or usual
        rounding = self.rounding or (
            Rounding.COMPENSATED if precision is Precision.INT4 else Rounding.NEAREST
        )
        chosen = {
            "precision": precision,
            "activations": parse_choice(Activations, activations, "quantize activations"),
            "calibration": parse_choice(Calibration, self.calibration, "quantize calibration"),
            "rounding": parse_choice(Rounding, rounding, "quantize rounding"),
        }
        for name, value in chosen.items():
            object.__setattr__(self, name, value)
        check_whole(self.calibration_examples, 8, 512, "quantize calibration_examples", "Try 512.")
        check_whole(self.calibration_seed, 0, 2**31 - 1, "quantize calibration_seed", "Try 0.")
        for flag in ("per_channel", "bias_correction", "equalize"):
            check_flag(getattr(self, flag), f"quantize {flag}")
        check_number(self.smooth, 0, 1, "quantize smooth", "Try 0.5.")
        object.__setattr__(self, "smooth", float(self.smooth))


@dataclass(frozen=True, kw_only=True)
class MixedPrecision:
    """Single layers get another precision than the ``Quantize`` step before gives to all.

    Attributes:
        layers: precision by the layer's name in the ONNX file; FP32 leaves it as it is. Kept as
            pairs in the order of the names, so that the step is a value.
    """

    layers: tuple[tuple[str, Precision], ...] = field(default=())

    def __post_init__(self) -> None:
        given = self.layers.items() if isinstance(self.layers, Mapping) else self.layers
        try:
            pairs = [(name, precision) for name, precision in given]
        except (TypeError, ValueError):
            pairs = [("", "")]
        check(
            all(isinstance(name, str) and 0 < len(name) <= 200 for name, _ in pairs)
            and len({name for name, _ in pairs}) == len(pairs) <= MAX_LAYERS,
            "mixed_precision layers must be a table from layer names to precisions, "
            f"at most {MAX_LAYERS}, each name once.",
        )
        parsed = [(name, parse_precision(precision)) for name, precision in pairs]
        check(
            all(precision is not Precision.FP16 for _, precision in parsed),
            "mixed_precision layers must be fp32, int8 or int4; fp16 is no choice for one layer.",
        )
        object.__setattr__(self, "layers", tuple(sorted(parsed)))
