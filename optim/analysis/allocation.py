"""A precision for each layer so that the whole stays within a budget and loses the least.

    minimise  sum_l noise[l, p(l)]    subject to    sum_l cost[l, p(l)] <= budget

An integer program over the choices p(l): a knapsack with one choice per layer. ``cost`` is bytes or
milliseconds, ``noise`` the power of the noise in the logits with that layer alone quantized,
10^(-SQNR / 10). Errors of different layers are nearly uncorrelated, so that their powers add up.
The drop in accuracy would not do: one layer alone often moves no answer at all.

It is solved for every budget at once (Nemhauser and Ullmann 1969): layer after layer, sums that
another one beats in both cost and noise are dropped, and what is left is the whole Pareto front.
HAWQ-V2 (Dong et al. 2020) draws the same front with the Hessian's trace for the noise, HAWQ-V3 (Yao
et al. 2021) solves one budget at a time as an integer program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from optim.analysis.sensitivity import LayerSensitivity, Sensitivity
from optim.errors import Refusal, RefusedError
from optim.measure.noise import noise_power
from optim.pipeline.make import file_of
from optim.recipe import INTEGER_PRECISIONS, Precision, Quantize, Recipe
from optim.recipe.edit import with_precisions
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.store.results import Results

MOST_SUMS = 50_000
"""Partial sums kept after each layer. Where more are on the front, only the quietest of each of
50,000 equal bands of cost stays: the answer for a budget is then at least as good as the exact one
for a budget that is smaller by one band per layer, 0.1 % of the range for 50 layers."""


WORTH_THEIR_BYTES = frozenset(INTEGER_PRECISIONS)
"""What a budget of bytes is best spent on: on the sample SqueezeNet a single layer in FP32 took
INT4 from 1.65 to 1.00 times the original's speed."""
MOST_TRIES = 4
"""Files written until one uses a budget of bytes well."""


