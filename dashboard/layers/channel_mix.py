"""A slider for each layer that can lose channels, and a budget that sets them all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import streamlit as st

from dashboard.layers import layer_mix
from dashboard.layers.layer_mix import Mix
from dashboard.state import keys as state
from dashboard.words import words
from dashboard.words.channels import costs_told, lost, share, shares_told
from dashboard.words.glossary import what_is
from dashboard.words.markup import label, plain
from optim.analysis.channel_cuts import (
    FREE_DROP,
    Cuts,
    cut_recipe,
    least_share,
    measured_cuts,
    own_cuts,
    point_at,
)
from optim.candidate import Candidate
from optim.errors import RefusedError
from optim.recipe import INTEGER_PRECISIONS, Precision
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.analysis.pruning_curves import LayerCurve, PruningCurves

COLUMNS, MOST_ROWS, LIST_PX = 3, 5, 430
"""A longer list of sliders scrolls."""
COSTS = {"latency": "latency", "macs": "MACs", "parameters": "parameters"}
MOST_STAYS, STEP, USUALLY_STAYS = 95, 5, 50
"""Percent of the cost that a budget lets stay."""


def mix_of(candidate: Candidate, curves: PruningCurves) -> Mix[float]:
    """Return this session's shares for a candidate; the link decides with which they open."""
    mixes: dict[str, Mix[float]] = st.session_state.setdefault(state.CHANNEL_MIXES, {})
    own = own_cuts(candidate.recipe, curves)
    known = mixes.get(candidate.id)
    if known is None or known.history[0] != own:
        known = mixes[candidate.id] = Mix(history=[own])
        linked = {layer: ratio for layer, ratio in state.cuts().items() if layer in own}
        if linked:
            known.choose(measured_cuts({**own, **linked}, curves))
    return known


def panel(task: Task, candidate: Candidate, curves: PruningCurves) -> None:
    """Draw sliders and budget, what the shares would change, and the buttons."""
    mix = mix_of(candidate, curves)
    own = mix.history[0]
    sliders, budget = st.columns([0.72, 0.28], gap="medium")
    with budget:
        _budget(task, curves, mix, timed_precision(candidate))
    with sliders:
        _sliders(candidate, curves, mix)
        changed = {layer: ratio for layer, ratio in mix.now.items() if ratio != own[layer]}
        state.keep_cuts_in_url(changed)
        if not changed:
            st.caption("Move a slider, or let a budget set them, and measure the network.")
            return
        layer_mix.outcome(
            task,
            candidate,
            cut_recipe(
                candidate.recipe,
                mix.now,
                epochs=task.fine_tuning_epochs,
                criterion=curves.criterion,
            ),
            mix,
            name="cuts",
            what="network",
            told=shares_told(mix.now, own),
            foreseen=foreseen(curves, mix.now, timed_precision(candidate)),
        )


def _sliders(candidate: Candidate, curves: PruningCurves, mix: Mix[float]) -> None:
    """Draw some in a row, in the order of the network."""
    columns = 1 if state.is_narrow() else COLUMNS
    shown = [curve for curve in curves.curves if len(curve.points) > 1]
    rows = [shown[i : i + columns] for i in range(0, len(shown), columns)]
    height: int | Literal["content"] = LIST_PX if len(rows) > MOST_ROWS else "content"
    with st.container(border=True, height=height, key="channel_sliders"):
        for row in rows:
            for curve, place in zip(row, st.columns(columns, gap="medium"), strict=False):
                with place:
                    _slider(curve, mix, f"cut_{candidate.id}_{mix.tables}_{curve.layer}")


def _slider(curve: LayerCurve, mix: Mix[float], key: str) -> None:
    kept = {point.ratio: point.kept for point in curve.points}

    def moved() -> None:
        mix.history.append({**mix.now, curve.layer: st.session_state[key]})

    st.select_slider(
        label(curve.layer),
        list(kept),
        value=mix.now[curve.layer],
        format_func=lambda ratio: f"{share(ratio)}, {kept[ratio]} stay",
        key=key,
        help=_about(curve),
        on_change=moved,
    )


