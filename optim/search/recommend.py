"""One sentence of advice: the fastest candidate within the limits, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from optim.candidate import Candidate, Role
from optim.recipe import Prune, Recipe, Replace
from optim.search.pareto import Limits, Objective, costs_of, distinguishable, score_drop

SIMILAR_LATENCY = 1.25
AS_GOOD = 1.05
"""Within this factor of the best, nobody notices the difference: accuracy decides."""


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What to take.

    Attributes:
        candidate: the choice; None if no measured candidate keeps the limits.
        reason: one or two sentences for people.
        runner_up: the next best within the limits.
        distinguishable: False if choice and runner-up are tied in the goal.
        doubt: what speaks against relying on it, or nothing.
        relax: if nothing fits, which limit to relax and how far.
    """

    candidate: Candidate | None
    reason: str
    runner_up: Candidate | None = None
    distinguishable: bool = True
    doubt: str = ""
    relax: str = ""


class Verdict(StrEnum):
    """Who is more accurate at similar latency."""

    COMPRESSED = "compressed"
    CONTROL = "control"
    TIED = "tied"


@dataclass(frozen=True, kw_only=True)
class ControlComparison:
    """A pruned candidate beside the small network that was trained from scratch.

    Attributes:
        difference: accuracy of the compressed one minus the control's, a share.
        words: the verdict in one sentence, with both efforts.
    """

    control: Candidate
    compressed: Candidate
    difference: float
    verdict: Verdict
    words: str


def recommend(
    candidates: Iterable[Candidate], limits: Limits, *, goal: Objective = Objective.LATENCY
) -> Recommendation | None:
    """The candidate that is best in the goal among those that keep every limit.

    Those within 5 % of the best are as good as it, and the most accurate of them is taken. A
    control can be the choice: if a small network trained from scratch is the best within the
    limits, a user should hear it.

    Returns:
        None if nothing is measured yet.
    """
    measured = [c for c in candidates if c.measured and math.isfinite(costs_of(c, [goal])[0])]
    if not measured:
        return None
    baseline = next((c for c in measured if c.role is Role.BASELINE), None)
    order = [goal, Objective.SCORE, Objective.SIZE]
    inside = sorted(
        (c for c in measured if not limits.broken_by(c, baseline)),
        key=lambda c: (*costs_of(c, order), c.id),
    )
    if not inside:
        return Recommendation(
            candidate=None,
            reason="No measured candidate keeps all your limits.",
            relax=_relaxation(measured, limits, baseline),
        )
    if goal is not Objective.SCORE:
        nearly = [c for c in inside if costs_of(c, [goal])[0] <= AS_GOOD * _best(inside, goal)]
        choice = min(nearly, key=lambda c: (*costs_of(c, [Objective.SCORE, goal]), c.id))
        inside = [choice, *(c for c in inside if c is not choice)]
    choice, runner_up = inside[0], inside[1] if len(inside) > 1 else None
    apart = runner_up is None or distinguishable(choice, runner_up, goal)
    return Recommendation(
        candidate=choice,
        reason=_reason(choice, measured, limits, baseline, goal),
        runner_up=runner_up,
        distinguishable=apart,
        doubt=_doubt(choice, runner_up, apart=apart, goal=goal),
    )


def compressed_beats_control(candidates: Iterable[Candidate]) -> tuple[ControlComparison, ...]:
    """Each control beside the candidate of its kind and precision that is nearest in latency.

    A pruned network stands beside the same shape from scratch, a student beside one without a
    teacher. Where one of the very shape is measured, no other is compared; else only pairs whose
    latencies lie within a factor of 1.25, and controls without such a partner are left out.
    """
    measured = [c for c in candidates if c.measured and c.recipe.training_steps()]
    pairs = []
    for control in (c for c in measured if c.role is Role.CONTROL):
        alike = [
            (_shape(c.recipe) != _shape(control.recipe), _latency_gap(c, control), c.id, c)
            for c in measured
            if c.role is Role.CANDIDATE
            and _is_student(c) is _is_student(control)
            and c.recipe.precision is control.recipe.precision
        ]
        near = [row for row in alike if not row[0] or row[1] <= math.log(SIMILAR_LATENCY)]
        if near:
            pairs.append(_compare(control, min(near)[-1]))
    return tuple(pairs)


def _reason(
    choice: Candidate,
    measured: Sequence[Candidate],
    limits: Limits,
    baseline: Candidate | None,
    goal: Objective,
) -> str:
    best = "smallest" if goal is Objective.SIZE else "fastest"
    if goal is Objective.SCORE:
        best = "most accurate"
    within = "within your limits" if limits.are_set else "measured so far"
    if choice.role is Role.BASELINE:
        return f"The original network is the {best} {within}; nothing else keeps up."
    reason = f"It is the {best} candidate {within}."
    inside = [c for c in measured if not limits.broken_by(c, baseline)]
    if costs_of(choice, [goal])[0] > _best(inside, goal):
        reason = f"It is among the {best} {within}, and the most accurate of those."
    if choice.role is Role.CONTROL:
        reason += " It is a small network trained from scratch, not a compressed one."
    better = [
        c
        for c in measured
        if costs_of(c, [goal]) < costs_of(choice, [goal]) and limits.broken_by(c, baseline)
    ]
    if better:
        nearest = max(better, key=lambda c: costs_of(c, [goal]))
        word = {Objective.LATENCY: "faster", Objective.SIZE: "smaller"}.get(goal, "better")
        reason += (
            f" The next {word} one ({nearest.words()}) {limits.broken_by(nearest, baseline)[0]}."
        )
    return reason


