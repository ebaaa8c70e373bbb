"""Why is a file not faster? The profile in sentences, and what could be tried.

Nothing here is promised: a remedy says "try", and tells what it gave only where that was measured.
A quantized file that is slower than its float parent is always explained: its time is the parent's
plus what each group of operators gained or lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from optim.candidate import Candidate
from optim.measure.profile import OperatorTime, Profile
from optim.recipe import (
    Activations,
    Fuse,
    MixedPrecision,
    Precision,
    Quantize,
    Recipe,
    ReplaceActivation,
    Step,
)
from optim.recipe.steps import STEP_ORDER, step_kind

WORTH_TELLING = 0.01
"""Share of the time below which a group of operators is not mentioned."""
MOST_GROUPS, MOST_LAYERS = 4, 3
NO_KERNEL = "ONNX Runtime has no INT8 kernel for "
REPLACEABLE = ("HardSwish", "SiLU", "Gelu", "HardSigmoid", "Elu", "Mish", "Erf", "Tanh", "Softplus")
HARD = ("HardSwish", "HardSigmoid")
NOTHING_MEASURED: Mapping[str, float] = MappingProxyType({})


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


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a profile means.

    Attributes:
        sentences: the most important first.
        remedies: what could be tried, in the order in which it is worth trying.
    """

    sentences: tuple[str, ...]
    remedies: tuple[Remedy, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "sentences": list(self.sentences),
            "remedies": [
                {
                    "words": remedy.words,
                    "recipe": None if remedy.recipe is None else remedy.recipe.to_dict(),
                    "speedup": remedy.speedup,
                }
                for remedy in self.remedies
            ],
        }


def diagnose(
    profile: Profile,
    parent: Profile | None = None,
    *,
    recipe: Recipe,
    speedup: float | None = None,
    measured: Mapping[str, float] = NOTHING_MEASURED,
) -> Diagnosis:
    """Explain where the time of a file goes.

    Args:
        profile: of the file.
        parent: of the same network in FP32, timed on the same machine.
        recipe: how the file was made.
        speedup: how many times faster than that parent it is, timed in turn; by default the
            profiles' totals are compared, which is less exact.
        measured: how many times faster than the original other recipes are, by fingerprint.
    """
    if speedup is None and parent is not None:
        speedup = parent.total_ms / profile.total_ms
    slower = _slower_layers(profile, parent) if recipe.step(Quantize) else {}
    sentences = [
        *_verdict(profile, parent, recipe, speedup),
        *_float_groups(profile),
        *_engine_overhead(profile),
        *_slower_sentence(slower),
    ]
    remedies = [
        replace(remedy, speedup=measured.get(remedy.recipe.fingerprint))
        if remedy.recipe
        else remedy
        for remedy in _remedies(profile, recipe, slower)
    ]
    return Diagnosis(sentences=tuple(sentences), remedies=tuple(remedies))


def diagnose_candidate(
    candidate: Candidate,
    profile: Profile,
    parent: Candidate | None,
    parent_profile: Profile | None,
    others: Iterable[Candidate] = (),
) -> Diagnosis:
    """Explain a candidate with what the workspace knows.

    Args:
        candidate: with a file.
        profile: of its file.
        parent: the same network in FP32, the candidate of ``recipe.training_prefix()``.
        parent_profile: of the parent's file.
        others: candidates of the same task; those that are remedies tell what they gave.
    """
    latencies = (candidate.latency, parent.latency if parent else None)
    own, base = (None if latency is None else latency.speedup for latency in latencies)
    return diagnose(
        profile,
        parent_profile,
        recipe=candidate.recipe,
        speedup=own / base if own and base else None,
        measured={c.recipe.fingerprint: c.latency.speedup for c in others if c.latency},
    )


