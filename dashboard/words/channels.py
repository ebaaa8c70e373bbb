"""Channels to prune: curves, recipes and words of that part of the Layers page.

Pure functions. A choice is a share of channels for each layer that can lose some; it always names a
point that was measured, so what a slider says is what the curve shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dashboard.words import words
from optim.analysis.channel_cuts import FREE_DROP, most_sensitive
from optim.recipe import Precision

if TYPE_CHECKING:
    from optim.analysis.pruning_curves import CurvePoint, PruningCurves

MOST_NAMED = 3


def redundancy_sentences(curves: PruningCurves) -> list[str]:
    """Return which layers are redundant, and which one is not."""
    within = f"within {words.points(FREE_DROP).removeprefix('+')}"
    spare = curves.redundant(FREE_DROP)
    said = [
        f"{c.layer} can lose {share(c.free_ratio(FREE_DROP))} of its channels {within}, alone."
        for c in spare[:MOST_NAMED]
    ]
    more = len(spare) - MOST_NAMED
    if more > 0:
        said.append(f"{more} more can lose at least half of theirs, each alone.")
    if not spare:
        said.append(f"No layer can lose half of its channels {within}: none is redundant.")
    hardest = most_sensitive(curves)
    if hardest is not None:
        point = hardest.points[1]
        said.append(
            f"{hardest.layer} bears it worst: {lost(curves, point)} without its first "
            f"{share(point.ratio)}."
        )
    return said


def costs_told(curves: PruningCurves, cuts: Mapping[str, float], precision: Precision) -> list[str]:
    """Return the cost of a network with these shares, counted and predicted; empty if unknown.

    Args:
        precision: in which latency is compared.
    """
    from optim.analysis.channel_plan import plan_of

    if not curves.shapes:
        return []
    plan, whole = plan_of(curves, cuts, precision=precision), curves.curves[0].points[0]
    told = [
        f"{words.count(left * count)} {name} ({share(left)})"
        for left, count, name in (
            (plan.parameters, whole.parameters, "parameters"),
            (plan.macs, whole.macs, "MACs"),
        )
    ]
    if plan.latency:
        told.append(f"predicted {words.faster(1 / plan.latency)} in {precision.upper()}")
    return told


def lost(curves: PruningCurves, point: CurvePoint) -> str:
    """Return what one cut does to accuracy."""
    return words.lost(point.score - curves.score, n=curves.n)


def share(ratio: float) -> str:
    """Return a share of channels, in whole percent: channels are no finer.

    >>> share(0.9375), share(0.5)
    ('94 %', '50 %')
    """
    return words.percent(round(ratio, 2))


def shares_told(cuts: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Return the layers that differ, with what leaves them.

    >>> shares_told({"a": 0.5, "b": 0.0, "c": 0.5}, {"a": 0.0, "b": 0.25, "c": 0.5})
    'a loses 50 %; b stays whole'
    """
    changed = [(name, ratio) for name, ratio in cuts.items() if ratio != before[name]]
    told = [
        f"{name} loses {share(ratio)}" if ratio else f"{name} stays whole"
        for name, ratio in changed[: 2 * MOST_NAMED]
    ]
    if len(changed) > len(told):
        told.append(f"{len(changed) - len(told)} more layers")
    return "; ".join(told)