def _best(candidates: Sequence[Candidate], goal: Objective) -> float:
    return min(costs_of(c, [goal])[0] for c in candidates)


def _doubt(choice: Candidate, runner_up: Candidate | None, *, apart: bool, goal: Objective) -> str:
    doubts = []
    if runner_up is not None and not apart:
        doubts.append(
            f"It is not distinguishable from {runner_up.words()} in {goal}: the intervals overlap."
        )
    if choice.score is not None and choice.score.recorded:
        doubts.append(
            "Its accuracy is recorded with the file and not yet measured on this machine."
        )
    if choice.latency is not None:
        doubts.append(choice.latency.unrest_words())
    return " ".join(filter(None, doubts))


def _relaxation(measured: Sequence[Candidate], limits: Limits, baseline: Candidate | None) -> str:
    """The single limit whose smallest relative relaxation lets somebody in, or the nearest miss."""
    options: list[tuple[float, str]] = []
    for name in ("max_score_drop", "max_latency_ms", "max_size_bytes"):
        limit = getattr(limits, name)
        if limit is None:
            continue
        rest = Limits(**{**vars(limits), name: None})
        fitting = [c for c in measured if not rest.broken_by(c, baseline)]
        if fitting:
            needed = min(_needed(c, name, baseline) for c in fitting)
            options.append((needed / max(limit, 1e-9), _relax_words(name, needed)))
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


def _relax_words(name: str, needed: float) -> str:
    """Rounded up, so that the limit as written lets the candidate in."""
    match name:
        case "max_score_drop":
            return f"Allow {math.ceil(needed * 1e4 - 1e-6) / 100:g} points of accuracy to be lost."
        case "max_latency_ms":
            return f"Allow {_round_up(needed):g} ms."
        case _:
            return f"Allow {_round_up(needed / 1e6):g} MB."


def _round_up(value: float) -> float:
    """Three digits, never below the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2) if value > 0 else 1.0
    return math.ceil(value / step - 1e-9) * step


def _latency_gap(a: Candidate, b: Candidate) -> float:
    """How far apart two latencies are: the absolute logarithm of their ratio."""
    latencies = costs_of(a, [Objective.LATENCY])[0], costs_of(b, [Objective.LATENCY])[0]
    return abs(math.log(latencies[0] / latencies[1]))


def _compare(control: Candidate, compressed: Candidate) -> ControlComparison:
    own, other = costs_of(compressed, [Objective.SCORE]), costs_of(control, [Objective.SCORE])
    difference = other[0] - own[0]
    name = f"{compressed.words()} against {control.words()}"
    training = "training" if _is_student(control) else "fine-tuning"
    effort = f"{_epochs(compressed)} of {training} against {_epochs(control)} of training"
    points = f"{abs(100 * difference):.2f} points"
    if not distinguishable(compressed, control, Objective.SCORE):
        verdict = Verdict.TIED
        words = (
            f"Not distinguishable: {name} differ by {points}, inside their intervals ({effort})."
        )
    elif difference > 0:
        verdict = Verdict.COMPRESSED
        winner = "The teacher" if _is_student(control) else "Compressing"
        words = f"{winner} wins: {name}, {points} more accurate at similar latency ({effort})."
    else:
        verdict = Verdict.CONTROL
        better = "without a teacher" if _is_student(control) else "trained from scratch"
        words = (
            f"The small network {better} wins: {name}, {points} less accurate at "
            f"similar latency ({effort}). Fine-tune longer, or take the small network."
        )
    return ControlComparison(
        control=control,
        compressed=compressed,
        difference=difference,
        verdict=verdict,
        words=words,
    )


def _shape(recipe: Recipe) -> tuple[object, ...]:
    """What decides how wide and deep the network is, however it was trained."""
    student, pruned = recipe.step(Replace), recipe.step(Prune)
    return (
        student and (student.architecture, student.width, student.stride),
        pruned and (pruned.ratio, pruned.unit, pruned.layers, pruned.blocks, pruned.round_to),
        pruned and pruned.scope,
    )


def _is_student(candidate: Candidate) -> bool:
    return candidate.recipe.step(Replace) is not None


def _epochs(candidate: Candidate) -> str:
    epochs = sum(step.epochs for step in candidate.recipe.training_steps())
    return "1 epoch" if epochs == 1 else f"{epochs:g} epochs"
