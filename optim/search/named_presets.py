"""Named presets of a task: recipes that combine everything, with what they promise.

They stand in ``headlines.json`` beside the task's card, found on *validation* data; what they give
is measured like any candidate, and then the promise is kept here or it is not.
"""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass
from pathlib import Path

from optim.candidate import Candidate
from optim.errors import BrokenArtifactError, BrokenRecipeError, OptimError
from optim.recipe import Recipe
from optim.recipe.edit import trained_from_scratch
from optim.task.task import Task
from optim.words import points, times

ALL = "all"
"""Stands for every named preset of a task; none may be called so."""
LONGEST_NAME = 100
MOST_BYTES = 1_000_000
KEYS = ("name", "faster", "smaller", "drop", "recipe")


@dataclass(frozen=True, kw_only=True)
class NamedPreset:
    """A named recipe.

    Attributes:
        name: "12x faster for under 1 point": what the command line and the page call it.
        faster: times faster than the original that it promises on the machine it was found on; 0
            promises nothing.
        smaller: times smaller; 0 promises nothing.
        drop: accuracy that it may cost, 0..1.
        recipe: how it is made.
    """

    name: str
    faster: float
    smaller: float
    drop: float
    recipe: Recipe

    def __post_init__(self) -> None:
        named = isinstance(self.name, str) and 0 < len(self.name) <= LONGEST_NAME
        if not named or self.name == ALL:
            raise ValueError(f"name must be a text of 1 to {LONGEST_NAME} letters, not {ALL!r}")
        for field, most in (("faster", 1e6), ("smaller", 1e6), ("drop", 1.0)):
            value = getattr(self, field)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= most:
                raise ValueError(f"{field} must be a number from 0 to {most:g}, got {value!r:.40}")
            object.__setattr__(self, field, float(value))

    def promise(self) -> str:
        """Return the promise in words, such as "12x faster, 60x smaller within 1 point"."""
        parts = [
            f"{self.faster:g}x faster" if self.faster else "",
            f"{self.smaller:g}x smaller" if self.smaller else "",
        ]
        lost = f"{100 * self.drop:.4g}"
        within = f"within {lost} point{'' if lost == '1' else 's'}"
        return " ".join(filter(None, (", ".join(filter(None, parts)), within)))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A preset's promise held against what was measured here.

    Attributes:
        measured: "13.1x faster, -0.40 points".
        words: promise, figures and verdict in a line.
    """

    kept: bool
    measured: str
    words: str


def named_presets_path(task: Task) -> Path:
    """Return the path of a task's named presets; the file may be missing."""
    return task.folder / "headlines.json"


def named_presets(task: Task) -> tuple[NamedPreset, ...]:
    """Return the named presets of a task, the gentlest first; empty if it has none.

    Raises:
        BrokenArtifactError: if the file cannot be read.
    """
    path = named_presets_path(task)
    if not path.exists():
        return ()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it may have {MOST_BYTES:,} bytes")
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, list):
            raise ValueError("it must be a list")
        found = tuple(map(_read, rows))
        if len({each.name for each in found}) < len(found):
            raise ValueError("each name may stand once")
    except (OSError, ValueError, RecursionError, BrokenRecipeError) as error:
        raise BrokenArtifactError(
            f"{path.name} of {task.name} cannot be read: {str(error).rstrip('.')}. Restore the "
            "file, for example with `git checkout`."
        ) from error
    return tuple(sorted(found, key=lambda each: (each.drop, each.faster, each.smaller)))


def find_named_presets(task: Task, name: str) -> tuple[NamedPreset, ...]:
    """Return the named preset of this name, or all of them for ``all``.

    Raises:
        OptimError: naming the nearest, if there is none.
        BrokenArtifactError: if the file cannot be read.
    """
    known = named_presets(task)
    found = tuple(each for each in known if name in (each.name, ALL))
    if found or name == ALL:
        return found
    near = difflib.get_close_matches(name, [each.name for each in known], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise OptimError(
        f"{task.name} has no named preset {name!r:.120}.{hint} `edge-optim presets {task.name}` "
        "lists them."
    )


def outcome(
    preset: NamedPreset, candidate: Candidate, baseline: Candidate | None
) -> Outcome | None:
    """Hold a candidate against the promise of a named preset.

    Args:
        candidate: of any recipe; another one than the preset's says nothing of it.
        baseline: the original; its file is what is smaller.

    Returns:
        None unless it is this preset's recipe and everything promised is measured.
    """
    if candidate.recipe != preset.recipe or not candidate.measured:
        return None
    if preset.smaller and (baseline is None or baseline.artifact is None):
        return None
    assert candidate.latency is not None  # measured
    assert candidate.score is not None
    assert candidate.artifact is not None
    faster, difference = candidate.latency.speedup, candidate.score.difference
    smaller = math.inf
    if baseline is not None and baseline.artifact is not None:
        smaller = baseline.artifact.size_bytes / candidate.artifact.size_bytes
    parts = [
        f"{times(faster)} faster" if preset.faster else "",
        f"{times(smaller)} smaller" if preset.smaller else "",
        points(difference),
    ]
    measured = ", ".join(filter(None, parts))
    kept = (
        faster >= preset.faster and smaller >= preset.smaller and difference >= -preset.drop - 1e-9
    )
    verdict = "kept" if kept else "not kept here"
    return Outcome(
        kept=kept,
        measured=measured,
        words=f"promised {preset.promise()}: measured {measured}: {verdict}",
    )


def control_of(task: Task, recipe: Recipe) -> Recipe | None:
    """Return the same small network from scratch, which a recipe must beat to be worth anything.

    Returns:
        None if the recipe leaves the network as wide as it is, or is a control itself.
    """
    epochs = float(task.training.schedule["epochs"])
    return trained_from_scratch(recipe, epochs=epochs)


def _read(row: object) -> NamedPreset:
    if not isinstance(row, dict) or set(row) != set(KEYS):
        raise ValueError(f"each named preset needs the keys {', '.join(KEYS)} and no other")
    return NamedPreset(**{**row, "recipe": Recipe.from_dict(row["recipe"])})
