"""What does each channel cost? Every layer alone is pruned further and further, nothing is trained.

    for each group of layers that shrink together, for each number of channels kept:
        cut -> re-estimate batch norms -> accuracy and loss on *validation*

Accuracy moves in whole examples; the loss tells layers apart where accuracy cannot. A layer whose
curve stays flat is redundant.

Source: Li et al. 2017, "Pruning filters for efficient ConvNets", section 3.2, with the batch norms
re-estimated as by Li et al. 2020, "EagleEye".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from optim.candidate import Candidate
from optim.recipe import Criterion
from optim.task import Task

if TYPE_CHECKING:
    from optim.store.results import Results

Progress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One layer cut so far, the rest whole.

    Attributes:
        kept: channels that stay in this layer.
        ratio: share that leaves, 0..1; it is what ``Prune.layers`` takes.
        accuracy: on validation, 0..1.
        loss: mean cross-entropy on validation.
        parameters, macs: of the whole network.
        latency_ms: of the whole network, predicted from measured times of its single layers; None
            where they were not measured.
    """

    kept: int
    ratio: float
    accuracy: float
    loss: float
    parameters: int
    macs: int
    latency_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class LayerCurve:
    """One group of layers that lose the same channels.

    Attributes:
        layer: the group's first layer, by its name in the torch network: the key of
            ``Prune.layers``.
        layers: every layer whose outputs shrink with it, that one included.
        channels: of the whole layer.
        points: from whole (ratio 0) to one block of channels.
    """

    layer: str
    layers: tuple[str, ...]
    channels: int
    points: tuple[CurvePoint, ...]

    def free_ratio(self, drop: float) -> float:
        """The largest share that can leave while accuracy falls by at most ``drop``, 0..1."""
        whole = self.points[0].accuracy
        free = 0.0
        for point in self.points:
            if whole - point.accuracy > drop:
                break
            free = point.ratio
        return free


@dataclass(frozen=True, kw_only=True)
class PruningCurves:
    """Every group's curve, in the order of the network.

    Attributes:
        accuracy, loss: of the whole network on validation.
        n: validation examples.
        criterion: by which the channels were chosen.
    """

    curves: tuple[LayerCurve, ...]
    accuracy: float
    loss: float
    n: int
    criterion: Criterion = Criterion.L2

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PruningCurves:
        """The inverse of ``to_dict``."""
        curves = tuple(
            LayerCurve(
                layer=curve["layer"],
                layers=tuple(curve["layers"]),
                channels=curve["channels"],
                points=tuple(CurvePoint(**point) for point in curve["points"]),
            )
            for curve in data["curves"]
        )
        return cls(**{**data, "curves": curves, "criterion": Criterion(data["criterion"])})


def measure_pruning_curves(
    results: Results, task: Task, candidate: Candidate, *, progress: Progress
) -> PruningCurves:
    """Cut one group of layers at a time, and see what it does to the answers.

    Args:
        candidate: its float network is looked at; a quantized one through its parent.

    Raises:
        RefusedError: if no layer can lose channels.
    """
    raise NotImplementedError
