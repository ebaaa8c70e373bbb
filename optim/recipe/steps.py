"""The steps of a recipe: frozen values that check themselves at birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import assert_never

from optim.recipe.checks import check, check_flag, check_number, check_whole, is_number
from optim.recipe.choices import (
    Activation,
    Activations,
    Calibration,
    Precision,
    Rounding,
    parse_choice,
    parse_precision,
)

MAX_RATIO = 0.95
MAX_EPOCHS = 200
MAX_LAYERS = 1000


@dataclass(frozen=True, kw_only=True)
class ReplaceActivation:
    """Give the network another activation function and fine-tune it: a remedy for slow kernels.

    Engines have integer kernels for ReLU, but not for HardSwish, SiLU or GELU; these stay in float
    with conversions around them.

    Attributes:
        activation: what every HardSwish, SiLU, GELU, Hardsigmoid or ELU becomes.
        epochs: fine-tuning afterwards, in passes over the training split.
        distill: learn from the original network's answers as well as from the labels.
    """

    activation: Activation = Activation.RELU
    epochs: float = 1.0
    distill: bool = True

    def __post_init__(self) -> None:
        kind = parse_choice(Activation, self.activation, "replace_activation activation")
        object.__setattr__(self, "activation", kind)
        check_number(self.epochs, 0, MAX_EPOCHS, "replace_activation epochs", "Try 1.")
        check_flag(self.distill, "replace_activation distill")
        object.__setattr__(self, "epochs", float(self.epochs))


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Structured pruning: remove whole blocks and channels, then fine-tune.

    Attributes:
        ratio: share of the *channels* removed in every prunable layer, 0 to 0.95. About
            1 - (1 - ratio)^2 of the parameters go with them.
        blocks: how many residual blocks leave first: each is replaced by its shortcut.
        epochs: fine-tuning after the cut, in passes over the training split; 0 trains nothing.
        distill: learn from the original network's answers as well as from the labels.
        keep_weights: False throws the remaining weights away and trains the small network from
            scratch: the honest control that a pruned one must beat.
        round_to: kept channels are a multiple of this (or of half of it, and so on, in layers too
            narrow for it): kernels run in blocks, so latency is a staircase.
    """

    ratio: float
    blocks: int = 0
    epochs: float = 1.0
    distill: bool = True
    keep_weights: bool = True
    round_to: int = 16

    def __post_init__(self) -> None:
        check_whole(self.blocks, 0, 64, "prune blocks", "Try 1.")
        least = 0.0 if self.blocks else 1e-9
        check(
            is_number(self.ratio) and least <= self.ratio <= MAX_RATIO,
            f"prune ratio must be above 0 and at most {MAX_RATIO}, got {self.ratio!r}. "
            "A layer needs at least one channel; try 0.9.",
        )
        check_number(self.epochs, 0, MAX_EPOCHS, "prune epochs", "Try 1.")
        check_flag(self.distill, "prune distill")
        check_flag(self.keep_weights, "prune keep_weights")
        check_whole(self.round_to, 1, 256, "prune round_to", "Try 16.")
        object.__setattr__(self, "ratio", float(self.ratio))
        object.__setattr__(self, "epochs", float(self.epochs))


@dataclass(frozen=True, kw_only=True)
class QuantizeAware:
    """Quantization-aware training: the network learns on the grid that its file will have.

    A ``Quantize`` step of the same weights must follow; it writes the very grid that was trained.

    Attributes:
        weight_bits: 8 or 4; activations have 8.
        epochs: passes over the training split.
        per_channel: one weight scale per output channel instead of one per tensor.
        learned_scales: the scales are trained too (LSQ, Esser et al. 2020).
        distill: learn from the original network's answers as well as from the labels.
    """

    weight_bits: int = 4
    epochs: float = 1.0
    per_channel: bool = True
    learned_scales: bool = False
    distill: bool = True

    def __post_init__(self) -> None:
        check(
            self.weight_bits in (4, 8),
            f"quantize_aware weight_bits must be 4 or 8, got {self.weight_bits!r}.",
        )
        check_number(self.epochs, 0, MAX_EPOCHS, "quantize_aware epochs", "Try 1.")
        check_flag(self.per_channel, "quantize_aware per_channel")
        check_flag(self.learned_scales, "quantize_aware learned_scales")
        check_flag(self.distill, "quantize_aware distill")
        object.__setattr__(self, "epochs", float(self.epochs))


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


