"""Pruning curves: every layer alone is pruned further and further, nothing is trained.

    for each group of layers that shrink together, for each number of channels kept:
        cut -> re-estimate batch norms -> accuracy and loss on *validation*

Accuracy moves in whole examples; the loss tells layers apart where accuracy cannot. A layer whose
curve stays flat is redundant.

Source: Li et al. 2017, "Pruning filters for efficient ConvNets", section 3.2, with the batch norms
re-estimated as by Li et al. 2020, "EagleEye".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from optim.analysis.layer_cost import (
    TIMED,
    Ends,
    LayerTimes,
    kernel_times,
    measure_ends,
    measure_layers,
    network_ms,
)
from optim.candidate import Candidate
from optim.compress.pruning.layer_shapes import (
    LayerShape,
    layer_shapes,
    network_macs,
    network_parameters,
)
from optim.errors import Refusal, RefusedError
from optim.pipeline.make import trained_network
from optim.progress import Progress, part
from optim.recipe import Criterion, Precision, QuantizeAware
from optim.store.names import from_stored, to_stored
from optim.task.task import Task
from optim.words import points, share

if TYPE_CHECKING:
    from optim.compress.pruning.cut_alone import CutScore
    from optim.compress.pruning.groups import ChannelGroup
    from optim.devices.target import Target
    from optim.store.results import Results


FEWEST_EXAMPLES, MOST_EXAMPLES = 64, 1024
CALIBRATION_EXAMPLES = 32
"""Ranges of the INT8 files that are timed; what they answer is not looked at."""
NORM_EXAMPLES = 256
"""From the calibration split: batch norms are re-estimated on so many."""
ANSWER_MACS = 4e12
"""Work that all answers of all cut networks may cost, batch norms included. Set by work and not by
time, so that every machine takes the same examples."""
REDUNDANT = 0.5
"""A layer of which so large a share is free is called redundant."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One layer cut so far, the rest whole.

    Attributes:
        kept: channels that stay in this layer.
        ratio: share that leaves, 0..1; it is what ``Prune.layers`` takes.
        score: on validation, 0..1.
        loss: mean cross-entropy on validation.
        parameters, macs: of the whole network.
        latency_ms: of the whole network, predicted from measured times of its single layers; None
            where they were not measured.
    """

    kept: int
    ratio: float
    score: float
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
        feeds: the layers that read these channels.
    """

    layer: str
    layers: tuple[str, ...]
    channels: int
    points: tuple[CurvePoint, ...]
    feeds: tuple[str, ...] = ()

    def free_ratio(self, drop: float) -> float:
        """Return the largest share to prune while accuracy falls by at most ``drop``, 0..1."""
        whole = self.points[0].score
        free = 0.0
        for point in self.points:
            if whole - point.score > drop:
                break
            free = point.ratio
        return free


