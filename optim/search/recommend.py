"""One sentence of advice: what to take within the limits, what else, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optim.candidate import Candidate, Role
from optim.search.pareto import (
    Limits,
    Objective,
    costs_of,
    distinguishable,
    not_clearly_beaten,
    score_drop,
)
from optim.task.metric import ACCURACY, Metric
from optim.task.metric_words import drop_words
from optim.words import megabytes, milliseconds

SUPERLATIVE = {
    Objective.LATENCY: "fastest",
    Objective.SIZE: "smallest",
    Objective.SCORE: "most accurate",
}
COMPARATIVE = {
    Objective.LATENCY: "faster",
    Objective.SIZE: "smaller",
    Objective.SCORE: "more accurate",
}
ORDER = {
    Objective.LATENCY: (Objective.LATENCY, Objective.SCORE, Objective.SIZE),
    Objective.SIZE: (Objective.SIZE, Objective.SCORE, Objective.LATENCY),
    Objective.SCORE: (Objective.SCORE, Objective.LATENCY, Objective.SIZE),
}
"""What counts after the wish: the second decides among those that the first cannot tell apart."""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The recommended candidate, the runner-up and warnings.

    Attributes:
        candidate: the choice; None if no measured candidate keeps the limits.
        reason: one or two sentences for people.
        runner_up: what would be chosen if the choice were not there; None if it stands alone.
        price: what the runner-up costs and gives against the choice, in one sentence.
        distinguishable: False if choice and runner-up are tied in the wish.
        doubt: what speaks against relying on it, or nothing.
        relax: if nothing fits, which limit to relax and how far.
    """

    candidate: Candidate | None
    reason: str
    runner_up: Candidate | None = None
    price: str = ""
    distinguishable: bool = True
    doubt: str = ""
    relax: str = ""


def recommend(
    candidates: Iterable[Candidate], limits: Limits, *, goal: Objective | None = None
) -> Recommendation | None:
    """Choose among the candidates that keep every limit.

    Whoever sets a limit of time or size has what he wants inside it, so the most accurate is
    chosen; without one the fastest is. Candidates are as good as the best in the wish if nobody is
    clearly better: latency is compared by the speed-up and its interval, accuracy by the paired
    interval, size exactly. Of these the second objective decides, by the figures as they are. A
    control can be the choice: if a small network trained from scratch is the best within the
    limits, a user should hear it.

    Args:
        goal: the wish, where it does not follow from the limits.

    Returns:
        None if nothing is measured yet.
    """
    wish = goal or wish_of(limits)
    measured = [
        c for c in candidates if c.measured and all(map(math.isfinite, costs_of(c, ORDER[wish])))
    ]
    if not measured:
        return None
    baseline = next((c for c in measured if c.role is Role.BASELINE), None)
    broken = {c.id: limits.broken_by(c, baseline) for c in measured}
    inside = [c for c in measured if not broken[c.id]]
    if not inside:
        return Recommendation(
            candidate=None,
            reason="No measured candidate keeps all your limits.",
            relax=_relaxation(measured, limits, baseline),
        )
    choice = _chosen(inside, wish)
    others = [c for c in inside if c is not choice]
    runner_up = _chosen(others, wish) if others else None
    apart = runner_up is None or distinguishable(choice, runner_up, wish)
    return Recommendation(
        candidate=choice,
        reason=_reason(choice, inside, [c for c in measured if broken[c.id]], broken, limits, wish),
        runner_up=runner_up,
        price=_price(choice, runner_up),
        distinguishable=apart,
        doubt=_doubt(choice, runner_up, limits, baseline, apart=apart, wish=wish),
    )


def wish_of(limits: Limits) -> Objective:
    """Return the most accurate where time or size is limited, else the fastest."""
    is_bounded = limits.max_latency_ms is not None or limits.max_size_bytes is not None
    return Objective.SCORE if is_bounded else Objective.LATENCY


def _chosen(inside: Sequence[Candidate], wish: Objective) -> Candidate:
    """Return the best in the second objective of those that nobody clearly beats in the wish."""
    first, second, third = ORDER[wish]
    return min(
        not_clearly_beaten(inside, wish),
        key=lambda c: (*costs_of(c, (second, third, first)), c.id),
    )


def _reason(
    choice: Candidate,
    inside: Sequence[Candidate],
    outside: Sequence[Candidate],
    broken: Mapping[str, tuple[str, ...]],
    limits: Limits,
    wish: Objective,
) -> str:
    best = SUPERLATIVE[wish]
    within = "within your limits" if limits.are_set else "measured so far"
    own = costs_of(choice, [wish])
    leads = own <= min(costs_of(c, [wish]) for c in inside)
    if choice.role is Role.BASELINE and leads:
        return f"The original network is the {best} {within}; nothing else keeps up."
    subject = "The original network" if choice.role is Role.BASELINE else "It"
    reason = f"{subject} is the {best} candidate {within}."
    if not leads:
        second = SUPERLATIVE[ORDER[wish][1]]
        reason = f"{subject} is among the {best} {within}, and the {second} of those."
    if choice.role is Role.CONTROL:
        reason += " It is a small network trained from scratch, not a compressed one."
    better = [c for c in outside if costs_of(c, [wish]) < own]
    if better:
        nearest = max(better, key=lambda c: (costs_of(c, [wish]), c.id))
        word = COMPARATIVE[wish]
        reason += f" The next {word} one ({nearest.words()}) {broken[nearest.id][0]}."
    return reason


