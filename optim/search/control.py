"""Controls: does compressing beat a small network from scratch, or without a teacher?"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from optim.candidate import Candidate, Role
from optim.measure.measurement import Score
from optim.recipe import Prune, Recipe, Replace
from optim.search.pareto import Objective, costs_of, distinguishable
from optim.task.metric_words import drop_words

SIMILAR_LATENCY = 1.25


class Verdict(StrEnum):
    """The more accurate of a candidate and its control at similar latency."""

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


def compressed_beats_control(candidates: Iterable[Candidate]) -> tuple[ControlComparison, ...]:
    """Compare each control with the candidate of its kind and precision nearest in latency.

    A pruned network stands beside the same shape from scratch, a student beside one without a
    teacher. Where one of the very shape is measured, no other is compared; else only pairs whose
    latencies lie within a factor of 1.25, and controls without such a partner are left out.
    """
    measured = [c for c in candidates if c.measured and c.recipe.training_steps()]
    controls = [c for c in measured if c.role is Role.CONTROL]
    if not controls:
        return ()
    alike: dict[tuple[object, ...], list[_Timed]] = defaultdict(list)
    for candidate in measured:
        if candidate.role is Role.CANDIDATE:
            row = (_log_latency(candidate), candidate.id, candidate)
            alike[_kind(candidate)].append(row)
            alike[_kind(candidate), _shape(candidate.recipe)].append(row)
    for rows in alike.values():
        rows.sort(key=lambda row: row[:2])
    pairs = []
    for control in controls:
        partner = next(
            _nearest(alike.get((_kind(control), _shape(control.recipe)), []), control), None
        )
        if partner is None:
            partner = next(_nearest(alike.get(_kind(control), []), control, SIMILAR_LATENCY), None)
        if partner is not None:
            pairs.append(_compare(control, partner))
    return tuple(pairs)


_Timed = tuple[float, str, Candidate]
"""The logarithm of a latency, an id, and whose they are."""


def _nearest(
    rows: Sequence[_Timed], control: Candidate, factor: float = math.inf
) -> Iterator[Candidate]:
    """Yield the candidate nearest in latency, if any lies within the factor; rows are sorted."""
    own = _log_latency(control)
    i = bisect_left(rows, own, key=lambda row: row[0])
    first = bisect_left(rows, rows[i - 1][0], key=lambda row: row[0]) if i else 0
    near = [
        (abs(row[0] - own), row[1], row[2]) for row in (*rows[first : first + 1], *rows[i : i + 1])
    ]
    if near and min(near)[0] <= math.log(factor):
        yield min(near)[2]


def _kind(candidate: Candidate) -> tuple[object, ...]:
    return _is_student(candidate), candidate.recipe.precision


def _log_latency(candidate: Candidate) -> float:
    return math.log(costs_of(candidate, [Objective.LATENCY])[0])


def _more_and_less(score: Score) -> tuple[str, str]:
    """Return the words for a better and a worse score."""
    return ("more accurate", "less accurate") if score.metric == "accuracy" else ("better", "worse")


def _compare(control: Candidate, compressed: Candidate) -> ControlComparison:
    own, other = costs_of(compressed, [Objective.SCORE]), costs_of(control, [Objective.SCORE])
    difference = other[0] - own[0]
    name = f"{compressed.words()} against {control.words()}"
    training = "training" if _is_student(control) else "fine-tuning"
    effort = f"{_epochs(compressed)} of {training} against {_epochs(control)} of training"
    assert compressed.score is not None  # it is measured
    points = drop_words(compressed.score.scored_by, abs(difference))
    more, less = _more_and_less(compressed.score)
    if not distinguishable(compressed, control, Objective.SCORE):
        verdict = Verdict.TIED
        words = (
            f"Not distinguishable: {name} differ by {points}, inside their intervals ({effort})."
        )
    elif difference > 0:
        verdict = Verdict.COMPRESSED
        winner = "The teacher" if _is_student(control) else "Compressing"
        words = f"{winner} wins: {name}, {points} {more} at similar latency ({effort})."
    else:
        verdict = Verdict.CONTROL
        better = "without a teacher" if _is_student(control) else "trained from scratch"
        words = (
            f"The small network {better} wins: {name}, {points} {less} at "
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
    """Return the part of a recipe that decides width and depth, however the network was trained."""
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
