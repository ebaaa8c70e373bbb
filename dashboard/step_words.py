"""Each step of a recipe in a sentence for a non-expert. Pure functions; nothing is drawn here."""

from __future__ import annotations

from typing import assert_never

from dashboard import words
from optim.recipe import (
    Activation,
    Activations,
    Calibration,
    Fuse,
    MixedPrecision,
    Precision,
    Prune,
    Quantize,
    QuantizeAware,
    ReplaceActivation,
    Rounding,
    Step,
)

MOST_NAMED = 4
"""So many layers are called by their name; the rest are counted."""


def sentence(step: Step) -> str:
    """What this step has done to the network."""
    match step:
        case ReplaceActivation():
            return (
                "The activations that engines have no integer kernel for (HardSwish, SiLU, GELU) "
                f"became {_ACTIVATIONS[step.activation]}; {_trained('the network', step)}."
            )
        case Prune():
            return _prune(step)
        case QuantizeAware():
            return _quantize_aware(step)
        case Fuse():
            return "Batch norms and constants were folded into the layers before them."
        case Quantize():
            return _quantize(step)
        case MixedPrecision():
            return _mixed(step)
        case _:
            assert_never(step)


_ACTIVATIONS = {Activation.RELU: "ReLU", Activation.RELU6: "ReLU6"}


def _trained(what: str, step: ReplaceActivation | Prune) -> str:
    """The training after a step, as the end of a sentence."""
    if step.epochs == 0:
        return "nothing was trained afterwards"
    teacher = " with the original as teacher" if step.distill else ""
    return f"{what} was fine-tuned for {_epochs(step.epochs)}{teacher}"


def _epochs(number: float) -> str:
    return "1 epoch" if number == 1 else f"{number:g} epochs"


def _prune(step: Prune) -> str:
    share = words.percent(step.ratio)
    blocks = "1 block" if step.blocks == 1 else f"{step.blocks} blocks"
    if not step.keep_weights:
        less = [f"{share} fewer channels" if step.ratio else "", f"{blocks} fewer"]
        parts = filter(None, less if step.blocks else less[:1])
        return (
            f"A network with {' and '.join(parts)} was trained from scratch for "
            f"{_epochs(step.epochs)}. It is the control that a pruned network must beat."
        )
    channels = f"the {share} of channels that matter least were removed"
    depth = f"{blocks} that change{'s' if step.blocks == 1 else ''} least gave way to the shortcut"
    parts = [depth if step.blocks else "", channels if step.ratio else ""]
    cut = " and ".join(filter(None, parts))
    return f"{cut[0].upper()}{cut[1:]}; {_trained('the rest', step)}."


def _quantize_aware(step: QuantizeAware) -> str:
    teacher = ", with the original as teacher" if step.distill else ""
    scales = "" if step.per_channel else "; each layer has one scale"
    learned = "; the scales were learnt with the weights" if step.learned_scales else ""
    return (
        f"For {_epochs(step.epochs)} the network was trained on the very grid that its file has, "
        f"{step.weight_bits}-bit weights and 8-bit results in between{teacher}{scales}{learned}."
    )


_WEIGHTS = {
    Precision.FP32: "The precision is as before",
    Precision.FP16: "Each weight is stored in 2 bytes instead of 4",
    Precision.INT8: "Each weight became a whole number of 1 byte",
    Precision.INT4: "Each weight became a whole number of half a byte",
}
_ROUNDING = {
    Rounding.NEAREST: "rounded to the nearest level",
    Rounding.COMPENSATED: "rounded so that the errors of a layer cancel",
    Rounding.LEARNED: "whether each is rounded up or down was learnt from examples",
}
_READ_OFF = {
    Calibration.MINMAX: "",
    Calibration.MOVING_AVERAGE: " (a moving average of the extremes)",
    Calibration.PERCENTILE: " (without the outermost values)",
    Calibration.ENTROPY: " (where least information is lost)",
    Calibration.MSE: " (where the squared error is least)",
}


def _quantize(step: Quantize) -> str:
    parts = [_WEIGHTS[step.precision]]
    usual = Quantize(precision=step.precision)
    if step.rounding is not None and step.rounding != usual.rounding:
        parts[0] += f", {_ROUNDING[step.rounding]}"
    if step.precision is not Precision.FP16:
        parts.append(_results_between(step))
    extras = [
        "each layer has one scale instead of one per channel" if not step.per_channel else "",
        "the mean error of each channel was taken out of its bias" if step.bias_correction else "",
        "ranges were evened out between neighbouring layers" if step.equalize else "",
        "ranges moved from activations into weights" if step.smooth else "",
    ]
    return "; ".join([*parts, *filter(None, extras)]) + "."


def _results_between(step: Quantize) -> str:
    """What became of the results between the layers."""
    match step.activations:
        case Activations.FLOAT:
            return "computing is as before, in floating point"
        case Activations.DYNAMIC:
            return "results in between become whole numbers whose range is found anew in every run"
        case _:
            sign = " with a sign" if step.activations is Activations.INT8 else ""
            return (
                f"results in between became whole numbers of 1 byte{sign}, their ranges read off "
                f"{step.calibration_examples} training examples{_READ_OFF[step.calibration]}"
            )


def _mixed(step: MixedPrecision) -> str:
    if not step.layers:
        return "No layer has another precision."
    groups: dict[Precision, list[str]] = {}
    for name, precision in step.layers:
        groups.setdefault(precision, []).append(name)
    parts = [_named(names, precision) for precision, names in sorted(groups.items())]
    return "; ".join(parts) + "."


def _named(names: list[str], precision: Precision) -> str:
    told = ", ".join(names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    count = "1 layer" if len(names) == 1 else f"{len(names)} layers"
    kept = "stayed in" if precision is Precision.FP32 else "got"
    return f"{count} {kept} {precision.upper()}: {told}{more}"
