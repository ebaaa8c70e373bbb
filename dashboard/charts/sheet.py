"""The sheet on which the layers of a chart are collected before plotly sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go


@dataclass(kw_only=True)
class Sheet:
    """Plain traces, shapes and annotations; plotly checks them once, when the figure is made."""

    traces: list[dict[str, Any]] = field(default_factory=list)
    shapes: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def scatter(self, **trace: Any) -> None:
        """Put a scatter trace on top."""
        self.traces.append({"type": "scatter", "showlegend": False, **trace})

    def shape(self, **shape: Any) -> None:
        """Add a shape."""
        self.shapes.append(shape)

    def annotation(self, **annotation: Any) -> None:
        """Add a text."""
        self.annotations.append(annotation)

    @property
    def legend_names(self) -> Sequence[str]:
        """Names in the legend."""
        return [trace["name"] for trace in self.traces if trace["showlegend"]]

    def figure(self, layout: dict[str, Any]) -> go.Figure:
        """Return the finished figure."""
        return go.Figure(
            data=self.traces,
            layout={**layout, "shapes": self.shapes, "annotations": self.annotations},
        )
