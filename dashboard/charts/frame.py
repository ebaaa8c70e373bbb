"""The frame of a Pareto plot: its axes, its size in pixels, and the way from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.charts.axes import Axis, XAxis
from dashboard.charts.points import Point
from dashboard.charts.theme import ChartTheme
from optim.search.pareto import Front


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Pixels. The width is a guess, for a page stretches its charts; only labels rely on it."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    @property
    def inner(self) -> tuple[float, float]:
        """Width and height of the plot itself."""
        return self.width - self.left - self.right, self.height - self.top - self.bottom

    def margin(self) -> dict[str, int]:
        """For ``layout.margin``."""
        return {"l": self.left, "r": self.right, "t": self.top, "b": self.bottom}


WIDE = Layout(width=700, height=440, left=62, right=10, top=12, bottom=80)
NARROW = Layout(width=350, height=450, left=52, right=8, top=12, bottom=132)


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything that the layers of one plot share."""

    front: Front
    kind: XAxis
    x: Axis
    y: Axis
    theme: ChartTheme
    layout: Layout
    staircase: tuple[Point, ...]
    narrow: bool

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the plot, for shown units, from the top left corner."""
        width, height = self.layout.inner
        return self.x.share(x) * width, (1 - self.y.share(y)) * height

    def spot(self, point: Point) -> tuple[float, float]:
        """A point in shown units."""
        return point.x * self.x.scale, point.y * self.y.scale
