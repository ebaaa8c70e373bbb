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

from optim.analysis.remedies import (
    MOST_LAYERS,
    WORTH_TELLING,
    Remedy,
    find_remedies,
    is_layer,
    slower_layers,
)
from optim.candidate import Candidate
from optim.engines.explainer import Explainer
from optim.engines.profile import FloatReason, OperatorTime, Profile
from optim.recipe import Quantize, Recipe

MOST_GROUPS = 4
NOTHING_MEASURED: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Meaning of a profile.

    Attributes:
        sentences: the most important first.
        remedies: what could be tried, in the order in which it is worth trying.
    """

    sentences: tuple[str, ...]
    remedies: tuple[Remedy, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
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
    explainer: Explainer | None,
    speedup: float | None = None,
    measured: Mapping[str, float] = NOTHING_MEASURED,
) -> Diagnosis:
    """Explain where the time of a file goes.

    Args:
        profile: of the file.
        parent: of the same network in FP32, timed on the same machine.
        recipe: how the file was made.
        explainer: of the engine; None if it says nothing of itself.
        speedup: how many times faster than that parent it is, timed interleaved; None before both
            are timed. A profile says where time goes, never whether a file is faster: taking it
            costs each kernel a little, and short kernels most.
        measured: how many times faster than the original other recipes are, by fingerprint.
    """
    slower = slower_layers(profile, parent) if recipe.step(Quantize) else {}
    sentences = [
        *_verdict(profile, parent, recipe, speedup),
        *_float_groups(profile, explainer.title if explainer else "the engine"),
        *_engine_overhead(profile),
        *_slower_sentence(slower),
    ]
    remedies = [
        replace(remedy, speedup=measured.get(remedy.recipe.fingerprint))
        if remedy.recipe
        else remedy
        for remedy in find_remedies(profile, parent, recipe, slower, explainer)
    ]
    return Diagnosis(sentences=tuple(sentences), remedies=tuple(remedies))


def diagnose_candidate(
    candidate: Candidate,
    profile: Profile,
    parent: Candidate | None,
    parent_profile: Profile | None,
    explainer: Explainer | None,
    others: Iterable[Candidate] = (),
) -> Diagnosis:
    """Explain a candidate with what the workspace knows.

    Args:
        candidate: with a file.
        profile: of its file.
        parent: the same network in FP32, the candidate of ``recipe.training_prefix()``.
        parent_profile: of the parent's file.
        explainer: of the engine that both were profiled on.
        others: candidates of the same task; those that are remedies tell what they gave.
    """
    latencies = (candidate.latency, parent.latency if parent else None)
    own, base = (None if latency is None else latency.speedup for latency in latencies)
    return diagnose(
        profile,
        parent_profile,
        recipe=candidate.recipe,
        explainer=explainer,
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
    if not quantized:
        return []
    if speedup is None and parent is not None:
        return [f"Whether it is faster than in FP32 is known once both are timed. {split}"]
    if speedup is None:
        return [split]
    if speedup >= 1:
        return [f"It is {speedup:.2f} times as fast as in FP32. {split}"]
    if parent is None:
        return [f"It is slower than in FP32: {speedup:.2f} times as fast. {split}"]
    return [
        f"It is slower than in FP32: {speedup:.2f} times as fast. By the profiles, "
        f"{_balance(profile, parent)}. {split}"
    ]


def _balance(profile: Profile, parent: Profile) -> str:
    """Return what layers, other operators and conversions gain or lose against the parent."""
    groups = ("layers", "other operators", "conversions and changes of layout")
    before, after = _by_group(parent), _by_group(profile)
    parts = [
        f"{name} {'lose' if after[i] > before[i] else 'gain'} {abs(after[i] - before[i]):.2f} ms"
        for i, name in enumerate(groups)
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _by_group(profile: Profile) -> tuple[float, float, float]:
    layers = sum(o.time_ms for o in profile.operators if is_layer(o))
    moved = sum(o.time_ms for o in profile.operators if o.overhead)
    return layers, profile.total_ms - layers - moved, moved


def _float_groups(profile: Profile, engine: str) -> list[str]:
    """Return one sentence for each kind of operator that stayed in float for one reason."""
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
            told.append(
                (time, _float_sentence(kind, reason, members, conversions, profile, engine))
            )
    return [sentence for _, sentence in sorted(told, reverse=True)[:MOST_GROUPS]]


def _float_sentence(
    kind: str,
    reason: str,
    members: list[OperatorTime],
    conversions: list[OperatorTime],
    profile: Profile,
    engine: str,
) -> str:
    count, one = len(members), len(members) == 1
    they, stay = ("it", "stays") if one else ("they", "stay")
    time = _share(sum(o.time_ms for o in (*members, *conversions)), profile)
    if members[0].code is FloatReason.NO_KERNEL:
        why = f" because {engine} has no INT8 kernel for {'it' if one else 'them'}; "
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


def _share(time_ms: float, profile: Profile) -> str:
    return f"{100 * time_ms / profile.total_ms:.0f} %"
