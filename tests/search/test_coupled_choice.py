"""Choices under costs that belong to several things at once, against trying everything."""

from itertools import product

import numpy as np
import pytest

from optim.search import coupled_choice
from optim.search.coupled_choice import alone, best_choices


def problem(seed, sizes, scopes):
    rng = np.random.default_rng(seed)
    losses = {name: np.sort(rng.random(size)) for name, size in sizes.items()}
    tables = {names: rng.random([sizes[name] for name in names]) for names in scopes}
    return losses, tables


def everything(losses, tables):
    """Cost, loss and choice of every combination."""
    for picks in product(*(range(len(row)) for row in losses.values())):
        choice = dict(zip(losses, picks, strict=True))
        cost = sum(float(t[tuple(choice[n] for n in names)]) for names, t in tables.items())
        yield cost, sum(row[choice[name]] for name, row in losses.items()), choice


def least(tried, budget):
    """Loss within a budget; infinite if nothing costs so little."""
    return min((loss for cost, loss, _ in tried if cost <= budget), default=np.inf)


SHAPES = {
    "a chain": ({"a": 3, "b": 4, "c": 2, "d": 3}, [("a", "b"), ("b", "c"), ("c", "d"), ("d",)]),
    "a ring": ({"a": 3, "b": 3, "c": 3, "d": 3}, [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]),
    "three at once": ({"a": 2, "b": 3, "c": 4, "d": 2}, [("a", "b", "c"), ("c", "d"), ()]),
    "two islands": ({"a": 4, "b": 3, "c": 4, "d": 3}, [("a", "b"), ("d", "c"), ()]),
    "nothing meets": ({"a": 4, "b": 3, "c": 5}, [("a",), ("b",), ("c",)]),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_every_budget_gets_the_least_loss_that_trying_everything_finds(shape, seed):
    losses, tables = problem(seed, *SHAPES[shape])
    tried = list(everything(losses, tables))
    front = best_choices(losses, tables)
    for cost, loss in zip(front.costs, front.losses, strict=True):
        assert loss == pytest.approx(least(tried, cost + 1e-12))
    assert front.costs[0] == pytest.approx(min(c for c, _, _ in tried))
    assert front.losses[-1] == pytest.approx(least(tried, np.inf))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_choice_behind_a_sum_costs_and_loses_what_the_sum_says(shape):
    losses, tables = problem(7, *SHAPES[shape])
    of = {tuple(choice.items()): (cost, loss) for cost, loss, choice in everything(losses, tables)}
    front = best_choices(losses, tables)
    for place in range(len(front.costs)):
        found = of[tuple(front.picks_at(place).items())]
        assert found == pytest.approx((front.costs[place], front.losses[place]))


def test_where_too_much_meets_tables_become_sums_over_single_things(monkeypatch):
    monkeypatch.setattr(coupled_choice, "MOST_COMBINATIONS", 4)
    losses, tables = problem(0, *SHAPES["three at once"])
    loose = dict(tables)
    for name, row in zip("abc", alone(loose.pop(("a", "b", "c"))), strict=True):
        loose[(name,)] = row
    tried = list(everything(losses, loose))
    front = best_choices(losses, tables)
    for cost, loss in zip(front.costs, front.losses, strict=True):
        assert loss == pytest.approx(least(tried, cost + 1e-12))


def test_a_long_front_is_thinned_to_what_is_near_the_best(monkeypatch):
    monkeypatch.setattr(coupled_choice, "MOST_SUMS", 30)
    losses, tables = problem(1, dict.fromkeys("abcde", 6), [("a", "b"), ("c", "d"), ("d", "e")])
    tried = list(everything(losses, tables))
    front = best_choices(losses, tables)
    assert len(front.costs) <= 31
    bands = 5 * (front.costs[-1] - front.costs[0]) / 30
    for cost, loss in zip(front.costs, front.losses, strict=True):
        assert loss <= least(tried, cost - bands) + 1e-12
    assert front.costs[0] == pytest.approx(min(c for c, _, _ in tried))