def _about(curve: LayerCurve) -> str:
    """Return which channels can be pruned alone, and which layers share them."""
    within = words.points(FREE_DROP).removeprefix("+")
    told = f"{curve.channels} channels. "
    told += f"Alone it can lose {share(curve.free_ratio(FREE_DROP))} within {within}, untrained."
    others = [name for name in curve.layers if name != curve.layer]
    if others:
        names = ", ".join(others)
        told += f" The same channels are pruned from {names}, for their outputs are added up."
    return plain(told)


def _budget(task: Task, curves: PruningCurves, mix: Mix[float], precision: Precision) -> None:
    timed = any(ends.precision is precision for ends in curves.ends)
    with st.container(border=True, gap="small", key="channel_plan"):
        st.markdown("**Plan under a budget**", help=what_is("Channel plan"))
        cost = st.segmented_control(
            "Budget of",
            [name for name in COSTS if timed or name != "latency"],
            default="latency" if timed else "macs",
            required=True,
            format_func=COSTS.__getitem__,
            key=state.CHANNEL_BUDGET_OF,
            label_visibility="collapsed",
        )
        least = least_stays(curves, cost, precision)
        if least >= MOST_STAYS:
            st.caption(f"No plan saves much {COSTS[cost]} here: try another budget.")
            return
        stays = st.slider(
            f"How much of the {COSTS[cost]} may stay, %",
            least,
            MOST_STAYS,
            max(least, USUALLY_STAYS),
            STEP,
            key=f"{state.CHANNEL_BUDGET}_{cost}_{least}",
            help="It begins where every layer keeps one block of channels: nothing cuts further.",
        )
        st.button(
            "Fill the sliders",
            key="plan_channels",
            icon=":material/auto_fix_high:",
            on_click=_fill,
            args=(curves, mix, cost, stays / 100, precision),
        )
        quantized = "" if precision is Precision.FP32 else f" --quantize {precision}"
        st.caption(f"`edge-optim plan {task.name} --{cost} {stays / 100:g}{quantized}`")
        note = st.session_state.pop(state.CHANNEL_NOTE, None)
        if note:
            st.warning(plain(note), icon=":material/block:")


def least_stays(curves: PruningCurves, cost: str, precision: Precision) -> int:
    """Return the tightest budget that a plan can keep, in percent, rounded up to a slider step."""
    return max(STEP, STEP * math.ceil(100 * least_share(curves, cost, precision) / STEP))


def _fill(
    curves: PruningCurves, mix: Mix[float], cost: str, budget: float, precision: Precision
) -> None:
    """Set every slider to the plan, or say why there is none."""
    from optim.analysis.channel_plan import plan_channels

    try:
        plan = plan_channels(curves, budget=budget, of=cost, precision=precision)
    except (RefusedError, ValueError) as error:
        st.session_state[state.CHANNEL_NOTE] = str(error)
        return
    mix.choose(measured_cuts(dict(plan), curves))


def timed_precision(candidate: Candidate) -> Precision:
    """Return the precision of a candidate's layers: layers are timed in FP32 and INT8."""
    return Precision.INT8 if candidate.recipe.precision in INTEGER_PRECISIONS else Precision.FP32


def foreseen(curves: PruningCurves, cuts: Cuts, precision: Precision) -> str:
    """Return what the curves predict for the shares together, before they are measured."""
    cut = [(c, point_at(c, cuts[c.layer])) for c in curves.curves if cuts[c.layer] > 0]
    if not cut:
        return "Every layer stays whole. What it gives is known when it is measured."
    curve, dearest = min(cut, key=lambda each: (each[1].score, -each[1].loss))
    costs = costs_told(curves, cuts, precision)
    told = f"What is left: {', '.join(costs)}. " if costs else ""
    return told + (
        f"The dearest of these cuts, {curve.layer}, alone and untrained: {lost(curves, dearest)} "
        "on validation. Losses add up, and fine-tuning wins much of them back: measure it."
    )
