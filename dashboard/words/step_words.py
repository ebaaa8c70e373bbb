"""Each step of a recipe in a sentence for a non-expert. Pure functions; nothing is drawn here."""

from __future__ import annotations

from typing import assert_never

from dashboard.words import words
from optim.recipe import (
    Activations,
    Criterion,
    Distill,
    DistillationLoss,
    Fuse,
    MixedPrecision,
    Pattern,
    Precision,
    Prune,
    PruningUnit,
    Quantize,
    QuantizeAware,
    Replace,
    ReplaceActivation,
    Scope,
    Sparsify,
    SparsifyMethod,
    Step,
)
from optim.recipe.fields import ACTIVATION_KINDS, FAMILIES
from optim.recipe.steps import fields_of, unusual_values

MOST_NAMED = 4
"""So many layers are called by their name; the rest are counted."""


def sentence(step: Step) -> str:
    """Return what this step has done to the network."""
    return f"{_done(step).removesuffix('.')}{_told(step)}."


def _done(step: Step) -> str:
    match step:
        case Replace():
            return _student(step)
        case ReplaceActivation():
            return (
                "The activations that engines have no integer kernel for (HardSwish, SiLU, GELU) "
                f"became {ACTIVATION_KINDS.name(step.activation)}; {_trained('the network', step)}."
            )
        case Prune():
            return _prune(step)
        case Distill():
            return _distill(step)
        case Sparsify():
            return _sparsify(step)
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


def _student(step: Replace) -> str:
    size = "" if step.width == 1 else f", {words.percent(step.width)} as wide as usual"
    if step.stride > 1:
        size += ", which sees the input at half the resolution"
    student = (
        f"Another network, a {FAMILIES.name(step.architecture)}{size}, took the original's place"
    )
    if step.epochs == 0:
        return f"{student}; it is trained by the next step."
    if not step.distill:
        return (
            f"{student} and was trained from scratch on labels alone for {_epochs(step.epochs)}. "
            "It is the control that a compressed network must beat."
        )
    return (
        f"{student} and was trained from scratch for {_epochs(step.epochs)} with the original as "
        "teacher. It keeps nothing of the original but its answers."
    )


def _trained(what: str, step: ReplaceActivation | Prune | Sparsify) -> str:
    """Return the training after a step, as the end of a sentence."""
    if step.epochs == 0:
        return "nothing was trained afterwards"
    teacher = " with the original as teacher" if step.distill else ""
    return f"{what} was fine-tuned for {_epochs(step.epochs)}{teacher}"


def _epochs(number: float) -> str:
    return "1 epoch" if number == 1 else f"{number:g} epochs"


def _prune(step: Prune) -> str:
    share = words.percent(step.ratio)
    blocks = "1 block" if step.blocks == 1 else f"{step.blocks} blocks"
    single = "1 layer" if len(step.layers) == 1 else f"{len(step.layers)} layers"
    if not step.keep_weights:
        less = [
            f"{share} fewer {UNITS[step.unit]}" if step.ratio else "",
            f"{single} narrower by a share of their own" if step.layers else "",
            f"{blocks} fewer" if step.blocks else "",
        ]
        return (
            f"A network with {' and '.join(filter(None, less))} was trained from scratch for "
            f"{_epochs(step.epochs)}. It is the control that a pruned network must beat."
        )
    depth = f"{blocks} that change{'s' if step.blocks == 1 else ''} least gave way to the shortcut"
    parts = [
        depth if step.blocks else "",
        _channels(step) if step.ratio else "",
        f"{single} lost channels by a share of their own" if step.layers else "",
    ]
    cut = " and ".join(filter(None, parts))
    after = _trained("the rest", step)
    if step.rounds > 1:
        after = f"that was done in {step.rounds} rounds, and {after}, spread over them"
    return f"{cut[0].upper()}{cut[1:]}; {after}."


