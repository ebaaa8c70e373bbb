"""Channel plan: channels per layer under a budget of MACs, parameters or measured latency.

    minimise  sum_g loss[g, k(g)]    subject to    sum_l cost_l(inputs, outputs) <= budget

over the choices k(g) of every group g of layers that shrink together. A loss is the rise of the
cross-entropy with that group alone cut; the sum of them is the prediction for all. It ranks plans,
but is too kind: cuts weaken each other (on the sample ResNet at half of the latency the loss rose
2.1 times as much as the sum, at a fifth of it 3.7 times). Untrained, plans had a lower loss than
uniform ratios of the same latency everywhere, and no better accuracy (docs/pruning.md).

The costs do not add up over the groups: a layer gets cheaper both when its own channels leave and
when those of the layer before it do, and what one saves depends on the other. But each layer meets
few groups, and ``optim.search.coupled_choice`` finds the best plan under such costs exactly, for
all budgets at once. A greedy choice by loss per saved cost (NetAdapt, Yang et al. 2018) gets stuck
where two neighbours must both shrink before either pays, as on a staircase of latency they often
must; a knapsack (HALP, Shen et al. 2022) takes the costs as independent.

A layer that joins many groups, as in a DenseNet, would need a number for each combination: there
the cost is taken as independent all the same. So each plan is checked with the costs as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from math import prod

import numpy as np

from optim.analysis.layer_cost import network_ms
from optim.analysis.pruning_curves import LayerCurve, PruningCurves
from optim.compress.pruning.layer_shapes import LayerShape, network_macs, network_parameters
from optim.errors import Refusal, RefusedError
from optim.recipe import Precision
from optim.search.coupled_choice import Picks, best_choices

MOST_CELLS = 2000
"""Of a table of one layer's costs; where more groups meet, they are taken as independent."""
SLACK = 1e-9


class Budget(StrEnum):
    """Quantity that is limited."""

    MACS = "macs"
    PARAMETERS = "parameters"
    LATENCY = "latency"


@dataclass(frozen=True, kw_only=True)
class ChannelPlan:
    """Ratios per layer, with what they will probably give before any training.

    Attributes:
        layers: pairs for ``Prune.layers``; layers that stay whole are left out.
        loss_rise: predicted: the sum of the single layers'.
        score: predicted: that of the whole network less the sum of the single layers' drops.
        macs, parameters, latency: what stays of the whole network, 0..1; no latency where layers
            were not timed.
        latency_ms: predicted, in FP32; None where layers were not timed.
    """

    layers: tuple[tuple[str, float], ...]
    loss_rise: float
    score: float
    macs: float
    parameters: float
    latency: float | None
    latency_ms: float | None


def plan_channels(
    curves: PruningCurves,
    *,
    budget: float,
    of: str = "macs",
    precision: Precision = Precision.FP32,
) -> tuple[tuple[str, float], ...]:
    """Choose a ratio per layer: the least predicted loss within the budget.

    Args:
        curves: measured, of the network as it is.
        budget: share of the whole network's MACs, parameters or latency that may stay, 0..1.
        of: ``macs``, ``parameters`` or ``latency``.
        precision: in which latency counts, both of the pruned network and of the whole one.

    Returns:
        Pairs for ``Prune.layers``; layers that stay whole are left out.

    Raises:
        RefusedError: if nothing reaches the budget, with what can be reached.
        ValueError: if latencies are not measured, or the budget is out of range.
    """
    return channel_plan(curves, budget=budget, of=of, precision=precision).layers


def channel_plan(
    curves: PruningCurves,
    *,
    budget: float,
    of: str = "macs",
    precision: Precision = Precision.FP32,
) -> ChannelPlan:
    """Return ``plan_channels`` with what is predicted of the plan."""
    if of not in tuple(Budget):
        raise ValueError(f"of must be one of {', '.join(Budget)}; got {of!r}.")
    if not 0 < budget <= 1:
        raise ValueError(f"budget must be above 0 and at most 1, got {budget!r}. Try 0.5.")
    cost = _Cost(curves, Budget(of), precision)
    least = {curve.layer: len(curve.points) - 1 for curve in curves.curves}
    if cost.share(least) > budget:
        raise RefusedError(_unreachable(budget, of, cost.share(least)))
    front = best_choices(
        {curve.layer: loss_rises(curve) for curve in curves.curves}, _tables(curves, cost)
    )
    for place in range(len(front.costs) - 1, -1, -1):
        picks = front.picks_at(place)
        if front.costs[place] <= budget + SLACK and cost.share(picks) <= budget:
            return _plan(curves, picks, precision)
    return _plan(curves, least, precision)


def plan_of(
    curves: PruningCurves,
    layers: Mapping[str, float],
    *,
    precision: Precision = Precision.FP32,
) -> ChannelPlan:
    """Predict the effect of chosen ratios; each counts as its nearest measured one.

    Args:
        layers: by the name of a layer, the share of its channels that leaves; others stay whole.
        precision: in which latency counts.

    Raises:
        ValueError: if the curves do not hold the shapes of the layers.
    """
    picks = {
        curve.layer: min(
            range(len(curve.points)),
            key=lambda place: abs(curve.points[place].ratio - layers.get(curve.layer, 0.0)),
        )
        for curve in curves.curves
    }
    return _plan(curves, picks, precision)


