"""Channels to prune: a share for each layer, as measured points and as a recipe.

A choice always names a point that was measured, so what a slider says is what the curve shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from optim.recipe import (
    Criterion,
    Precision,
    Prune,
    PruningUnit,
    Recipe,
    Replace,
    ReplaceActivation,
    Scope,
)

if TYPE_CHECKING:
    from optim.analysis.pruning_curves import CurvePoint, LayerCurve, PruningCurves


FREE_DROP = 0.01
"""A layer is redundant in so far as losing channels costs at most this much accuracy."""


Cuts = dict[str, float]
"""The share of channels that leaves each layer, 0..1."""


# --- recipes --------------------------------------------------------------------------------------
def source_recipe(recipe: Recipe) -> Recipe:
    """Return the network that a candidate was pruned from."""
    steps = tuple(s for s in recipe.steps if isinstance(s, Replace | ReplaceActivation))
    return Recipe(steps=steps, seed=recipe.seed if steps else 0)


def own_cuts(recipe: Recipe, curves: PruningCurves) -> Cuts:
    """Return what a candidate has lost already, layer by layer.

    Whole layers where the recipe does not say it: a global cut finds its shares by itself.
    """
    step = recipe.step(Prune)
    uniform = step.ratio if step is not None and tells_its_cuts(recipe) else 0.0
    single = {} if step is None else dict(step.layers)
    asked = {curve.layer: single.get(curve.layer, uniform) for curve in curves.curves}
    return measured_cuts(asked, curves)


def measured_cuts(asked: Mapping[str, float], curves: PruningCurves) -> Cuts:
    """Return the measured point nearest to each share; layers that are not named stay whole."""
    return {
        curve.layer: point_at(curve, asked.get(curve.layer, 0.0)).ratio for curve in curves.curves
    }


def point_at(curve: LayerCurve, ratio: float) -> CurvePoint:
    """Return the measured point nearest to a share."""
    return min(curve.points, key=lambda point: abs(point.ratio - ratio))


def cut_recipe(
    recipe: Recipe, cuts: Mapping[str, float], *, epochs: float, criterion: Criterion
) -> Recipe:
    """Return the same recipe with other shares of channels.

    Args:
        epochs: of fine-tuning, for a recipe without pruning; a pruned one is trained as before.
        criterion: by which the channels were chosen when the curves were measured.

    Returns:
        Without pruning if nothing leaves.
    """
    layers = tuple((name, ratio) for name, ratio in cuts.items() if ratio > 0)
    if not layers:
        return recipe.without(Prune)
    own = recipe.step(Prune)
    kept = own is not None and own.keep_weights
    step = Prune(
        ratio=0.0,
        layers=layers,
        epochs=own.epochs if own is not None and kept else epochs,
        distill=own.distill if own is not None and kept else True,
        criterion=criterion,
    )
    return recipe.with_step(step)


def tells_its_cuts(recipe: Recipe) -> bool:
    """False if only the made network knows what each layer lost: cut globally, or by parameters."""
    step = recipe.step(Prune)
    if step is None or step.ratio == 0:
        return True
    return step.scope is Scope.UNIFORM and step.unit is PruningUnit.CHANNELS


# --- words ----------------------------------------------------------------------------------------
def most_sensitive(curves: PruningCurves) -> LayerCurve | None:
    """Return the layer whose first cut costs most, by accuracy, then by loss; None without any."""
    cut = [curve for curve in curves.curves if len(curve.points) > 1]
    return min(cut, key=lambda c: (c.points[1].score, -c.points[1].loss), default=None)


def least_share(curves: PruningCurves, of: str, precision: Precision) -> float:
    """Return the share of a cost that stays when each layer keeps one block, 0..1; 0 if not known.

    Args:
        of: ``latency``, ``macs`` or ``parameters``.
    """
    from optim.analysis.channel_plan import plan_of

    if not curves.shapes:
        return 0.0
    most = {curve.layer: curve.points[-1].ratio for curve in curves.curves}
    plan = plan_of(curves, most, precision=precision)
    found = {"latency": plan.latency, "macs": plan.macs, "parameters": plan.parameters}[of]
    return found or 0.0