def _price(choice: Candidate, runner_up: Candidate | None) -> str:
    """Return the difference that taking the runner-up would make."""
    if runner_up is None:
        return "Nothing else that is measured fits."
    told = []
    own, other = (costs_of(c, ORDER[Objective.LATENCY]) for c in (choice, runner_up))
    slower, worse, larger = (b - a for a, b in zip(own, other, strict=True))
    if slower:
        told.append(f"{milliseconds(abs(slower))} {'slower' if slower > 0 else 'faster'}")
    amount = drop_words(_metric(choice), abs(worse))
    if amount != drop_words(_metric(choice), 0.0):
        told.append(f"{amount} {'worse' if worse > 0 else 'better'}")
    if larger:
        told.append(f"{megabytes(abs(larger))} {'larger' if larger > 0 else 'smaller'}")
    return f"The runner-up is {runner_up.words()}: {', '.join(told) or 'the same figures'}."


def _doubt(
    choice: Candidate,
    runner_up: Candidate | None,
    limits: Limits,
    baseline: Candidate | None,
    *,
    apart: bool,
    wish: Objective,
) -> str:
    doubts = []
    if runner_up is not None and not apart:
        doubts.append(
            f"It is not distinguishable from {runner_up.words()} in {wish}: the intervals overlap."
        )
    doubts.append(_edge(choice, limits, baseline))
    if choice.score is not None and choice.score.recorded:
        doubts.append(
            "Its accuracy is recorded with the file and not yet measured on this machine."
        )
    if choice.latency is not None:
        doubts.append(choice.latency.noise_words())
    return " ".join(filter(None, doubts))


def _edge(choice: Candidate, limits: Limits, baseline: Candidate | None) -> str:
    """Return a warning if the interval of the loss reaches over the limit."""
    limit, drop = limits.max_score_drop, score_drop(choice, baseline)
    if limit is None or drop is None or choice.score is None or choice.role is Role.BASELINE:
        return ""
    low, high = choice.score.difference_interval
    half, metric = (high - low) / 2, _metric(choice)
    if drop + half <= limit:
        return ""
    return (
        f"It is at the edge of your limit: it loses {drop_words(metric, drop)}, 95 % interval "
        f"{_bare(metric, drop - half)} to {_bare(metric, drop + half)}."
    )


def _relaxation(measured: Sequence[Candidate], limits: Limits, baseline: Candidate | None) -> str:
    """Return the one limit whose smallest relaxation lets a candidate in, or the nearest miss."""
    options: list[tuple[float, str]] = []
    for name in ("max_score_drop", "max_latency_ms", "max_size_bytes"):
        limit = getattr(limits, name)
        if limit is None:
            continue
        rest = Limits(**{**vars(limits), name: None})
        fitting = [c for c in measured if not rest.broken_by(c, baseline)]
        if fitting:
            needed = min(_needed(c, name, baseline) for c in fitting)
            options.append(
                (needed / max(limit, 1e-9), _relax_words(name, needed, _metric(fitting[0])))
            )
    if options:
        return min(options)[1]
    nearest = min(measured, key=lambda c: (len(limits.broken_by(c, baseline)), c.id))
    return (
        "No single limit is enough. The nearest candidate is "
        f"{nearest.words()}, which {' and '.join(limits.broken_by(nearest, baseline))}."
    )


def _needed(candidate: Candidate, name: str, baseline: Candidate | None) -> float:
    if name == "max_score_drop":
        drop = score_drop(candidate, baseline)
        return math.inf if drop is None else drop
    objective = Objective.LATENCY if name == "max_latency_ms" else Objective.SIZE
    return costs_of(candidate, [objective])[0]


def _relax_words(name: str, needed: float, metric: Metric) -> str:
    """Return a limit rounded up, so that as written it lets the candidate in."""
    match name:
        case "max_score_drop":
            if metric.right_or_wrong:
                points = math.ceil(needed * 1e4 - 1e-6) / 100
                return f"Allow {points:g} points of {metric.title.lower()} to be lost."
            worse = f"{_round_up(metric.scale * needed):g} {metric.step}".rstrip()
            return f"Allow {metric.title.lower()} to become worse by {worse}."
        case "max_latency_ms":
            return f"Allow {_round_up(needed):g} ms."
        case _:
            return f"Allow {_round_up(needed / 1e6):g} MB."


def _round_up(value: float) -> float:
    """Return three digits, never below the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2) if value > 0 else 1.0
    return math.ceil(value / step - 1e-9) * step


def _metric(candidate: Candidate) -> Metric:
    return ACCURACY if candidate.score is None else candidate.score.scored_by


def _bare(metric: Metric, drop: float) -> str:
    """Return a drop without its unit."""
    return drop_words(metric, drop).removesuffix(metric.step).rstrip()