UNITS = {
    PruningUnit.CHANNELS: "channels",
    PruningUnit.PARAMETERS: "parameters",
    PruningUnit.MACS: "multiply-accumulates",
}
UNIT_NAMES = {**UNITS, PruningUnit.MACS: "MACs"}
_LEAST = {
    Criterion.L1: "have the smallest weights",
    Criterion.L2: "matter least",
    Criterion.BN_SCALE: "the batch norms scale down most",
    Criterion.TAYLOR: "the loss would miss least",
    Criterion.FPGM: "others can best replace",
    Criterion.LAMP: "weigh least against the rest of their layer",
    Criterion.RANDOM: "chance picked",
}
"""Which channels are pruned: ends "the channels that ..."."""


def _channels(step: Prune) -> str:
    """Return what was pruned, as the start of a sentence."""
    share = words.percent(step.ratio)
    which = f"that {_LEAST[step.criterion]}"
    where = ", sought in the whole network," if step.scope is Scope.GLOBAL else ""
    if step.unit is PruningUnit.CHANNELS:
        return f"the {share} of channels {which}{where} were removed"
    return (
        f"the channels {which}{where} were removed until {share} of the {UNITS[step.unit]} "
        "were gone"
    )


_IMITATED = {
    DistillationLoss.SOFT: "",
    DistillationLoss.DECOUPLED: ", the right class and the others apart",
    DistillationLoss.HINTS: " and its features",
}


def _distill(step: Distill) -> str:
    if not step.distill:
        return f"The network was trained for {_epochs(step.epochs)} without a teacher."
    teacher = words.networks(step.teacher) or "the original"
    from_whom = f"{teacher} together" if len(step.teacher) > 1 else teacher
    return (
        f"For {_epochs(step.epochs)} the network learned from the answers of "
        f"{from_whom}{_IMITATED[step.loss]}."
    )


_ZEROED = {
    SparsifyMethod.MAGNITUDE: "the smallest at once",
    SparsifyMethod.GRADUAL: "the smallest, more and more of them while training",
    SparsifyMethod.SPARSEGPT: "those that the outputs miss least, whose work the others took over",
}


def _sparsify(step: Sparsify) -> str:
    share = words.percent(step.sparsity)
    if step.pattern is not Pattern.UNSTRUCTURED:
        kept, of = step.pattern.split(":")
        share = f"{int(of) - int(kept)} of {of} neighbouring"
    where = ", sought in the whole network" if step.scope is Scope.GLOBAL else ""
    weights = "of the weights" if step.pattern is Pattern.UNSTRUCTURED else "weights"
    after = _trained("the rest", step)
    return f"{share} {weights} became zero: {_ZEROED[step.method]}{where}; {after}."


def _quantize_aware(step: QuantizeAware) -> str:
    teacher = ", with the original as teacher" if step.distill else ""
    return (
        f"For {_epochs(step.epochs)} the network was trained with the rounding that its file has, "
        f"{step.precision.bits}-bit weights and 8-bit results in between{teacher}."
    )


_WEIGHTS = {
    Precision.FP32: "The precision is as before",
    Precision.FP16: "Each weight is stored in 2 bytes instead of 4",
    Precision.INT8: "Each weight became an integer of 1 byte",
    Precision.INT4: "Each weight became an integer of half a byte",
}


def _quantize(step: Quantize) -> str:
    parts = [_WEIGHTS[step.precision]]
    if step.precision is not Precision.FP16:
        parts.append(_results_between(step))
    return "; ".join(parts) + "."


def _told(step: Step) -> str:
    """Return what is unusual in a step's fields, as the end of its sentence."""
    unusual = {each.name for each, _ in unusual_values(step)}
    told = (
        each.told_words(getattr(step, each.name))
        for each in fields_of(step)
        if each.name in unusual or (each.always_told and each.has_effect(step))
    )
    return "".join(f"; {words}" for words in told if words)


def _results_between(step: Quantize) -> str:
    """Return how the results between the layers are stored."""
    match step.activations:
        case Activations.FLOAT:
            return "computing is as before, in floating point"
        case Activations.DYNAMIC:
            return "results in between become integers whose range is found anew in every run"
        case Activations.UINT8 | Activations.INT8 | None:
            sign = " with a sign" if step.activations is Activations.INT8 else ""
            return f"results in between became integers of 1 byte{sign}"


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
