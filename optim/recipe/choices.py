"""The closed lists of words that a step's fields are chosen from."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """Number format of the weights in the file."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT4 = "int4"

    @property
    def bits(self) -> int:
        """Bits of one number in the file."""
        return int(self.removeprefix("fp").removeprefix("int"))


INTEGER_PRECISIONS = (Precision.INT8, Precision.INT4)
"""Those whose weights are integers."""


class Activations(StrEnum):
    """Number format of the results between the layers."""

    UINT8 = "uint8"
    """Integers 0..255 with a zero point: what the kernels of x86 processors are made for."""
    INT8 = "int8"
    """Integers -128..127 around zero: what some accelerators ask for."""
    DYNAMIC = "dynamic"
    """Integers whose range is found anew in every run: no calibration examples needed."""
    FLOAT = "float"
    """As they are: only the weights become small."""


class Calibration(StrEnum):
    """Way to read the range of an activation off the calibration examples."""

    MINMAX = "minmax"
    MOVING_AVERAGE = "moving_average"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"


class Rounding(StrEnum):
    """To which of its two neighbouring levels a weight goes."""

    NEAREST = "nearest"
    GPTQ = "gptq"
    """Errors of a layer cancel on real inputs (Frantar et al. 2023)."""
    ADAROUND = "adaround"
    """Up or down is learnt layer by layer on calibration examples (Nagel et al. 2020)."""


class Activation(StrEnum):
    """An activation function that a network may be given."""

    RELU = "relu"
    RELU6 = "relu6"


class Architecture(StrEnum):
    """A family that a network can be built of."""

    RESNET = "resnet"
    SMALL_RESNET = "small_resnet"
    """Without the first stage, the one at full resolution."""
    MOBILENETV2 = "mobilenetv2"
    EFFICIENTNET_LITE0 = "efficientnet_lite0"
    SQUEEZENET = "squeezenet"
    MOTION_CNN = "motion_cnn"


class Criterion(StrEnum):
    """Importance of a channel; the least important are pruned first."""

    L1 = "l1"
    """Sum of the magnitudes of its weights (Li et al. 2017)."""
    L2 = "l2"
    """Root of the sum of their squares."""
    BN_SCALE = "bn_scale"
    """Magnitude of the batch norm's factor (Liu et al. 2017, "Network slimming")."""
    TAYLOR = "taylor"
    """Weight times gradient: the loss that its removal causes to first order (Molchanov 2019)."""
    FPGM = "fpgm"
    """Distance to the other channels: redundant ones are pruned (He et al. 2019)."""
    LAMP = "lamp"
    """Magnitude against what is left in the layer: comparable across layers (Lee et al. 2021)."""
    RANDOM = "random"
    """By chance: the control that every other criterion must beat."""


class PruningUnit(StrEnum):
    """Unit of a pruning ratio."""

    CHANNELS = "channels"
    PARAMETERS = "parameters"
    MACS = "macs"


class Scope(StrEnum):
    """Scope in which the least important is looked for."""

    UNIFORM = "uniform"
    """The same share of every layer is pruned."""
    GLOBAL = "global"
    """The least important of the whole network are pruned, so that layers lose different shares."""


class Pattern(StrEnum):
    """Pattern of the zeros in a sparse matrix."""

    UNSTRUCTURED = "unstructured"
    TWO_OF_FOUR = "2:4"
    """Of four neighbours along the input at most two are not zero (Mishra et al. 2021)."""
    FOUR_OF_EIGHT = "4:8"


class SparsifyMethod(StrEnum):
    """Method that chooses weights and makes them zero."""

    MAGNITUDE = "magnitude"
    """The smallest at once."""
    GRADUAL = "gradual"
    """The smallest, more of them step by step while training (Zhu and Gupta 2017)."""
    SPARSEGPT = "sparsegpt"
    """Those that the outputs miss least; the others take over their work, layer by layer, on
    calibration examples and without training (Frantar and Alistarh 2023)."""


class DistillationLoss(StrEnum):
    """Part of the teacher that a student imitates."""

    SOFT = "soft"
    """Its softened answers (Hinton et al. 2015)."""
    DECOUPLED = "decoupled"
    """The right class and the others apart (Zhao et al. 2022)."""
    HINTS = "hints"
    """Its softened answers, and features inside it (Romero et al. 2015, "FitNets")."""


def parse_precision(text: object) -> Precision:
    """Read a precision, in either case.

    Raises:
        ValueError: with the choices.
    """
    try:
        return Precision(str(text).lower())
    except ValueError:
        raise ValueError(
            f"precision must be one of {', '.join(Precision)}; got {str(text)!r:.60}."
        ) from None
