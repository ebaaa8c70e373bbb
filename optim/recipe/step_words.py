"""Each step in a few words for people."""

from __future__ import annotations

from typing import assert_never

from optim.recipe.choices import (
    Activation,
    Criterion,
    DistillationLoss,
    Pattern,
    Precision,
    PruningUnit,
    Scope,
    SparsifyMethod,
)
from optim.recipe.graph_steps import Fuse, MixedPrecision, Quantize
from optim.recipe.steps import Step
from optim.recipe.training_steps import (
    Distill,
    Prune,
    QuantizeAware,
    Replace,
    ReplaceActivation,
    Sparsify,
)


def step_words(step: Step) -> str:
    """One step in a few words."""
    match step:
        case Replace():
            return _student_words(step)
        case ReplaceActivation():
            return f"activations to {_NAMES[step.activation]}{_training_words(step)}"
        case Prune():
            return _prune_words(step) + _training_words(step)
        case Distill():
            return _distill_words(step)
        case Sparsify():
            return _sparsify_words(step) + _training_words(step)
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


_CRITERIA = {
    Criterion.L1: "L1",
    Criterion.BN_SCALE: "batch-norm scale",
    Criterion.TAYLOR: "Taylor",
    Criterion.FPGM: "FPGM",
    Criterion.LAMP: "LAMP",
    Criterion.RANDOM: "chance",
}
"""All but the usual one."""
_NAMES = {Activation.RELU: "ReLU", Activation.RELU6: "ReLU6"}


def _prune_words(step: Prune) -> str:
    blocks = "" if not step.blocks else f"{step.blocks} block{'s' if step.blocks > 1 else ''}"
    unit = "MACs" if step.unit is PruningUnit.MACS else str(step.unit)
    channels = f"{_percent(step.ratio)} of {unit}" if step.ratio else ""
    single = f"{len(step.layers)} layer{'s' if len(step.layers) != 1 else ''} by their own ratio"
    if not step.keep_weights:
        fewer = f"{_percent(step.ratio)} fewer {unit}"
        parts = [
            fewer if step.ratio else "",
            single.replace(" by", " narrower by") if step.layers else "",
            f"{blocks} fewer" if blocks else "",
        ]
        return f"{' and '.join(filter(None, parts))} from scratch"
    told = " and ".join(filter(None, (channels, single if step.layers else "", blocks)))
    how = [
        "globally" if step.scope is Scope.GLOBAL else "",
        f"by {_CRITERIA[step.criterion]}" if step.criterion in _CRITERIA else "",
        f"in {step.rounds} rounds" if step.rounds > 1 else "",
        f"in blocks of {step.round_to}" if step.round_to != 16 else "",
    ]
    return " ".join(["prune", told, *filter(None, how)])


def _student_words(step: Replace) -> str:
    width = "" if step.width == 1 else f" of {_percent(step.width)} width"
    stride = ", half the resolution" if step.stride > 1 else ""
    epochs = f" ({step.epochs:g} epoch{'s' if step.epochs != 1 else ''})" if step.epochs else ""
    teacher = "" if step.distill or not step.epochs else " (labels only)"
    return f"student {step.architecture}{width}{stride}{epochs}{teacher}"


def _distill_words(step: Distill) -> str:
    if not step.distill:
        words = "train without a teacher"
    elif step.teacher:
        words = f"distill from {' and '.join(step.teacher)}"
    else:
        words = "distill"
    how = [
        f"{step.loss}" if step.loss is not DistillationLoss.SOFT else "",
        f"T {step.temperature:g}" if step.temperature != 4 else "",
        f"alpha {step.alpha:g}" if step.alpha not in (0, 0.7) else "",
        "no labels" if not step.labels else "",
        f"{_percent(step.data_share)} of the data" if step.data_share != 1 else "",
        f"{step.epochs:g} epoch{'s' if step.epochs != 1 else ''}",
    ]
    return f"{words} ({', '.join(filter(None, how))})"


def _sparsify_words(step: Sparsify) -> str:
    if step.pattern is Pattern.UNSTRUCTURED:
        words = f"{_percent(step.sparsity)} of weights zero"
    else:
        words = f"weights zero in {step.pattern}"
    how = [
        "globally" if step.scope is Scope.GLOBAL else "",
        {SparsifyMethod.GRADUAL: "gradually", SparsifyMethod.REPAIR: "repaired"}.get(step.method),
    ]
    return " ".join([words, *filter(None, how)])


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _training_words(step: ReplaceActivation | Prune | Sparsify | QuantizeAware) -> str:
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
