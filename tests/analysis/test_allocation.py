"""Precisions under a budget: exact against trying everything, budgets kept, recipes that say it."""

import itertools
import math

import numpy as np
import pytest

from optim.analysis import allocation
from optim.analysis.allocation import Allocation, Cost, allocate, recipe_within_size
from optim.analysis.sensitivity import LayerSensitivity, Sensitivity
from optim.errors import RefusedError
from optim.measure.noise import noise_power
from optim.recipe import MixedPrecision, Precision, Prune, Quantize, Recipe

CHOICES = (Precision.FP32, Precision.INT8, Precision.INT4)


def random_sensitivity(seed: int, layers: int = 5, *, timed: bool = True) -> Sensitivity:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(layers):
        weights = int(rng.integers(10, 2000))
        for precision, bits in zip(CHOICES, (32, 8, 4), strict=True):
            loud = {Precision.INT8: rng.uniform(30, 60), Precision.INT4: rng.uniform(8, 35)}
            rows.append(
                LayerSensitivity(
                    layer=f"layer{i}",
                    operator="Conv",
                    precision=precision,
                    sqnr_db=loud.get(precision, math.inf),
                    score_drop=0.0,
                    size_bytes=weights * bits // 8,
                    time_ms=float(rng.uniform(0.01, 1.0)) if timed else None,
                )
            )
    return Sensitivity(
        rows=tuple(rows), score=0.9, n=100, rest_bytes=321, rest_ms=0.05 if timed else None
    )


def every_choice(sensitivity: Sensitivity, cost: Cost) -> list[tuple[float, float]]:
    """Cost and noise of every combination there is."""
    rows = [sensitivity.rows[i : i + 3] for i in range(0, len(sensitivity.rows), 3)]
    rest = sensitivity.rest_bytes if cost is Cost.SIZE else sensitivity.rest_ms
    return [
        (
            rest + sum(r.size_bytes if cost is Cost.SIZE else r.time_ms for r in chosen),
            sum(noise_power(r.sqnr_db) for r in chosen),
        )
        for chosen in itertools.product(*rows)
    ]


def cost_of(found: Allocation, cost: Cost) -> float:
    return found.size_bytes if cost is Cost.SIZE else found.time_ms


@pytest.mark.parametrize("cost", list(Cost))
@pytest.mark.parametrize("seed", range(8))
def test_no_combination_within_a_budget_is_quieter(seed: int, cost: Cost) -> None:
    sensitivity = random_sensitivity(seed)
    every = every_choice(sensitivity, cost)
    budgets = allocate(sensitivity, cost)
    for budget in np.quantile([price for price, _ in every], [0.0, 0.1, 0.4, 0.7, 1.0]):
        found = budgets.within(float(budget))
        best = min(noise for price, noise in every if price <= budget * (1 + 1e-12))
        assert found.noise == pytest.approx(best, rel=1e-9)
        assert cost_of(found, cost) <= budget * (1 + 1e-9)


def test_an_allocation_is_the_sum_of_its_layers() -> None:
    sensitivity = random_sensitivity(3)
    for found in allocate(sensitivity, Cost.SIZE).spread(9):
        rows = {(row.layer, row.precision): row for row in sensitivity.rows}
        chosen = [rows[pair] for pair in found.layers]
        assert [name for name, _ in found.layers] == [f"layer{i}" for i in range(5)]
        assert found.size_bytes == 321 + sum(row.size_bytes for row in chosen)
        assert found.time_ms == pytest.approx(0.05 + sum(row.time_ms for row in chosen))
        assert found.noise == pytest.approx(sum(noise_power(row.sqnr_db) for row in chosen))


def test_more_budget_is_never_louder() -> None:
    points = allocate(random_sensitivity(1, layers=40), Cost.SIZE).spread(30)
    noises = [point.noise for point in points]
    assert noises == sorted(noises, reverse=True)
    assert {p for _, p in points[0].layers} == {Precision.INT4}
    assert points[-1].noise == 0
    assert points[-1].sqnr_db == math.inf