class Cost(StrEnum):
    """Quantity that the budget limits."""

    SIZE = "size"
    """Bytes of the file."""
    TIME = "time"
    """Milliseconds of an inference, by the profile of whole files."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """A precision for every layer, with what it will probably give.

    Attributes:
        layers: name and precision, in the order of the network.
        noise: power of the noise in the logits as a share of the signal's.
        size_bytes: of the file.
        time_ms: of an inference, as profiled; None if it was not profiled. Conversions between
            float and INT8 layers are not in it.
    """

    layers: tuple[tuple[str, Precision], ...]
    noise: float
    size_bytes: int
    time_ms: float | None

    @property
    def sqnr_db(self) -> float:
        """The noise in decibels; infinite if nothing is quantized."""
        return math.inf if self.noise == 0 else -10 * math.log10(self.noise)

    def recipe(self, parent: Recipe) -> Recipe:
        """Return the recipe that quantizes a float parent so; its own if nothing is quantized.

        Args:
            parent: steps of training alone.
        """
        given = {precision for _, precision in self.layers}
        if given <= {Precision.FP32}:
            return parent
        base = Precision.INT4 if Precision.INT4 in given else Precision.INT8
        return with_precisions(parent.with_step(Quantize(precision=base)), dict(self.layers))


@dataclass(frozen=True, kw_only=True, eq=False)
class Budgets:
    """The best allocation of every budget.

    Attributes:
        costs: rising, shape (k,): bytes of the file, or milliseconds.
        noises: falling, shape (k,).
        choices: for each layer and sum the row that was taken and the sum that it was added to,
            int32, shape (k, 2).
    """

    sensitivity: Sensitivity
    cost: Cost
    costs: np.ndarray
    noises: np.ndarray
    choices: tuple[np.ndarray, ...]

    def within(self, budget: float) -> Allocation:
        """Return the allocation with least error that costs no more than the budget.

        Raises:
            RefusedError: if even the cheapest costs more.
        """
        place = int(np.searchsorted(self.costs, budget * (1 + 1e-12), side="right")) - 1
        if place < 0:
            unit = "bytes" if self.cost is Cost.SIZE else "ms"
            raise RefusedError(
                Refusal(
                    reason=f"no choice of precisions comes down to {budget:,.4g} {unit}; the least "
                    f"is {self.costs[0]:,.4g} {unit}.",
                    remedy="Allow more, or prune the network first.",
                )
            )
        return self._allocation(place)

    def spread(self, points: int) -> tuple[Allocation, ...]:
        """Return allocations for so many budgets, evenly between the cheapest and the quietest.

        Raises:
            ValueError: if points is below 2.
        """
        if points < 2:
            raise ValueError(f"points must be at least 2, got {points}.")
        budgets = np.linspace(self.costs[0], self.costs[-1], points)
        places = np.searchsorted(self.costs, budgets * (1 + 1e-12), side="right") - 1
        return tuple(self._allocation(int(place)) for place in dict.fromkeys(places.tolist()))

    def _allocation(self, place: int) -> Allocation:
        taken: list[LayerSensitivity] = []
        at = place
        for rows, choice in zip(
            reversed(_by_layer(self.sensitivity)), reversed(self.choices), strict=True
        ):
            row, at = int(choice[at, 0]), int(choice[at, 1])
            taken.append(rows[row])
        taken.reverse()
        times = [self.sensitivity.rest_ms, *(row.time_ms for row in taken)]
        known = [time for time in times if time is not None]
        return Allocation(
            layers=tuple((row.layer, row.precision) for row in taken),
            noise=float(self.noises[place]),
            size_bytes=self.sensitivity.rest_bytes + sum(row.size_bytes for row in taken),
            time_ms=sum(known) if len(known) == len(times) else None,
        )


def allocate(
    sensitivity: Sensitivity, cost: Cost, *, allowed: frozenset[Precision] = frozenset(Precision)
) -> Budgets:
    """Solve the integer program for all budgets.

    Args:
        allowed: precisions that a layer may get.

    Raises:
        RefusedError: if a budget of time is asked for and layers are not timed.
        ValueError: if a layer has no row in an allowed precision.
    """
    rest = sensitivity.rest_bytes if cost is Cost.SIZE else sensitivity.rest_ms
    costs = np.array([rest or 0.0], np.float64)
    noises = np.zeros(1)
    choices = []
    for rows in _by_layer(sensitivity):
        usable = [i for i, row in enumerate(rows) if row.precision in allowed]
        if not usable:
            raise ValueError(
                f"layer {rows[0].layer} has no row in {', '.join(sorted(allowed))}. Measure it, or "
                "allow more precisions."
            )
        prices = np.array([_price(rows[i], cost) for i in usable])
        losses = np.array([noise_power(rows[i].sqnr_db) for i in usable])
        sums = (costs[:, None] + prices).ravel()
        noise = (noises[:, None] + losses).ravel()
        kept = _front(sums, noise)
        costs, noises = sums[kept], noise[kept]
        taken = np.array(usable)[kept % len(usable)]
        choices.append(np.stack([taken, kept // len(usable)], axis=1).astype(np.int32))
    return Budgets(
        sensitivity=sensitivity, cost=cost, costs=costs, noises=noises, choices=tuple(choices)
    )


def recipe_within_size(
    results: Results, task: Task, parent: Recipe, budgets: Budgets, max_bytes: int
) -> Recipe:
    """Return the recipe whose *file* keeps a budget of bytes.

    A prediction does not know the operators that a mixture adds or saves; so the file is written,
    and the next try knows by how much the prediction was off.

    Args:
        parent: steps of training alone.

    Raises:
        RefusedError: if no file is small enough.
    """
    kept: Allocation | None = None
    smallest = math.inf
    budget = max(float(max_bytes), float(budgets.costs[0]))
    for _ in range(MOST_TRIES):
        found = budgets.within(budget)
        size = len(file_of(results, task, found.recipe(parent)))
        smallest = min(smallest, size)
        if size <= max_bytes and (kept is None or found.noise < kept.noise):
            kept = found
        nearer = max_bytes - (size - found.size_bytes)
        if nearer == budget or nearer < budgets.costs[0]:
            break
        budget = nearer
    if kept is None:
        raise RefusedError(
            Refusal(
                reason=f"no choice of precisions gives a file of {max_bytes:,} bytes; the smallest "
                f"that was written has {smallest:,.0f} bytes.",
                remedy="Allow more, or prune the network first.",
            )
        )
    return kept.recipe(parent)


def _front(costs: np.ndarray, noises: np.ndarray) -> np.ndarray:
    """Return the places of non-dominated sums, cheapest first; thinned above ``MOST_SUMS``."""
    order = np.lexsort((noises, costs))
    lowest = np.minimum.accumulate(noises[order])
    better = np.concatenate([[True], lowest[1:] < lowest[:-1]])
    kept = order[better]
    if len(kept) > MOST_SUMS:
        width = (costs[kept[-1]] - costs[kept[0]]) / MOST_SUMS
        band = np.floor((costs[kept] - costs[kept[0]]) / width)
        last = np.concatenate([band[1:] != band[:-1], [True]])
        last[0] = True  # the cheapest sum must not get lost
        kept = kept[last]
    return np.asarray(kept)


def _price(row: LayerSensitivity, cost: Cost) -> float:
    if cost is Cost.SIZE:
        return float(row.size_bytes)
    if row.time_ms is None:
        raise RefusedError(
            Refusal(
                reason=f"layer {row.layer} has not been timed in {row.precision.upper()}, so no "
                "budget of time can be kept.",
                remedy="Measure the sensitivity again, or give a budget of bytes.",
            )
        )
    return row.time_ms


def _by_layer(sensitivity: Sensitivity) -> list[list[LayerSensitivity]]:
    layers: dict[str, list[LayerSensitivity]] = {}
    for row in sensitivity.rows:
        layers.setdefault(row.layer, []).append(row)
    return list(layers.values())
