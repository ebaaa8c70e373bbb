"""Labels that do not lie on top of anything: a few texts, each put where it covers least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

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

    def row(self) -> tuple[float, float, float, float, float]:
        """Return the box as a row of an array: left, top, right, bottom, weight."""
        return self.left, self.top, self.right, self.bottom, self.weight


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
        """Height of the text, in pixels."""
        return LINE_HEIGHT * len(self.lines) + 4


def around(x: float, y: float, radius: float, *, weight: float = 1.0) -> Box:
    """Return the box of a marker."""
    return Box(left=x - radius, top=y - radius, right=x + radius, bottom=y + radius, weight=weight)


def segment(x0: float, y0: float, x1: float, y1: float, *, weight: float = 1.0) -> Box:
    """Return the box of a horizontal or vertical line, three pixels thick."""
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
    """Return offsets from each label's point to the middle of its text, in pixels.

    Greedy in the order given; a label is an obstacle for the next ones. Leaving the frame costs
    most, then covering something, then distance.
    """
    taken = [box.row() for box in obstacles]
    offsets = []
    for label in labels:
        options = _offsets(label)
        boxes = np.array([_box(label, dx, dy).row() for dx, dy in options])
        costs = _costs(boxes, np.array(taken).reshape(-1, 5), width, height)
        dx, dy = options[int(np.argmin(costs + 0.25 * np.hypot(*np.array(options).T)))]
        taken.append(_grown(_box(label, dx, dy)).row())
        offsets.append((dx, dy))
    return tuple(offsets)


def _offsets(label: Label) -> list[tuple[float, float]]:
    """Return where the text may stand: the nearest edge at some distance in some direction."""
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


def _costs(boxes: np.ndarray, taken: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return what each box covers and how far it leaves the frame; (n, 5) both, costs (n,)."""
    left, top, right, bottom = boxes[:, :4].T
    beyond = (
        np.maximum(0, -left)
        + np.maximum(0, -top)
        + np.maximum(0, right - width)
        + np.maximum(0, bottom - height)
    )
    across = np.minimum(right[:, None], taken[:, 2]) - np.maximum(left[:, None], taken[:, 0])
    down = np.minimum(bottom[:, None], taken[:, 3]) - np.maximum(top[:, None], taken[:, 1])
    covered = np.maximum(0, across) * np.maximum(0, down) @ taken[:, 4]
    costs: np.ndarray = 100 * beyond + covered
    return costs
