"""Sentences on a Pareto plot: for the caption, and for people who do not see it."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.charts.axes import XAxis
from dashboard.charts.pareto.points import points_of, staircase_of, third
from dashboard.words import words
from optim.candidate import Candidate, Role
from optim.search.pareto import Front, Objective, ranked_front
from optim.search.predict import Prediction

MOST_NAMED = 8


def as_front(front: Front | Sequence[Candidate]) -> Front:
    """Return a front; plain candidates are ranked in all three objectives."""
    return front if isinstance(front, Front) else ranked_front(front, tuple(Objective))


def alt_text(
    front: Front | Sequence[Candidate],
    *,
    x: XAxis = "latency",
    prediction: Prediction | None = None,
    recommended: str | None = None,
) -> str:
    """Return the plot in sentences, with its numbers, for people who do not see it."""
    ranked = as_front(front)
    if not ranked.measured:
        return f"An empty plot of accuracy against {x}: no candidate is measured yet."
    steps = staircase_of(ranked, x)
    sentences = [
        f"Plot of {_name(ranked)} against {x} with {_candidates(len(ranked.measured))}, "
        f"{len(steps)} of them on the front."
    ]
    if ranked.baseline is not None and ranked.baseline.measured:
        sentences.append(f"The original has {_figures(ranked.baseline)}.")
    named = [p.candidate for p in steps if p.candidate.role is not Role.BASELINE]
    if named:
        listed = "; ".join(f"{c.words()}: {_figures(c)}" for c in named[:MOST_NAMED])
        rest = f"; and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        sentences.append(f"On the front: {listed}{rest}.")
    choice = next((c for c in ranked.measured if c.id == recommended), None)
    if choice is not None:
        change = words.versus_baseline(choice, ranked.baseline)
        sentences.append(f"Recommended: {choice.words()}, {change}.")
    if prediction is not None:
        sentences.append(
            f"Predicted, not measured: {prediction.recipe.words()}, "
            f"{words.predicted(prediction, ranked.baseline)}."
        )
    if ranked.out_of_limits:
        sentences.append(f"{_candidates(len(ranked.out_of_limits))} outside your limits.")
    return " ".join(sentences)


def caption(front: Front, *, x: XAxis = "latency") -> str:
    """Return the objectives of the front and the meaning of its marks, for under the plot."""
    score = _name(front)
    names = [score if o is Objective.SCORE else str(o) for o in front.objectives]
    joined = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    parts = [f"The front is computed in {joined}"]
    behind = len(points_of(front.members, x)) - len(staircase_of(front, x))
    if third(x) in front.objectives and behind > 0:
        parts[0] += (
            f"; {_points(behind)} behind the staircase because of {_their(behind)} {third(x)}"
        )
    count = len(front.tied)
    if count:
        parts.append(
            f"{_candidates(count)} {'is' if count == 1 else 'are'} {words.TIED} from the front"
        )
    recorded = sum(1 for c in front.measured if c.score is not None and c.score.recorded)
    if recorded:
        parts.append(f"a rim marks {recorded} recorded {_plural(score, recorded)}")
    parts.append(f"lines through a point: 8 of 10 runs, and the 95 % interval of {score}")
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


def notice(front: Front) -> str | None:
    """Return a warning where the plot alone would mislead: too few points, nothing gained."""
    measured = front.measured
    if not measured:
        return "Nothing is measured yet. The first points appear here as soon as they are."
    if len(measured) == 1:
        return (
            f"Only one candidate is measured so far ({measured[0].words()}): a front needs at "
            "least two. Move the sliders and measure another one."
        )
    if not front.members:
        return "No measured candidate keeps all your limits. Relax one of them."
    if all(c.role is Role.BASELINE for c in front.members + front.tied):
        return (
            "The original beats every other candidate here: nothing that was tried is worth "
            "taking yet."
        )
    return None


def _name(front: Front) -> str:
    """Return the name of the score, for the middle of a sentence."""
    return words.metric_of(front.measured).title.lower()


def _figures(candidate: Candidate) -> str:
    latency = words.latency(candidate.latency.p50_ms if candidate.latency else None)
    size = words.size(candidate.artifact.size_bytes if candidate.artifact else None)
    return f"{words.score(candidate.score)} at {latency} and {size}"


def _candidates(count: int) -> str:
    return "1 candidate" if count == 1 else f"{count:,} candidates"


def _points(count: int) -> str:
    return "1 point lies" if count == 1 else f"{count} points lie"


def _their(count: int) -> str:
    return "its" if count == 1 else "their"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else word.removesuffix("y") + "ies"
