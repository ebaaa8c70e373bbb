"""One choice for each of several things whose costs depend on each other, for every budget.
    minimise  sum_g loss[g, k(g)]    for each cost    sum_t table_t[k(g), k(h), ...]

A table is a cost that depends on the choices of a few things together. Things are eliminated one
after the other: for each combination of choices of those in its tables, the sums that its own
choices give are kept, without those that another beats in both cost and loss. Its neighbours then
have one table more, of fronts in place of numbers. At the end one front is left, that of the whole.

Sources: eliminating one thing after the other is the non-serial dynamic programming of Bertele and
Brioschi 1972; with fronts in place of numbers it is the knapsack of Nemhauser and Ullmann 1969.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

Names = tuple[str, ...]
Picks = dict[str, int]
"""By the name of a thing: which of its choices."""

MOST_SUMS = 1000
"""Kept of one front. Where more are on it, the one with the least loss of each of 1000 equal bands
of cost stays."""
MOST_COMBINATIONS = 2000
"""Of choices of the things that one thing meets. Where more would meet, the largest table is taken
as a sum over its things, each chosen alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChoiceFront:
    """The best choices, cheapest first.

    Attributes:
        names: of the things.
        costs, losses: shape (k,): the costs rise, the losses fall.
        picks: uint8, shape (k, things).
    """

    names: Names
    costs: np.ndarray
    losses: np.ndarray
    picks: np.ndarray

    def picks_at(self, place: int) -> Picks:
        """Return the choices behind one sum."""
        return dict(zip(self.names, self.picks[place].tolist(), strict=True))


class _Sums(NamedTuple):
    costs: np.ndarray
    losses: np.ndarray
    picks: np.ndarray


class _Fronts(NamedTuple):
    """Front of the eliminated things, for each combination of their neighbours' choices."""

    names: Names
    cells: dict[tuple[int, ...], _Sums]


def best_choices(
    losses: Mapping[str, np.ndarray], tables: Mapping[Names, np.ndarray]
) -> ChoiceFront:
    """Find the least loss for every cost.

    Args:
        losses: by the name of a thing, one for each of its choices; at most 255.
        tables: by the names of some things, a cost for each combination of their choices, one axis
            each; ``()`` is a cost that is always paid.

    Returns:
        Exact while no front is longer than ``MOST_SUMS`` and nothing meets too much.
    """
    names = tuple(losses)
    sizes = {name: len(row) for name, row in losses.items()}
    costs = _manageable(tables, sizes)
    fronts: list[_Fronts] = []
    for name, around in _order(costs, sizes):
        own = {key: table for key, table in costs.items() if name in key}
        met = [front for front in fronts if name in front.names]
        cells = {
            places: _left(
                name, losses[name], dict(zip(around, places, strict=True)), own, met, names
            )
            for places in product(*(range(sizes[other]) for other in around))
        }
        costs = {key: table for key, table in costs.items() if name not in key}
        fronts = [front for front in fronts if name not in front.names]
        fronts.append(_Fronts(around, cells))
    whole = _one(float(costs.get((), np.zeros(()))), 0.0, np.zeros(len(names), np.uint8))
    for front in fronts:
        whole = _best(_added(whole, front.cells[()]))
    return ChoiceFront(names=names, costs=whole.costs, losses=whole.losses, picks=whole.picks)


def alone(table: np.ndarray) -> list[np.ndarray]:
    """Return a table as a sum over its axes: what each choice adds to the first ones."""
    first = table[(0,) * table.ndim]
    rows = [
        table[tuple(slice(None) if other == axis else 0 for other in range(table.ndim))] - first
        for axis in range(table.ndim)
    ]
    return [rows[0] + first, *rows[1:]] if rows else [table]


def _left(
    name: str,
    losses: np.ndarray,
    around: Mapping[str, int],
    costs: Mapping[Names, np.ndarray],
    fronts: Sequence[_Fronts],
    names: Names,
) -> _Sums:
    """Return the front of one thing's choices, given those around it."""
    offers = []
    for pick, loss in enumerate(losses):
        here = {**around, name: pick}
        cost = sum(float(table[tuple(here[n] for n in key)]) for key, table in costs.items())
        picks = np.zeros(len(names), np.uint8)
        picks[names.index(name)] = pick
        sums = _one(cost, float(loss), picks)
        for front in fronts:
            sums = _best(_added(sums, front.cells[tuple(here[n] for n in front.names)]))
        offers.append(sums)
    return _best(_Sums(*(np.concatenate(parts) for parts in zip(*offers, strict=True))))


def _one(cost: float, loss: float, picks: np.ndarray) -> _Sums:
    return _Sums(np.array([cost]), np.array([loss]), picks[None])


def _added(a: _Sums, b: _Sums) -> _Sums:
    """Add each sum to each; an eliminated thing is in one of them alone."""
    costs = (a.costs[:, None] + b.costs).ravel()
    losses = (a.losses[:, None] + b.losses).ravel()
    kept = _front(costs, losses)
    rows, columns = np.divmod(kept, len(b.costs))
    return _Sums(costs[kept], losses[kept], a.picks[rows] + b.picks[columns])


def _best(sums: _Sums) -> _Sums:
    kept = _front(sums.costs, sums.losses)
    return _Sums(*(part[kept] for part in sums))


def _front(costs: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return the places of non-dominated sums, cheapest first; thinned above ``MOST_SUMS``."""
    order = np.lexsort((losses, costs))
    lowest = np.minimum.accumulate(losses[order])
    kept = order[np.concatenate([[True], lowest[1:] < lowest[:-1]])]
    if len(kept) > MOST_SUMS:
        width = (costs[kept[-1]] - costs[kept[0]]) / MOST_SUMS
        band = np.floor((costs[kept] - costs[kept[0]]) / width)
        last = np.concatenate([band[1:] != band[:-1], [True]])
        last[0] = True  # the cheapest sum must not get lost
        kept = kept[last]
    return np.asarray(kept)


def _manageable(
    tables: Mapping[Names, np.ndarray], sizes: Mapping[str, int]
) -> dict[Names, np.ndarray]:
    """Return the tables, the largest as sums over single things where too much would meet."""
    found = dict(tables)
    while any(
        prod(sizes[other] for other in around) > MOST_COMBINATIONS
        for _, around in _order(found, sizes)
    ):
        largest = max(found, key=lambda key: (len(key), found[key].size))
        for name, row in zip(largest, alone(found.pop(largest)), strict=True):
            found[(name,)] = found.get((name,), np.zeros(sizes[name])) + row
    return found


def _order(tables: Iterable[Names], sizes: Mapping[str, int]) -> list[tuple[str, Names]]:
    """Return the order of elimination, each with those it meets then: the fewest first."""
    scopes = [set(names) for names in tables]
    waiting, order = list(sizes), []
    while waiting:
        meets = {
            name: set().union(*(scope for scope in scopes if name in scope)) - {name}
            for name in waiting
        }
        name = min(waiting, key=lambda each: prod(sizes[other] for other in meets[each]))
        waiting.remove(name)
        order.append((name, tuple(other for other in sizes if other in meets[name])))
        scopes = [scope for scope in scopes if name not in scope] + [meets[name]]
    return order