Step = ReplaceActivation | Prune | QuantizeAware | Fuse | Quantize | MixedPrecision
TrainingStep = ReplaceActivation | Prune | QuantizeAware
"""Steps that change the network in torch, before it becomes a file."""

STEP_TYPES: dict[str, type[Step]] = {
    "replace_activation": ReplaceActivation,
    "prune": Prune,
    "quantize_aware": QuantizeAware,
    "fuse": Fuse,
    "quantize": Quantize,
    "mixed_precision": MixedPrecision,
}
STEP_ORDER = tuple(STEP_TYPES)
STEP_VERSIONS = {
    "replace_activation": 1,
    "prune": 1,
    "quantize_aware": 1,
    "fuse": 1,
    "quantize": 2,
    "mixed_precision": 1,
}
"""Raised when a step's algorithm changes its result: old candidates are not taken for new ones."""


def step_kind(step: Step) -> str:
    """The name of a step's type in files."""
    return next(name for name, kind in STEP_TYPES.items() if type(step) is kind)


def told_fields(step: Step) -> dict[str, object]:
    """The fields that make a step what it is: those that differ from their usual values."""
    match step:
        case Prune():
            usual: Step = Prune(ratio=step.ratio, blocks=step.blocks)
            always = {"ratio", "blocks"} if step.blocks else {"ratio"}
        case Quantize():
            usual, always = Quantize(precision=step.precision), {"precision"}
        case _:
            usual, always = type(step)(), set()
    values = {field.name: getattr(step, field.name) for field in fields(step)}
    return {k: v for k, v in values.items() if k in always or v != getattr(usual, k)}


def step_words(step: Step) -> str:
    """One step in a few words."""
    match step:
        case ReplaceActivation():
            return f"activations to {_NAMES[step.activation]}{_training_words(step)}"
        case Prune():
            return _prune_words(step) + _training_words(step)
        case QuantizeAware():
            words = f"trained for {step.weight_bits}-bit weights"
            words += " with learned scales" if step.learned_scales else ""
            return words + _training_words(step)
        case Fuse():
            return "fuse"
        case Quantize():
            return _quantize_words(step)
        case MixedPrecision():
            return _mixed_words(step)
        case _:
            assert_never(step)


_NAMES = {Activation.RELU: "ReLU", Activation.RELU6: "ReLU6"}


def _prune_words(step: Prune) -> str:
    blocks = "" if not step.blocks else f"{step.blocks} block{'s' if step.blocks > 1 else ''}"
    channels = f"{step.ratio:.0%} of channels".replace("%", " %") if step.ratio else ""
    if not step.keep_weights:
        fewer = f"{step.ratio:.0%} fewer channels".replace("%", " %")
        parts = [fewer if step.ratio else "", f"{blocks} fewer" if blocks else ""]
        return f"{' and '.join(filter(None, parts))} from scratch"
    return "prune " + " and ".join(filter(None, (channels, blocks)))


def _training_words(step: TrainingStep) -> str:
    words = "" if step.epochs == 1.0 else f" ({step.epochs:g} epochs)"
    return words if step.distill else words + " (labels only)"


def _quantize_words(step: Quantize) -> str:
    usual = Quantize(precision=step.precision)
    options = [
        f"{step.activations} activations" if step.activations != usual.activations else "",
        str(step.calibration).replace("_", " ") if step.calibration != usual.calibration else "",
        f"seed {step.calibration_seed}" if step.calibration_seed else "",
        f"{step.rounding} rounding" if step.rounding != usual.rounding else "",
        "bias corrected" if step.bias_correction else "",
        "equalized" if step.equalize else "",
        f"smoothed {step.smooth:g}" if step.smooth else "",
    ]
    told = ", ".join(filter(None, options))
    words = step.precision.upper() + (f" ({told})" if told else "")
    return words if step.per_channel else words + " per tensor"


def _mixed_words(step: MixedPrecision) -> str:
    counts: dict[Precision, int] = {}
    for _, precision in step.layers:
        counts[precision] = counts.get(precision, 0) + 1
    parts = [
        f"{count} layer{'s' if count > 1 else ''} in {precision.upper()}"
        for precision, count in sorted(counts.items())
    ]
    return " and ".join(parts) or "no layer of another precision"
