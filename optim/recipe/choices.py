"""The closed lists of words that a step's fields are chosen from."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar


class Precision(StrEnum):
    """How numbers are stored in the file."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT4 = "int4"


class Activations(StrEnum):
    """In what the results between the layers are computed."""

    UINT8 = "uint8"
    """Whole numbers 0..255 with a zero point: what the kernels of x86 processors are made for."""
    INT8 = "int8"
    """Whole numbers -128..127 around zero: what some accelerators ask for."""
    DYNAMIC = "dynamic"
    """Whole numbers whose range is found anew in every run: no calibration examples needed."""
    FLOAT = "float"
    """As they are: only the weights become small."""


class Calibration(StrEnum):
    """How the range of an activation is read off the calibration examples."""

    MINMAX = "minmax"
    MOVING_AVERAGE = "moving_average"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"


class Rounding(StrEnum):
    """To which of its two neighbouring levels a weight goes."""

    NEAREST = "nearest"
    COMPENSATED = "compensated"
    """Errors of a layer cancel on real inputs (GPTQ, Frantar et al. 2023)."""
    LEARNED = "learned"
    """Up or down is learnt layer by layer on calibration examples (AdaRound, Nagel et al. 2020)."""


class Activation(StrEnum):
    """An activation function that a network may be given."""

    RELU = "relu"
    RELU6 = "relu6"


C = TypeVar("C", Precision, Activations, Calibration, Rounding, Activation)


def parse_choice(kind: type[C], value: object, name: str) -> C:
    """Read a choice, in either case.

    Raises:
        ValueError: with the choices.
    """
    try:
        return kind(str(value).lower())
    except ValueError:
        raise ValueError(
            f"{name} must be one of {', '.join(kind)}; got {str(value)!r:.60}."
        ) from None


def parse_precision(text: object) -> Precision:
    """Read a precision, in either case.

    Raises:
        ValueError: with the choices.
    """
    return parse_choice(Precision, text, "precision")