def _verdict(
    profile: Profile, parent: Profile | None, recipe: Recipe, speedup: float | None
) -> list[str]:
    whole = _share(sum(o.time_ms for o in profile.operators if o.precision == "int8"), profile)
    moved = _share(sum(o.time_ms for o in profile.operators if o.overhead), profile)
    split = f"INT8 kernels take {whole} of the time, conversions and changes of layout {moved}."
    quantized = recipe.step(Quantize) is not None
    if not quantized or speedup is None:
        return [split] if quantized else []
    if speedup >= 1:
        return [f"It is {speedup:.2f} times as fast as in FP32. {split}"]
    if parent is None:
        return [f"It is slower than in FP32: {speedup:.2f} times as fast. {split}"]
    return [
        f"It is slower than in FP32: {speedup:.2f} times as fast. By the profiles, "
        f"{_balance(profile, parent)}. {split}"
    ]


def _balance(profile: Profile, parent: Profile) -> str:
    """What layers, other operators and conversions gain or lose against the parent."""
    groups = ("layers", "other operators", "conversions and changes of layout")
    before, after = _by_group(parent), _by_group(profile)
    parts = [
        f"{name} {'lose' if after[i] > before[i] else 'gain'} {abs(after[i] - before[i]):.2f} ms"
        for i, name in enumerate(groups)
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _by_group(profile: Profile) -> tuple[float, float, float]:
    layers = sum(o.time_ms for o in profile.operators if _is_layer(o))
    moved = sum(o.time_ms for o in profile.operators if o.overhead)
    return layers, profile.total_ms - layers - moved, moved


def _is_layer(operator: OperatorTime) -> bool:
    return bool(operator.layer) and any(k in operator.kernel for k in ("Conv", "Gemm", "MatMul"))


def _float_groups(profile: Profile) -> list[str]:
    """One sentence for each kind of operator that stayed in float for one reason."""
    around: dict[str, list[OperatorTime]] = {}
    groups: dict[tuple[str, str], list[OperatorTime]] = {}
    for operator in profile.operators:
        if operator.overhead and operator.operator:
            around.setdefault(operator.operator, []).append(operator)
        elif operator.reason:
            groups.setdefault((operator.operator or operator.kernel, operator.reason), []).append(
                operator
            )
    told = []
    for (kind, reason), members in groups.items():
        # The conversions count once, with the first reason that an operator has.
        conversions = around.pop(kind, [])
        time = sum(o.time_ms for o in (*members, *conversions))
        if time >= WORTH_TELLING * profile.total_ms:
            told.append((time, _float_sentence(kind, reason, members, conversions, profile)))
    return [sentence for _, sentence in sorted(told, reverse=True)[:MOST_GROUPS]]


def _float_sentence(
    kind: str,
    reason: str,
    members: list[OperatorTime],
    conversions: list[OperatorTime],
    profile: Profile,
) -> str:
    count, one = len(members), len(members) == 1
    they, stay = ("it", "stays") if one else ("they", "stay")
    time = _share(sum(o.time_ms for o in (*members, *conversions)), profile)
    if reason.startswith(NO_KERNEL):
        why = f" because {NO_KERNEL}{'it' if one else 'them'}; "
    else:
        why = f" ({reason}); "
    if not conversions:
        return (
            f"{count} {kind} {stay} in FP32{why}{they} take{'s' if one else ''} {time} of the time."
        )
    plural = "" if len(conversions) == 1 else "s"
    return (
        f"{count} {kind} {stay} in FP32{why}{they} and the {len(conversions)} conversion{plural} "
        f"around {'it' if one else 'them'} take {time} of the time."
    )


def _engine_overhead(profile: Profile) -> list[str]:
    own = [o for o in profile.operators if o.overhead and not o.operator]
    time = sum(o.time_ms for o in own)
    if time < WORTH_TELLING * profile.total_ms:
        return []
    kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(o.kernel for o in own).most_common())
    return [f"Input and changes of layout ({kinds}) take {_share(time, profile)} of the time."]


def _slower_layers(profile: Profile, parent: Profile | None) -> dict[str, tuple[float, float]]:
    """Layers in INT8 that take longer than in the parent: their times, here and there."""
    if parent is None:
        return {}
    before = {o.layer: o.time_ms for o in parent.operators if _is_layer(o)}
    found = {
        o.layer: (o.time_ms, before[o.layer])
        for o in profile.operators
        if _is_layer(o) and o.precision == "int8" and o.time_ms > before.get(o.layer, o.time_ms)
    }
    worth = {
        layer: times
        for layer, times in found.items()
        if times[0] - times[1] >= WORTH_TELLING * profile.total_ms
    }
    return dict(sorted(worth.items(), key=lambda item: item[1][1] - item[1][0]))


