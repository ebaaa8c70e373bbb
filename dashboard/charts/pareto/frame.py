"""The frame of a Pareto plot: axes and pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dashboard.charts.axes import Axis, XAxis
from dashboard.charts.pareto.points import Point
from dashboard.charts.theme import ChartTheme
from dashboard.words import words
from optim.search.pareto import Front
from optim.task.metric import Metric


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Pixels of the plot itself, and around it.

    The width is a guess, for a page stretches its charts; only labels rely on it.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    axis: int

    def margin(self, legend_rows: int) -> dict[str, int]:
        """Return ``layout.margin``: axis title and legend have their room below the plot."""
        bottom = self.axis + LEGEND_ROW * legend_rows
        return {"l": self.left, "r": self.right, "t": self.top, "b": bottom}

    def total_height(self, legend_rows: int) -> int:
        """Return ``layout.height``."""
        return self.top + self.height + self.axis + LEGEND_ROW * legend_rows

    def fitted(self, total: int, legend_rows: int) -> Layout:
        """Return a frame whose plot fills a chart of this height, but never a sliver."""
        rest = self.total_height(legend_rows) - self.height
        return replace(self, height=max(120, total - rest))


LEGEND_ROW = 21
WIDE = Layout(width=640, height=350, left=62, right=10, top=12, axis=56)
NARROW = Layout(width=290, height=306, left=52, right=8, top=12, axis=54)


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

    @property
    def metric(self) -> Metric:
        """Metric that scores the candidates."""
        return words.metric_of(self.front.measured)

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies in the plot, in pixels from the top left corner."""
        return (
            self.x.share(x) * self.layout.width,
            (1 - self.y.share(y)) * self.layout.height,
        )

    def holds(self, y: float) -> bool:
        """True if a score, in shown units, is not below the view."""
        return self.y.share(y) >= 0

    def inside(self, y: float) -> float:
        """Return the score itself, or just above the lower edge of the view."""
        edge = self.y.low + 0.07 * (self.y.high - self.y.low)
        return y if self.y.share(y) >= 0.07 else edge

    def spot(self, point: Point) -> tuple[float, float]:
        """Return a point in shown units."""
        return point.x * self.x.scale, point.y * self.y.scale
