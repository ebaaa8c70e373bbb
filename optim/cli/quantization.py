"""The options of `run` that say how to quantize, and the step that they mean together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from optim.recipe import Activations, Calibration, Precision, Quantize, Rounding, parse_precision
from optim.recipe.presets import PRESET_WORDS, PRESETS

NAMES = {name.replace(" ", "-"): name for name in PRESETS}


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """What the command line says of quantization beside ``--quantize``; None is left out."""

    preset: str | None
    activations: str | None
    calibration: str | None
    calibration_examples: int | None
    rounding: str | None
    per_tensor: bool
    bias_correction: bool
    equalize: bool
    smooth: float | None

    def step(self, precision: str) -> Quantize | None:
        """The step that it means for a file of this precision; None for FP32.

        Raises:
            ValueError: if options contradict each other, or a value is out of range.
        """
        given = {name: value for name, value in self._values().items() if value}
        if self.preset is not None:
            if len(given) > 1 or parse_precision(precision) is not Precision.FP32:
                raise ValueError(
                    "--preset chooses the precision and every option of it, so neither --quantize "
                    "nor another option of quantization may stand beside it. Leave it or them out."
                )
            return PRESETS[NAMES[self.preset]]
        if parse_precision(precision) is Precision.FP32:
            if given:
                option = next(iter(given)).replace("_", "-")
                raise ValueError(
                    f"--{option} says how to quantize, and FP32 is not quantized. Add --quantize "
                    "int8 or int4."
                )
            return None
        per_channel = not given.pop("per_tensor", False)
        return Quantize(precision=parse_precision(precision), per_channel=per_channel, **given)

    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


QUANTIZATION_OPTIONS = tuple(field.name for field in fields(Quantization))


def quantization_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; the command gets them together, as ``quantization``."""

    @functools.wraps(command)
    def gathering(*args: Any, **values: Any) -> None:
        chosen = {name: values.pop(name) for name in QUANTIZATION_OPTIONS}
        command(*args, quantization=Quantization(**chosen), **values)

    options = (
        click.option("--preset", type=click.Choice(list(NAMES)), help=_preset_help()),
        click.option(
            "--activations",
            type=_choice(Activations),
            help="In what results between layers are computed. Default: uint8; float for fp16.",
        ),
        click.option(
            "--calibration",
            type=_choice(Calibration),
            help="How activation ranges are read off examples. Default: minmax.",
        ),
        click.option(
            "--calibration-examples", type=int, metavar="N", help="8 to 512. Default: 512."
        ),
        click.option(
            "--rounding",
            type=_choice(Rounding),
            help="To which level a weight goes. Default: nearest; compensated for int4.",
        ),
        click.option(
            "--per-tensor", is_flag=True, help="One weight scale instead of one per channel."
        ),
        click.option(
            "--bias-correction",
            is_flag=True,
            help="Take each channel's mean error out of the bias.",
        ),
        click.option(
            "--equalize", is_flag=True, help="Even out the ranges of channels between layers."
        ),
        click.option(
            "--smooth",
            type=float,
            metavar="SHARE",
            help="Move this share of the activations' range into matrix products, 0 to 1.",
        ),
    )
    for option in reversed(options):
        gathering = option(gathering)
    return gathering


def _choice(kind: type[Activations] | type[Calibration] | type[Rounding]) -> click.Choice[str]:
    return click.Choice([str(item) for item in kind], case_sensitive=False)


def _preset_help() -> str:
    told = " ".join(f"{slug}: {PRESET_WORDS[name]}" for slug, name in NAMES.items())
    return f"A whole quantization instead of --quantize and its options. {told}"