@dataclass(frozen=True, kw_only=True)
class PruningCurves:
    """Every group's curve, in the order of the network.

    Attributes:
        score, loss: of the whole network on validation.
        n: validation examples.
        criterion: by which the channels were chosen.
        shapes: every layer of the network, for costs of several groups cut at once.
        times: of its layers at every width; empty where they were not measured.
        ends: the whole and the narrowest network by the clock, in FP32 and INT8.
    """

    curves: tuple[LayerCurve, ...]
    score: float
    loss: float
    n: int
    criterion: Criterion = Criterion.L2
    shapes: tuple[LayerShape, ...] = ()
    times: tuple[LayerTimes, ...] = ()
    ends: tuple[Ends, ...] = ()

    @property
    def latency_ms(self) -> float | None:
        """Latency of the whole network's file, measured in FP32; None where it was not."""
        return self.ends[0].whole_ms if self.ends else None

    def clock(self, precision: Precision = Precision.FP32) -> Ends:
        """Return what turns times of layers into latency.

        Raises:
            ValueError: if this precision was not timed.
        """
        for ends in self.ends:
            if ends.precision is precision:
                return ends
        raise ValueError(f"these curves hold no times in {precision}. Measure them again.")

    def redundant(self, drop: float) -> tuple[LayerCurve, ...]:
        """Return the layers of which half can be pruned alone for a fall of at most ``drop``.

        Returns:
            Those with the largest free share first.
        """
        found = [curve for curve in self.curves if curve.free_ratio(drop) >= REDUNDANT]
        return tuple(sorted(found, key=lambda curve: -curve.free_ratio(drop)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        values = to_stored(asdict(self))
        for curve in values["curves"]:
            curve["points"] = [to_stored(point) for point in curve["points"]]
        return values

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PruningCurves:
        """Return the inverse of ``to_dict``."""
        curves = tuple(
            LayerCurve(
                layer=curve["layer"],
                layers=tuple(curve["layers"]),
                channels=curve["channels"],
                points=tuple(CurvePoint(**from_stored(point)) for point in curve["points"]),
                feeds=tuple(curve.get("feeds", ())),
            )
            for curve in data["curves"]
        )
        return cls(
            curves=curves,
            score=data["accuracy"],
            loss=data["loss"],
            n=data["n"],
            criterion=Criterion(data["criterion"]),
            shapes=tuple(map(LayerShape.from_dict, data.get("shapes", ()))),
            times=tuple(map(LayerTimes.from_dict, data.get("times", ()))),
            ends=tuple(map(Ends.from_dict, data.get("ends", ()))),
        )


def redundancy_words(curves: PruningCurves, drop: float = 0.01) -> str:
    """Return which layers are redundant, in a sentence."""
    found = curves.redundant(drop)
    within = f"within {points(drop).removeprefix('+')}"
    if not found:
        return f"No layer can lose half of its channels {within}."
    named = [f"{curve.layer} ({share(curve.free_ratio(drop))})" for curve in found]
    last = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    return f"Redundant, because so much of each alone can be pruned {within}: {last}."


def measure_pruning_curves(
    results: Results, task: Task, candidate: Candidate, target: Target, *, progress: Progress
) -> PruningCurves:
    """Cut one group of layers at a time, and see what it does to the answers.

    Nothing is trained but the statistics of the batch norms. Examples are the first of a fixed
    shuffle of the validation split, fewer for heavy networks. Layers are timed at every width that
    the points name, on the target, in FP32 and INT8.

    Args:
        candidate: its float network is looked at; a quantized one through its parent.

    Raises:
        RefusedError: if no layer can lose channels, or the weights were trained for one precision.
    """
    from optim.compress.pruning.cut_alone import cut_alone, narrowest, widths
    from optim.compress.pruning.find_groups import channel_groups

    if candidate.recipe.step(QuantizeAware) is not None:
        raise RefusedError(
            Refusal(
                reason="this candidate was trained for the quantizers of one precision; "
                "its channels are pruned before that.",
                remedy="Look at the network as it was before that training.",
            )
        )
    prefix = candidate.recipe.training_prefix()
    network = trained_network(results, task, prefix).cpu().eval()
    progress(0.0, "finding the layers that shrink together")
    every = channel_groups(network, task.input_shape)
    groups = tuple(group for group in every if len(widths(group)) > 1)
    if not groups:
        raise RefusedError(_nothing_leaves(every))
    shapes = layer_shapes(network, every, task.input_shape)
    shares = {g.name: [kept / g.channels for kept in widths(g)] for g in groups}
    times = measure_layers(
        shapes,
        shares,
        stopwatch=partial(kernel_times, target),
        progress=part(progress, 0.0, 0.2),
    )
    progress(0.2, "timing the widest and the narrowest network")
    least = {name: kept[-1] for name, kept in shares.items()}
    calibration = task.split("calibration").inputs
    ends = measure_ends(
        network,
        narrowest(network, groups),
        target,
        sums={p: tuple(network_ms(shapes, times, k, p) for k in ({}, least)) for p in TIMED},
        calibration=calibration[:CALIBRATION_EXAMPLES],
    )
    split = task.split("validation").take(_examples(shapes, shares))
    found = cut_alone(
        network,
        groups,
        split,
        calibration[:NORM_EXAMPLES],
        progress=part(progress, 0.3, 1.0),
    )
    return _curves(found, groups, shapes, times, ends, n=len(split))


def answer_examples(macs: int, networks: int) -> int:
    """Return how many examples so many networks of so many MACs answer."""
    most = int(ANSWER_MACS // max(1, macs * networks)) - NORM_EXAMPLES
    return min(MOST_EXAMPLES, max(FEWEST_EXAMPLES, most))


def _examples(shapes: tuple[LayerShape, ...], shares: Mapping[str, list[float]]) -> int:
    networks = sum(len(kept) - 1 for kept in shares.values()) + 1
    return answer_examples(network_macs(shapes, {}), networks)


def _nothing_leaves(groups: tuple[ChannelGroup, ...]) -> Refusal:
    reasons = "; ".join(
        f"{group.name}: {group.unprunable_reason}" for group in groups if group.unprunable_reason
    )
    return Refusal(
        reason=f"no layer of this network can lose channels. {reasons}".strip(),
        remedy="Quantize it instead.",
    )


def _curves(
    found: Mapping[str, Sequence[CutScore]],
    groups: tuple[ChannelGroup, ...],
    shapes: tuple[LayerShape, ...],
    times: tuple[LayerTimes, ...],
    ends: tuple[Ends, ...],
    *,
    n: int,
) -> PruningCurves:
    whole = found[groups[0].name][0]
    clock = ends[0]

    def point(group: ChannelGroup, score: CutScore) -> CurvePoint:
        kept = score.kept
        cut = {group.name: kept / group.channels}
        return CurvePoint(
            kept=kept,
            ratio=round(1 - kept / group.channels, 6),
            score=score.score,
            loss=score.loss,
            parameters=network_parameters(shapes, cut),
            macs=network_macs(shapes, cut),
            latency_ms=clock.whole_ms * clock.share(network_ms(shapes, times, cut)),
        )

    return PruningCurves(
        curves=tuple(
            LayerCurve(
                layer=group.name,
                layers=group.layers,
                channels=group.channels,
                points=tuple(point(group, score) for score in found[group.name]),
                feeds=tuple(s.layer for s in shapes if group.name in dict(s.reads)),
            )
            for group in groups
        ),
        score=whole.score,
        loss=whole.loss,
        n=n,
        shapes=shapes,
        times=times,
        ends=ends,
    )