def test_a_thinned_front_keeps_budgets_and_stays_close(monkeypatch: pytest.MonkeyPatch) -> None:
    sensitivity = random_sensitivity(5, layers=8)
    exact = allocate(sensitivity, Cost.TIME)
    monkeypatch.setattr(allocation, "MOST_SUMS", 200)
    thinned = allocate(sensitivity, Cost.TIME)
    assert len(thinned.costs) <= 201
    assert thinned.costs[0] == exact.costs[0]
    width = (exact.costs[-1] - exact.costs[0]) / 200
    for budget in np.linspace(exact.costs[0], exact.costs[-1], 20):
        found = thinned.within(budget)
        assert found.time_ms <= budget * (1 + 1e-9)
        assert found.noise <= exact.within(max(exact.costs[0], budget - 8 * width)).noise


def test_precisions_that_are_not_allowed_are_not_given() -> None:
    only = frozenset({Precision.INT8, Precision.INT4})
    budgets = allocate(random_sensitivity(2), Cost.SIZE, allowed=only)
    assert {p for point in budgets.spread(9) for _, p in point.layers} <= only


def test_a_budget_below_the_smallest_is_refused_with_the_smallest() -> None:
    budgets = allocate(random_sensitivity(2), Cost.SIZE)
    with pytest.raises(RefusedError, match=f"the least is {budgets.costs[0]:,.4g} bytes"):
        budgets.within(10)


def test_a_budget_of_time_needs_times() -> None:
    with pytest.raises(RefusedError, match="has not been timed"):
        allocate(random_sensitivity(2, timed=False), Cost.TIME)
    assert allocate(random_sensitivity(2, timed=False), Cost.SIZE).spread(3)[0].time_ms is None


def allocation_of(*precisions: Precision) -> Allocation:
    layers = tuple((f"layer{i}", precision) for i, precision in enumerate(precisions))
    return Allocation(layers=layers, noise=0.0, size_bytes=1, time_ms=None)


def test_a_recipe_names_the_layers_that_differ_and_the_first_one() -> None:
    parent = Recipe(steps=(Prune(ratio=0.5),))
    i4, i8, f = Precision.INT4, Precision.INT8, Precision.FP32
    assert allocation_of(f, f).recipe(parent) == parent
    assert allocation_of(i8, i8).recipe(parent).steps[1:] == (Quantize(precision=i8),)
    assert allocation_of(i8, f).recipe(parent).step(MixedPrecision).layers == (("layer1", f),)
    # The first layer of an INT4 file has eight bits unless the recipe says otherwise.
    both = allocation_of(i4, i4, i8).recipe(parent)
    assert both.precision is i4
    assert both.step(MixedPrecision).layers == (("layer0", i4), ("layer2", i8))
    assert allocation_of(i8, i4, i4).recipe(parent).steps[1:] == (Quantize(precision=i4),)


@pytest.mark.parametrize("surcharge", [-40, 0, 40, 400])
def test_the_file_keeps_the_budget_though_the_prediction_is_off(surcharge, monkeypatch) -> None:
    sensitivity = random_sensitivity(4)
    budgets = allocate(sensitivity, Cost.SIZE)
    parent, sizes = Recipe(), {}
    for place in range(len(budgets.costs)):
        found = budgets.within(budgets.costs[place])
        sizes[found.recipe(parent)] = found.size_bytes + surcharge
    monkeypatch.setattr(allocation, "file_of", lambda _, __, recipe: b"0" * sizes[recipe])
    most = int(np.median(budgets.costs))
    recipe = recipe_within_size(None, None, parent, budgets, most)
    assert max(size for size in sizes.values() if size <= most) == sizes[recipe] <= most
    with pytest.raises(RefusedError, match="the smallest that was written"):
        recipe_within_size(None, None, parent, budgets, 50)
