"""Each step in a few words for people."""

from __future__ import annotations

from typing import assert_never

from optim.recipe.choices import (
    Pattern,
    Precision,
    PruningUnit,
)
from optim.recipe.fields import ACTIVATION_KINDS
from optim.recipe.graph_steps import Fuse, MixedPrecision, Quantize
from optim.recipe.steps import Step, unusual_values
from optim.recipe.training_steps import (
    Distill,
    Prune,
    QuantizeAware,
    Replace,
    ReplaceActivation,
    Sparsify,
)


def step_words(step: Step) -> str:
    """Return one step in a few words."""
    match step:
        case Replace():
            return _student_words(step)
        case ReplaceActivation():
            name = ACTIVATION_KINDS.name(step.activation)
            return f"activations to {name}{_training_words(step)}"
        case Prune():
            return _prune_words(step) + _training_words(step)
        case Distill():
            return _distill_words(step)
        case Sparsify():
            return _sparsify_words(step) + _training_words(step)
        case QuantizeAware():
            words = [f"trained for {step.precision.bits}-bit weights", *_short(step)]
            return " ".join(words) + _training_words(step)
        case Fuse():
            return "fuse"
        case Quantize():
            return _quantize_words(step)
        case MixedPrecision():
            return _mixed_words(step)
        case _:
            assert_never(step)


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
    return " ".join(["prune", told, *_short(step)])


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
    epochs = f"{step.epochs:g} epoch{'s' if step.epochs != 1 else ''}"
    return f"{words} ({', '.join([*_short(step), epochs])})"


def _sparsify_words(step: Sparsify) -> str:
    if step.pattern is Pattern.UNSTRUCTURED:
        words = f"{_percent(step.sparsity)} of weights zero"
    else:
        words = f"weights zero in {step.pattern}"
    return " ".join([words, *_short(step)])


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _training_words(step: ReplaceActivation | Prune | Sparsify | QuantizeAware) -> str:
    words = "" if step.epochs == 1.0 else f" ({step.epochs:g} epochs)"
    return words if step.distill else words + " (labels only)"


def _quantize_words(step: Quantize) -> str:
    told = ", ".join(_short(step))
    return step.precision.upper() + (f" ({told})" if told else "")


def _short(step: Step) -> list[str]:
    """Return what is unusual in a step, each in a word or two."""
    return [words for each, value in unusual_values(step) if (words := each.short_words(value))]


def _mixed_words(step: MixedPrecision) -> str:
    counts: dict[Precision, int] = {}
    for _, precision in step.layers:
        counts[precision] = counts.get(precision, 0) + 1
    parts = [
        f"{count} layer{'s' if count > 1 else ''} in {precision.upper()}"
        for precision, count in sorted(counts.items())
    ]
    return " and ".join(parts) or "no layer of another precision"
