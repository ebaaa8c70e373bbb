"""The steps that the options of `run` mean together, and what is wrong if they mean none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optim.cli.step_options import Given
from optim.recipe import (
    INTEGER_PRECISIONS,
    Distill,
    Fuse,
    Pattern,
    Precision,
    Prune,
    Quantize,
    QuantizeAware,
    Replace,
    Sparsify,
    SparsifyMethod,
    Step,
)
from optim.recipe.edit import suiting
from optim.recipe.fields import FIELDS
from optim.recipe.presets import PRESET_WORDS, PRESETS
from optim.task.task import Task

PRESET_OPTIONS = {name.replace(" ", "-"): name for name in PRESETS}
_NOT_ASKED_FOR = {
    "replace": "is about a student. Add --student FAMILY.",
    "prune": "says how to prune, and nothing is pruned. Add --prune 0.5, --layer-ratio or "
    "--blocks.",
    "distill": "says how to learn from a teacher. Add --distill-epochs 5.",
    "sparsify": "says how weights become zero; add --sparsity 0.5 or --pattern 2:4.",
    "quantize_aware": "is about quantization-aware training and needs --qat-epochs. Add "
    "--qat-epochs 1.",
    "quantize": "says how to quantize, and FP32 is not quantized. Add --quantize int8 or int4.",
}
"""What is said of an option that stands there without its step."""
_NOTHING = (0, Precision.FP32)
"""Values that ask for no step, such as ``--prune 0``."""


def preset_help() -> str:
    """Return the presets, each in a sentence."""
    told = " ".join(f"{slug}: {PRESET_WORDS[name]}" for slug, name in PRESET_OPTIONS.items())
    return f"A whole quantization instead of --quantize and its options. {told}"


def asked_steps(task: Task, given: Given, *, preset: str | None, fuse: bool) -> tuple[Step, ...]:
    """Return the steps that the options mean; open fields of pruning are the task's best.

    Args:
        given: what the options say of each step's fields.
        preset: the name of a whole quantization.
        fuse: fold layers in the file.

    Raises:
        ValueError: if options contradict each other, one is about a step that nothing asks for, or
            a value is out of range.
    """
    quantize = _quantize(given["quantize"], preset)
    steps: tuple[Step | None, ...] = (
        Replace(**given["replace"]) if _asked_for("replace", given) else None,
        _prune(task, given["prune"]) if _asked_for("prune", given) else None,
        Distill(**given["distill"]) if _asked_for("distill", given) else None,
        _sparsify(task, given["sparsify"]) if _asked_for("sparsify", given) else None,
        _quantize_aware(given, quantize),
        Fuse() if fuse else None,
        quantize,
    )
    return tuple(step for step in steps if step is not None)


def _asked_for(kind: str, given: Given) -> bool:
    """True if an option asks for the step.

    Raises:
        ValueError: if one speaks of it, and none asks for it.
    """
    said = [
        (option, given[kind][each.name], each.defines)
        for each in FIELDS[kind]
        if (option := each.option) is not None and each.name in given[kind]
    ]
    speaking = [
        (option, value) for option, value, defines in said if not (defines and value in _NOTHING)
    ]
    if any(option.asks and value != Pattern.UNSTRUCTURED for option, value in speaking):
        return True
    for option, _ in speaking:
        if not option.alone:
            raise ValueError(f"--{option.name} {_NOT_ASKED_FOR[kind]}")
    return False


def _prune(task: Task, own: Mapping[str, Any]) -> Prune:
    said = {"ratio": 0.0, **own}
    defining = {each.name for each in FIELDS["prune"] if each.defines}
    defined = Prune(**{name: value for name, value in said.items() if name in defining})
    return Prune(**{**suiting(defined, task.pruning), **said})


def _sparsify(task: Task, own: Mapping[str, Any]) -> Sparsify:
    method = SparsifyMethod(own.get("method", SparsifyMethod.MAGNITUDE))
    return Sparsify(**{"epochs": task.epochs_with_zeros(method), **own})


def _quantize(own: Mapping[str, Any], preset: str | None) -> Quantize | None:
    whole = {**own, "precision": own.get("precision", Precision.FP32)}
    if preset is not None:
        if len(whole) > 1 or whole["precision"] != Precision.FP32:
            raise ValueError(
                "--preset chooses the precision and every option of it, so neither --quantize "
                "nor another option of quantization may stand beside it. Leave it or them out."
            )
        return PRESETS[PRESET_OPTIONS[preset]]
    return Quantize(**own) if _asked_for("quantize", {"quantize": dict(own)}) else None


def _quantize_aware(given: Given, quantize: Quantize | None) -> QuantizeAware | None:
    """Return the training for as many bits as the file will have."""
    if not _asked_for("quantize_aware", given):
        return None
    if quantize is None or quantize.precision not in INTEGER_PRECISIONS:
        got = Precision.FP32 if quantize is None else quantize.precision
        raise ValueError(
            "--qat-epochs trains for integer weights and needs --quantize int4 or int8; got "
            f"--quantize {got}."
        )
    return QuantizeAware(weight_bits=quantize.precision.bits, **given["quantize_aware"])
