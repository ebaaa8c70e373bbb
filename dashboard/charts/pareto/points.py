"""Points of the Pareto plots: which candidates share one, how large it is, what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from dashboard.charts.axes import XAxis, objective_of, stored_x
from dashboard.words import words
from optim.candidate import Candidate
from optim.search.pareto import Front, Objective, tied_pairs

SMALLEST, LARGEST = 9.0, 21.0
MOST_TWINS = 4

HOVER = (
    "<b>%{customdata[2]}</b>  %{customdata[1]}<br>"
    "%{customdata[3]}<br>%{customdata[4]}<br>%{customdata[5]}<br>"
    "<b>%{customdata[6]}</b><br>%{customdata[7]}<br><i>%{customdata[8]}</i><extra></extra>"
)
"""Fixed: texts of users stand in ``customdata``, escaped, and never in the template."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One marker: a candidate, and how many others stand on the very same spot.

    Attributes:
        x: in stored units, ms or bytes.
        y: the mean score, such as the share of right answers.
    """

    candidate: Candidate
    x: float
    y: float
    twins: tuple[Candidate, ...] = ()

    @property
    def count(self) -> int:
        """Number of candidates that the marker stands for."""
        return 1 + len(self.twins)


def points_of(candidates: Iterable[Candidate], x: XAxis) -> tuple[Point, ...]:
    """Return one point per spot; identical candidates share it, the first one lends its id."""
    spots: dict[tuple[float, float], list[Candidate]] = {}
    for candidate in candidates:
        if candidate.score is not None:
            spots.setdefault((stored_x(candidate, x), candidate.score.value), []).append(candidate)
    return tuple(
        Point(candidate=group[0], x=spot[0], y=spot[1], twins=tuple(group[1:]))
        for spot, group in spots.items()
    )


def staircase_of(front: Front, x: XAxis) -> tuple[Point, ...]:
    """Return the members that nobody beats in the two drawn objectives, from left to right.

    A front in three objectives has members that lie behind the staircase of two.
    """
    steps: list[Point] = []
    for point in sorted(points_of(front.members, x), key=lambda p: (p.x, _cost(p))):
        if not steps or _cost(point) < _cost(steps[-1]):
            steps.append(point)
    return tuple(steps)


def _cost(point: Point) -> float:
    assert point.candidate.score is not None  # else it had no height
    return point.candidate.score.cost


def third(x: XAxis) -> Objective:
    """Return the objective that the marker's size shows."""
    return Objective.SIZE if x == "latency" else Objective.LATENCY


def marker_sizes(candidates: Sequence[Candidate], x: XAxis) -> dict[str, float]:
    """Return diameter in pixels by id; the area grows with the logarithm of the third objective.

    Above 60 candidates all of them shrink, so that the plot does not become one blot.
    """
    crowd = min(1.0, (60 / max(1, len(candidates))) ** 0.25)
    other: XAxis = "size" if third(x) is Objective.SIZE else "latency"
    logs = {
        c.id: math.log(value)
        for c in candidates
        if (value := stored_x(c, other)) > 0 and math.isfinite(value)
    }
    low, high = min(logs.values(), default=0.0), max(logs.values(), default=0.0)
    span = (high - low) or 1.0
    return {
        c.id: crowd
        * math.sqrt(SMALLEST**2 + (LARGEST**2 - SMALLEST**2) * (logs.get(c.id, low) - low) / span)
        for c in candidates
    }


def ties_of(front: Front, x: XAxis) -> dict[str, tuple[str, ...]]:
    """Return who is tied with whom in the two drawn objectives, in words by id."""
    alive = front.members + front.tied
    names = {c.id: c.words() for c in alive}
    ties: dict[str, list[str]] = {}
    for a, b in tied_pairs(alive, (objective_of(x), Objective.SCORE)):
        ties.setdefault(a, []).append(names[b])
        ties.setdefault(b, []).append(names[a])
    return {key: tuple(value) for key, value in ties.items()}


def hover_texts(
    point: Point,
    baseline: Candidate | None,
    *,
    notes: Mapping[str, tuple[str, ...]],
    ties: Mapping[str, tuple[str, ...]],
) -> list[str]:
    """Return ``customdata`` of a point: its candidate's id, then the escaped texts of ``HOVER``."""
    c = point.candidate
    name = " = ".join(one.words() for one in (c, *point.twins[:MOST_TWINS]))
    if len(point.twins) > MOST_TWINS:
        name += f" and {len(point.twins) - MOST_TWINS} more"
    recorded = c.score is not None and c.score.recorded
    score = f"accuracy {words.NOTHING}"
    latency = "latency not measured yet"
    where = ""
    if c.score is not None:
        score = (
            f"{c.score.scored_by.title.lower()} {words.score(c.score)} "
            f"{words.score_half_width(c.score)}"
            f" (95 % interval, n = {c.score.n:,}), {'recorded' if recorded else 'measured'}"
        )
    if c.latency is not None:
        latency = f"latency {words.latency(c.latency.p50_ms)} ({words.latency_spread(c.latency)})"
        where = words.environment(c.latency.environment)
    size = f"file {words.size(c.artifact.size_bytes if c.artifact else None)}"
    note = [*notes.get(c.id, ())]
    if c.id in ties:
        others = ties[c.id]
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        note.append(f"{words.TIED} from {others[0]}{more}")
    texts = [
        c.id[:8],
        name,
        score,
        latency,
        size,
        words.versus_baseline(c, baseline),
        where,
        "; ".join(note),
    ]
    return [c.id, *map(escape, texts)]
