"""Ratios per layer under a budget, against trying every plan there is."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from optim.analysis import channel_plan as planner
from optim.analysis.channel_plan import (
    Budget,
    channel_plan,
    loss_rises,
    plan_channels,
    plan_of,
    shares,
)
from optim.analysis.layer_cost import Ends, LayerTimes, network_ms
from optim.analysis.pruning_curves import CurvePoint, LayerCurve, PruningCurves
from optim.compress.pruning.layer_shapes import LayerShape, network_macs, network_parameters
from optim.errors import RefusedError
from optim.recipe import Precision, Prune

KEPT = (64, 48, 32, 16)


def shape(layer, reads, writes, *, inputs=64, outputs=64, positions=100):
    return LayerShape(
        layer=layer, inputs=inputs, outputs=outputs, positions=positions,
        kernel=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), size=(10, 10),
        reads=tuple((name, 64) for name in reads), writes=tuple((name, 64) for name in writes),
    )  # fmt: skip


SHAPES = (
    shape("a", (), ("a",), inputs=3),
    shape("b", ("a",), ("b",)),
    shape("c", ("a", "b"), ("c",), inputs=128, positions=25),
    LayerShape(layer="head", inputs=64, outputs=10, reads=(("c", 64),)),
)


def staircase(layer):
    """Times that hardly fall before two blocks are gone, and fall faster for the inputs."""
    steps = {
        16: 1.0,
        32: 2.0,
        48: 3.9,
        64: 4.0,
        3: 1.0,
        10: 1.0,
        128: 9.0,
        96: 6.0,
        80: 5.5,
        112: 8,
    }
    axis = [(3,), (16, 32, 48, 64), (32, 48, 64, 80, 96, 112, 128)][min(2, layer.inputs // 64)]
    ends = (10,) if layer.outputs == 10 else KEPT[::-1]
    fp32 = tuple(tuple(steps.get(i, i / 16) * steps[o] for o in ends) for i in axis)
    return LayerTimes(
        layer=layer.layer, inputs=axis, outputs=ends, fp32_ms=fp32,
        int8_ms=tuple(tuple(ms / 2 + 1 for ms in row) for row in fp32),
    )  # fmt: skip


def curve(layer, losses):
    points = tuple(
        CurvePoint(
            kept=kept, ratio=1 - kept / 64, score=0.9 - loss / 4, loss=0.3 + loss,
            parameters=0, macs=0,
        )
        for kept, loss in zip(KEPT, losses, strict=True)
    )  # fmt: skip
    return LayerCurve(layer=layer, layers=(layer,), channels=64, points=points)


TIMES = tuple(map(staircase, SHAPES))


def ends(precision, whole_ms, least_ms):
    """Two networks by the clock that are slower than the sum of their layers."""
    least = dict.fromkeys("abc", 0.25)
    sums = [network_ms(SHAPES, TIMES, kept, precision) for kept in ({}, least)]
    return Ends(
        precision=precision, whole_ms=whole_ms, least_ms=least_ms,
        whole_sum_ms=sums[0], least_sum_ms=sums[1],
    )  # fmt: skip


CURVES = PruningCurves(
    curves=(
        curve("a", (0, 0.02, 0.3, 0.9)),
        curve("b", (0, 0.05, 0.11, 0.2)),
        curve("c", (0, 0.001, 0.04, 0.7)),
    ),
    score=0.9,
    loss=0.3,
    n=500,
    shapes=SHAPES,
    times=TIMES,
    ends=(ends(Precision.FP32, 2.0, 0.3), ends(Precision.INT8, 1.0, 0.4)),
)


def cost(kept, of, precision=Precision.FP32):
    match of:
        case Budget.MACS:
            return network_macs(SHAPES, kept)
        case Budget.PARAMETERS:
            return network_parameters(SHAPES, kept)
        case _:
            return CURVES.clock(precision).share(network_ms(SHAPES, TIMES, kept, precision))


def every_plan(of, precision=Precision.FP32):
    """Share of the cost and loss of each of 64 plans."""
    for places in product(range(4), repeat=3):
        choice = dict(zip("abc", places, strict=True))
        loss = sum(loss_rises(c)[choice[c.layer]] for c in CURVES.curves)
        kept = shares(CURVES, choice)
        yield cost(kept, of, precision) / cost({}, of, precision), loss


@pytest.mark.parametrize("of", Budget)
@pytest.mark.parametrize("budget", [0.9, 0.6, 0.4, 0.25, 0.15])
def test_no_plan_within_the_budget_loses_less(of, budget):
    best = min((loss for share, loss in every_plan(of) if share <= budget), default=None)
    if best is None:
        with pytest.raises(RefusedError):
            plan_channels(CURVES, budget=budget, of=of)
        return
    found = channel_plan(CURVES, budget=budget, of=of)
    assert getattr(found, of) <= budget
    assert found.loss_rise == pytest.approx(best)
    kept = {layer: 1 - ratio for layer, ratio in found.layers}
    assert getattr(found, of) == pytest.approx(cost(kept, of) / cost({}, of))


def test_latency_counts_in_the_precision_that_is_asked_for():
    tried = list(every_plan(Budget.LATENCY, Precision.INT8))
    best = min(loss for share, loss in tried if share <= 0.45)
    found = channel_plan(CURVES, budget=0.45, of="latency", precision=Precision.INT8)
    assert found.loss_rise == pytest.approx(best)
    assert found.latency <= 0.45


def test_a_plan_predicts_accuracy_and_milliseconds():
    found = channel_plan(CURVES, budget=0.5, of="latency")
    drops = found.loss_rise / 4
    assert found.score == pytest.approx(0.9 - drops)
    assert found.latency_ms == pytest.approx(2.0 * found.latency)


def test_ratios_that_somebody_chose_are_predicted_like_a_plan():
    found = channel_plan(CURVES, budget=0.5, of="latency", precision=Precision.INT8)
    assert plan_of(CURVES, dict(found.layers), precision=Precision.INT8) == found
    whole = plan_of(CURVES, {"unknown": 0.5})
    assert (whole.layers, whole.macs, whole.latency) == ((), 1.0, pytest.approx(1.0))
    assert plan_of(CURVES, {"a": 0.4}).layers == (("a", 0.5),)


def test_a_plan_is_what_prune_layers_takes():
    pairs = plan_channels(CURVES, budget=0.5)
    assert pairs
    assert all(0 < ratio < 1 for _, ratio in pairs)
    assert Prune(ratio=0, layers=pairs).layers == tuple(sorted(pairs))


def test_the_whole_budget_leaves_everything_that_costs_loss_whole():
    assert plan_channels(CURVES, budget=1.0) == ()


@pytest.mark.parametrize("of", Budget)
def test_a_budget_that_nothing_reaches_is_refused_with_what_can_be_reached(of):
    least = min(share for share, _ in every_plan(of))
    with pytest.raises(RefusedError, match=f"{least:.1%} are left") as told:
        plan_channels(CURVES, budget=0.01, of=of)
    allowed = float(told.value.refusal.remedy.split()[3].rstrip(","))
    assert plan_channels(CURVES, budget=allowed, of=of)


def test_where_many_groups_meet_the_true_cost_keeps_the_budget_all_the_same(monkeypatch):
    monkeypatch.setattr(planner, "MOST_CELLS", 4)
    for budget in (0.8, 0.5, 0.3):
        found = channel_plan(CURVES, budget=budget)
        assert found.macs <= budget


@pytest.mark.parametrize("budget", [0, -1, 1.1, float("nan")])
def test_a_budget_is_a_share(budget):
    with pytest.raises(ValueError, match="budget must be above 0 and at most 1"):
        plan_channels(CURVES, budget=budget)


def test_costs_that_are_not_known_are_told():
    with pytest.raises(ValueError, match="times of its layers"):
        plan_channels(replace(CURVES, ends=()), budget=0.5, of="latency")
    with pytest.raises(ValueError, match="of must be one of macs"):
        plan_channels(CURVES, budget=0.5, of="energy")
    assert channel_plan(replace(CURVES, ends=()), budget=0.5).latency is None


def test_what_a_narrower_layer_seems_to_win_is_chance():
    rises = loss_rises(curve("a", (0, -0.1, 0.2, 0.1)))
    assert rises == pytest.approx(np.array([0, 0, 0.2, 0.2]))
