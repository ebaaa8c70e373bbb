"""Named presets of a task: recipes that combine everything, with what they promise.

They stand in ``headlines.json`` beside the task's card, found on *validation* data; what they give
is measured like any candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

from optim.recipe import Recipe
from optim.task import Task


@dataclass(frozen=True, kw_only=True)
class Headline:
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


def headlines(task: Task) -> tuple[Headline, ...]:
    """The named presets of a task, the gentlest first; empty if it has none.

    Raises:
        BrokenArtifactError: if the file cannot be read.
    """
    raise NotImplementedError
