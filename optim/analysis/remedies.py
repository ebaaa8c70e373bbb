"""Remedies: what could make a file faster, read off its profile.

Nothing here is promised: a remedy says "try", and tells what it gave only where that was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from optim.engines.explainer import Explainer
from optim.engines.profile import FloatReason, OperatorTime, Profile
from optim.recipe import Activations, Fuse, Precision, Quantize, Recipe, ReplaceActivation
from optim.recipe.edit import keep_in_float

WORTH_TELLING = 0.01
"""Share of the time below which a group of operators or a layer is not mentioned."""
WORTH_A_REGION = 0.05
"""Share of the time that a float start must save by the profiles to be worth trying."""
MOST_LAYERS = 3
REPLACEABLE = ("HardSwish", "SiLU", "Gelu", "HardSigmoid", "Elu", "Mish", "Erf", "Tanh", "Softplus")


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """Something to try.

    Attributes:
        words: what, as an instruction.
        recipe: the recipe that does it; None if it takes a rewrite by hand or another engine.
        speedup: how many times faster than the original that recipe was measured here; None if it
            was not measured.
    """

    words: str
    recipe: Recipe | None = None
    speedup: float | None = None


def find_remedies(
    profile: Profile,
    parent: Profile | None,
    recipe: Recipe,
    slower: Mapping[str, tuple[float, float]],
    explainer: Explainer | None,
) -> list[Remedy]:
    """Find what could be tried, in the order in which it is worth trying.

    Args:
        profile: of a file.
        parent: of the same network in FP32, if it is known.
        recipe: how the file was made.
        slower: of ``slower_layers``.
        explainer: of the engine; None if it says nothing of itself.
    """
    step = recipe.step(Quantize)
    found = []
    if step is not None and step.activations is not Activations.UINT8:
        found += _unsigned(recipe, step, explainer)
    found += _other_operators(profile, recipe, explainer)
    if parent is not None and step is not None and step.activations is Activations.UINT8:
        stops = explainer.float_stops_before if explainer else ()
        found += _starting_in_float(recipe, profile, parent, stops)
        single = [layer for layer in slower if layer not in _before(profile, stops)]
        if single:
            found.append(_kept_in_float(recipe, single))
    unfolded = any(o.kernel == "BatchNormalization" for o in profile.operators)
    if unfolded and step is None and recipe.step(Fuse) is None:
        words = "Try folding the batch norms that the engine left alone."
        found.append(Remedy(words=words, recipe=recipe.with_step(Fuse())))
    return found


def _unsigned(recipe: Recipe, step: Quantize, explainer: Explainer | None) -> list[Remedy]:
    if explainer is None or not explainer.unsigned:
        return []
    half = step.precision is Precision.FP16
    static = Quantize() if half else replace(step, activations=Activations.UINT8)
    words = f"Try {static.precision.upper()} with unsigned 8-bit activations: "
    return [Remedy(words=words + explainer.unsigned, recipe=recipe.with_step(static))]


def _other_operators(profile: Profile, recipe: Recipe, explainer: Explainer | None) -> list[Remedy]:
    """Return remedies for operators that have no integer kernel."""
    stuck = sorted({o.operator for o in profile.operators if o.code is FloatReason.NO_KERNEL})
    replaceable = [kind for kind in stuck if kind in REPLACEABLE]
    rewritten = [kind for kind in stuck if explainer and kind in explainer.rewritten]
    found = []
    if replaceable and recipe.step(ReplaceActivation) is None:
        words = f"Try ReLU in place of {' and '.join(replaceable)}, with fine-tuning."
        found.append(Remedy(words=words, recipe=recipe.with_step(ReplaceActivation())))
    if rewritten:
        words = "Try `edge-optim fuse` on the file: where its quantizers allow, it computes "
        found.append(Remedy(words=f"{words}{' and '.join(rewritten)} in INT8."))
    if stuck and explainer and explainer.elsewhere:
        words = f"Try another engine: {explainer.elsewhere} {' and '.join(stuck)}."
        found.append(Remedy(words=words))
    return found


def slow_start(
    profile: Profile, parent: Profile, float_stops_before: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], float]:
    """Return the first layers that together take longer in INT8 than in the float parent.

    Small images with many channels suit INT8, large ones with few channels FP32. So where a network
    begins it often pays to stay in float up to one place: one conversion, not one for each layer.

    Args:
        profile, parent: of a quantized file and of its float parent.
        float_stops_before: of the engine's ``Explainer``.

    Returns:
        The layers up to the place where the lead of the parent is longest, and that lead in ms.
        Whatever runs between two layers counts for the first of them.
    """
    own, before = _elapsed(profile), _elapsed(parent)
    leads = {layer: own[layer] - before[layer] for layer in own if layer in before}
    ends = [layer for layer in leads if layer not in _before(profile, float_stops_before)]
    last = max(ends, key=lambda layer: leads[layer], default=None)
    if last is None or leads[last] <= 0:
        return (), 0.0
    names = list(leads)
    return tuple(names[: names.index(last) + 1]), leads[last]


def _before(profile: Profile, kernels: tuple[str, ...]) -> frozenset[str]:
    """Return layers with one of these kernels behind them."""
    return frozenset(
        o.layer for o in profile.operators if any(part in o.kernel for part in kernels)
    )


def _elapsed(profile: Profile) -> dict[str, float]:
    """Return milliseconds from the start until the next layer begins, for each layer."""
    elapsed, layer, found = 0.0, "", {}
    for operator in profile.operators:
        layer = operator.layer if is_layer(operator) else layer
        elapsed += operator.time_ms
        if layer:
            found[layer] = elapsed
    return found


def _starting_in_float(
    recipe: Recipe, profile: Profile, parent: Profile, float_stops_before: tuple[str, ...]
) -> list[Remedy]:
    layers, lead = slow_start(profile, parent, float_stops_before)
    if len(layers) < 2 or lead < WORTH_A_REGION * profile.total_ms:
        return []
    return [
        Remedy(
            words=f"Try leaving the first {len(layers)} layers in FP32, up to {layers[-1]}: by the "
            f"profiles FP32 is {lead:.2f} of {profile.total_ms:.2f} ms ahead there.",
            recipe=keep_in_float(recipe, layers),
        )
    ]


def _kept_in_float(recipe: Recipe, layers: list[str]) -> Remedy:
    many = "this layer" if len(layers) == 1 else f"these {len(layers)} layers"
    more = ", ..." if len(layers) > MOST_LAYERS else ""
    return Remedy(
        words=f"Try leaving {many} in FP32: {', '.join(layers[:MOST_LAYERS])}{more}. "
        "The conversions it takes may cost more than it wins.",
        recipe=keep_in_float(recipe, layers),
    )


def slower_layers(profile: Profile, parent: Profile | None) -> dict[str, tuple[float, float]]:
    """Return layers in INT8 that take longer than in the parent: their times, here and there."""
    if parent is None:
        return {}
    before = {o.layer: o.time_ms for o in parent.operators if is_layer(o)}
    found = {
        o.layer: (o.time_ms, before[o.layer])
        for o in profile.operators
        if is_layer(o) and o.precision == "int8" and o.time_ms > before.get(o.layer, o.time_ms)
    }
    worth = {
        layer: times
        for layer, times in found.items()
        if times[0] - times[1] >= WORTH_TELLING * profile.total_ms
    }
    return dict(sorted(worth.items(), key=lambda item: item[1][1] - item[1][0]))


def is_layer(operator: OperatorTime) -> bool:
    """True for the kernel of a convolution or matrix product."""
    return bool(operator.layer) and any(k in operator.kernel for k in ("Conv", "Gemm", "MatMul"))