def _slower_sentence(slower: Mapping[str, tuple[float, float]]) -> list[str]:
    if not slower:
        return []
    named = [
        f"{layer} ({here:.3f} ms, in FP32 {there:.3f})"
        for layer, (here, there) in list(slower.items())[:MOST_LAYERS]
    ]
    one = len(slower) == 1
    more = f" and {len(slower) - MOST_LAYERS} more" if len(slower) > MOST_LAYERS else ""
    return [
        f"{len(slower)} layer{'' if one else 's'} {'is' if one else 'are'} slower in INT8 than in "
        f"FP32: {', '.join(named)}{more}."
    ]


def _remedies(
    profile: Profile, recipe: Recipe, slower: Mapping[str, tuple[float, float]]
) -> list[Remedy]:
    step = recipe.step(Quantize)
    found = []
    if step is not None and step.activations is not Activations.UINT8:
        found.append(_unsigned(recipe, step))
    found += _other_operators(profile, recipe)
    if slower and step is not None and step.activations is Activations.UINT8:
        found.append(_kept_in_float(recipe, list(slower)))
    unfolded = any(o.kernel == "BatchNormalization" for o in profile.operators)
    if unfolded and step is None and recipe.step(Fuse) is None:
        words = "Try folding the batch norms that the engine left alone."
        found.append(Remedy(words=words, recipe=_with(recipe, Fuse())))
    return found


def _unsigned(recipe: Recipe, step: Quantize) -> Remedy:
    half = step.precision is Precision.FP16
    static = Quantize() if half else replace(step, activations=Activations.UINT8)
    words = f"Try {static.precision.upper()} with unsigned 8-bit activations: "
    words += "ONNX Runtime's integer kernels are made for them."
    return Remedy(words=words, recipe=_with(recipe, static))


def _other_operators(profile: Profile, recipe: Recipe) -> list[Remedy]:
    """What helps against operators that have no integer kernel."""
    stuck = sorted({o.operator for o in profile.operators if o.reason.startswith(NO_KERNEL)})
    replaceable = [kind for kind in stuck if kind in REPLACEABLE]
    hard = [kind for kind in stuck if kind in HARD]
    found = []
    if replaceable and recipe.step(ReplaceActivation) is None:
        words = f"Try ReLU in place of {' and '.join(replaceable)}, with fine-tuning."
        found.append(Remedy(words=words, recipe=_with(recipe, ReplaceActivation())))
    if hard:
        words = "Try `edge-optim fuse` on the file: where its grids allow, it computes "
        found.append(Remedy(words=f"{words}{' and '.join(hard)} in INT8."))
    if stuck:
        words = "Try another engine: OpenVINO reads the same file, and may have kernels for "
        found.append(Remedy(words=f"{words}{' and '.join(stuck)}."))
    return found


def _kept_in_float(recipe: Recipe, layers: list[str]) -> Remedy:
    mixed = recipe.step(MixedPrecision)
    kept = {**dict(mixed.layers if mixed else ()), **dict.fromkeys(layers, Precision.FP32)}
    many = "this layer" if len(layers) == 1 else f"these {len(layers)} layers"
    more = ", ..." if len(layers) > MOST_LAYERS else ""
    return Remedy(
        words=f"Try leaving {many} in FP32: {', '.join(layers[:MOST_LAYERS])}{more}. "
        "The conversions it takes may cost more than it wins.",
        recipe=_with(recipe, MixedPrecision(layers=tuple(kept.items()))),
    )


def _with(recipe: Recipe, step: Step) -> Recipe:
    """The recipe with a step put in its place, instead of the one of its kind if there is one."""
    others = [own for own in recipe.steps if type(own) is not type(step)]
    steps = sorted((*others, step), key=lambda own: STEP_ORDER.index(step_kind(own)))
    return replace(recipe, steps=tuple(steps))


def _share(time_ms: float, profile: Profile) -> str:
    return f"{100 * time_ms / profile.total_ms:.0f} %"
