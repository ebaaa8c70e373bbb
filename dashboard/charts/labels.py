"""Labels that do not lie on top of anything: a few texts, each put where it covers least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Along = Literal["leftwards", "downwards"]

CHARACTER_WIDTH = 6.3
LINE_HEIGHT = 16.0
DISTANCES = (16.0, 28.0, 44.0, 64.0, 88.0, 116.0)
DIRECTIONS = 16
SLIDES = (2.0, 40.0, 80.0, 130.0, 180.0, 240.0, 300.0, 380.0, 460.0)


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in pixels, y downwards; weight says how bad it is to cover it."""

    left: float
    top: float
    right: float
    bottom: float
    weight: float = 1.0

    def overlap(self, other: Box) -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Label:
    """A text that belongs to a point, in pixels.

    Attributes:
        along: the label of a line instead: it slides along it, to the left from the line's right
            end or downwards from its top.
    """

    lines: tuple[str, ...]
    x: float
    y: float
    along: Along | None = None

    @property
    def width(self) -> float:
        """About how wide the text is."""
        return CHARACTER_WIDTH * max(map(len, self.lines)) + 8

    @property
    def height(self) -> float:
        """How high the text is."""
        return LINE_HEIGHT * len(self.lines) + 4


def around(x: float, y: float, radius: float, *, weight: float = 1.0) -> Box:
    """The box of a marker."""
    return Box(left=x - radius, top=y - radius, right=x + radius, bottom=y + radius, weight=weight)


def segment(x0: float, y0: float, x1: float, y1: float, *, weight: float = 1.0) -> Box:
    """The box of a horizontal or vertical line, three pixels thick."""
    return Box(
        left=min(x0, x1) - 1.5,
        top=min(y0, y1) - 1.5,
        right=max(x0, x1) + 1.5,
        bottom=max(y0, y1) + 1.5,
        weight=weight,
    )


def place(
    labels: Sequence[Label], obstacles: Sequence[Box], *, width: float, height: float
) -> tuple[tuple[float, float], ...]:
    """Offsets from each label's point to the middle of its text, in pixels.

    Greedy in the order given; a label is an obstacle for the next ones. Leaving the frame costs
    most, then covering something, then distance.
    """
    taken = list(obstacles)
    offsets = []
    for label in labels:
        options = [
            (_cost(_box(label, dx, dy), taken, width, height) + 0.25 * math.hypot(dx, dy), dx, dy)
            for dx, dy in _offsets(label)
        ]
        _, dx, dy = min(options)
        taken.append(_grown(_box(label, dx, dy)))
        offsets.append((dx, dy))
    return tuple(offsets)


def _offsets(label: Label) -> list[tuple[float, float]]:
    """Where the text may stand: the nearest edge at some distance in some direction."""
    half_width, half_height = label.width / 2, label.height / 2
    if label.along == "leftwards":
        return [(-half_width - s, side * half_height) for s in SLIDES for side in (-1, 1)]
    if label.along == "downwards":
        return [(side * half_width, half_height + s) for s in SLIDES for side in (-1, 1)]
    offsets = []
    for distance in DISTANCES:
        for i in range(DIRECTIONS):
            angle = 2 * math.pi * i / DIRECTIONS
            cos, sin = math.cos(angle), math.sin(angle)
            offsets.append(
                (
                    cos * distance + _side(cos) * label.width / 2,
                    sin * distance + _side(sin) * label.height / 2,
                )
            )
    return offsets


def _side(part: float) -> float:
    return 0.0 if abs(part) < 0.3 else math.copysign(1.0, part)


def _box(label: Label, dx: float, dy: float) -> Box:
    return Box(
        left=label.x + dx - label.width / 2,
        top=label.y + dy - label.height / 2,
        right=label.x + dx + label.width / 2,
        bottom=label.y + dy + label.height / 2,
    )


def _grown(box: Box) -> Box:
    return Box(
        left=box.left - 3, top=box.top - 3, right=box.right + 3, bottom=box.bottom + 3, weight=4.0
    )


def _cost(box: Box, taken: Sequence[Box], width: float, height: float) -> float:
    beyond = (
        max(0.0, -box.left)
        + max(0.0, -box.top)
        + max(0.0, box.right - width)
        + max(0.0, box.bottom - height)
    )
    return 100 * beyond + sum(other.weight * box.overlap(other) for other in taken)