class _Cost:
    """Costs of a network as shares of the whole one's: what is always paid, and that of layers."""

    def __init__(self, curves: PruningCurves, budget: Budget, precision: Precision) -> None:
        if not curves.shapes or (budget is Budget.LATENCY and not curves.ends):
            what = "times of its layers" if curves.shapes else "shapes of its layers"
            raise ValueError(
                f"a budget of {budget} needs the {what}, which these curves do not hold. Measure "
                "them again."
            )
        self.curves, self.budget, self.precision = curves, budget, precision
        self.points = {curve.layer: curve for curve in curves.curves}
        self.slope, self.whole = 1.0, self._sum(curves.shapes, {})
        if budget is Budget.LATENCY:
            self.slope = curves.clock(precision).slope

    def share(self, picks: Picks) -> float:
        """Of the whole network."""
        return self.always + self._sum(self.curves.shapes, picks) * self.slope / self.whole

    @property
    def always(self) -> float:
        """Cost whatever the layers cost."""
        return 1 - self.slope

    def of_layer(self, shape: LayerShape, picks: Picks) -> float:
        """Return the cost of one layer, as a share of the whole network."""
        return self._sum((shape,), picks) * self.slope / self.whole

    def _sum(self, shapes: tuple[LayerShape, ...], picks: Picks) -> float:
        kept = shares(self.curves, picks)
        match self.budget:
            case Budget.MACS:
                return network_macs(shapes, kept)
            case Budget.PARAMETERS:
                return network_parameters(shapes, kept)
            case Budget.LATENCY:
                return network_ms(shapes, self.curves.times, kept, self.precision)


def shares(curves: PruningCurves, picks: Mapping[str, int]) -> dict[str, float]:
    """Return the share of its channels that each group keeps."""
    return {
        curve.layer: curve.points[picks[curve.layer]].kept / curve.channels
        for curve in curves.curves
        if curve.layer in picks
    }


def loss_rises(curve: LayerCurve) -> np.ndarray:
    """Return the rise of the loss at each point, (points,), never below that of a wider layer.

    What a narrower layer seems to win is chance, and a sum of many would be taken for gain.
    """
    losses = np.array([point.loss for point in curve.points])
    return np.maximum.accumulate(losses - losses[0])


def _tables(curves: PruningCurves, cost: _Cost) -> dict[tuple[str, ...], np.ndarray]:
    """Return the costs of all layers, as tables over the choices of the groups in them."""
    tables: dict[tuple[str, ...], np.ndarray] = {(): np.array(cost.always)}
    for shape in curves.shapes:
        met = [name for name, _ in (*shape.writes, *shape.reads) if name in cost.points]
        groups = tuple(sorted(set(met)))
        if prod(len(cost.points[name].points) for name in groups) <= MOST_CELLS:
            found = {groups: _table(shape, cost, groups)}
        else:
            rows = {(name,): _table(shape, cost, (name,)) for name in groups}
            whole = cost.of_layer(shape, {})
            found = {key: row - whole for key, row in rows.items()} | {(): np.array(whole)}
        for key, table in found.items():
            tables[key] = tables.get(key, 0.0) + table
    return tables


def _table(shape: LayerShape, cost: _Cost, groups: tuple[str, ...]) -> np.ndarray:
    """Return the cost of a layer for each combination of some groups' choices, the others whole."""
    sizes = [len(cost.points[name].points) for name in groups]
    cells = [
        cost.of_layer(shape, dict(zip(groups, places, strict=True)))
        for places in product(*map(range, sizes))
    ]
    return np.array(cells).reshape(sizes)


def _plan(curves: PruningCurves, picks: Picks, precision: Precision) -> ChannelPlan:
    taken = [(curve, picks[curve.layer]) for curve in curves.curves]
    drops = [max(0.0, curves.score - curve.points[place].score) for curve, place in taken]
    part = {
        budget: _Cost(curves, budget, precision).share(picks)
        for budget in Budget
        if budget is not Budget.LATENCY or curves.ends
    }
    latency_ms = None
    if curves.latency_ms is not None:
        cost = _Cost(curves, Budget.LATENCY, Precision.FP32)
        latency_ms = cost.share(picks) * curves.latency_ms
    return ChannelPlan(
        layers=tuple((c.layer, c.points[place].ratio) for c, place in taken if place),
        loss_rise=float(sum(loss_rises(curve)[place] for curve, place in taken)),
        score=max(0.0, curves.score - sum(drops)),
        macs=part[Budget.MACS],
        parameters=part[Budget.PARAMETERS],
        latency=part.get(Budget.LATENCY),
        latency_ms=latency_ms,
    )


def _unreachable(budget: float, of: str, reached: float) -> Refusal:
    named = "MACs" if of == Budget.MACS else of
    return Refusal(
        reason=f"no plan comes down to {budget:.1%} of the {named}: with one block of channels in "
        f"every layer {reached:.1%} are left.",
        remedy=f"Allow at least {np.ceil(reached * 1000) / 1000:g}, or remove whole blocks first.",
    )
