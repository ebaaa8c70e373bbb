"""Colours, fonts and one plotly template for each theme.

Methods are coloured by Okabe and Ito's palette, which people with any colour vision can tell apart;
a symbol always says the same thing again. Its yellow is darkened on light pages, and zeros have the
indigo of Tol's palette, for the eight are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import plotly.graph_objects as go

FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", system-ui, sans-serif'

PLOT_CONFIG: dict[str, object] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "responsive": True,
    "doubleClick": "reset",
    "toImageButtonOptions": {"format": "svg"},
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}
"""For every ``st.plotly_chart``: plotly 7 would show a button that uploads the chart.

A double click goes back to the first view. Plotly's own choice, all there is, would show the
far corners of the shaded areas."""

METHOD_COLOURS = {
    "original": "#1C2526",
    "fused": "#56B4E9",
    "quantized": "#0072B2",
    "pruned": "#E69F00",
    "pruned + quantized": "#009E73",
    "small net from scratch": "#CC79A7",
    "other activations": "#D55E00",
    "student": "#8A7B00",
    "sparse": "#332288",
}
METHOD_SYMBOLS = {
    "original": "star",
    "fused": "pentagon",
    "quantized": "circle",
    "pruned": "square",
    "pruned + quantized": "diamond",
    "small net from scratch": "triangle-up-open",
    "other activations": "hexagon",
    "student": "triangle-down",
    "sparse": "cross",
}


@dataclass(frozen=True, kw_only=True)
class ChartTheme:
    """Colours and template of the charts.

    Attributes:
        background: of page and plot.
        text, muted: ink; muted still has a contrast of 4.5 on the background.
        grid, guide: fine lines; guides stand out from the grid.
        primary: staircase, selection, recommendation.
        fill: below the staircase; volume: up to the reference point.
        bars, faint_bars: error bars, of the front and of beaten points.
        veil: behind labels, so that lines do not cross the text.
        limit, forbidden: a limit's line and the shade beyond it.
        predicted: the predicted point.
        outline: around solid markers.
        methods: colour of each method.
        template: carries all of this for plotly.
    """

    dark: bool
    background: str
    text: str
    muted: str
    grid: str
    guide: str
    primary: str
    fill: str
    volume: str
    bars: str
    faint_bars: str
    veil: str
    limit: str
    forbidden: str
    predicted: str
    outline: str
    methods: dict[str, str]
    template: go.layout.Template


@cache
def theme(dark: bool) -> ChartTheme:
    """Return the theme for light or dark pages."""
    if dark:
        colours = {
            "background": "#101516",
            "text": "#E6EAE8",
            "muted": "#9BA8A6",
            "grid": "#222A2B",
            "guide": "#55625F",
            "primary": "#5CC2A8",
            "fill": "rgba(92,194,168,0.06)",
            "volume": "rgba(92,194,168,0.13)",
            "bars": "rgba(230,234,232,0.38)",
            "faint_bars": "rgba(230,234,232,0.14)",
            "veil": "rgba(16,21,22,0.6)",
            "limit": "#F0884A",
            "forbidden": "rgba(240,136,74,0.08)",
            "predicted": "#F0884A",
            "outline": "#101516",
        }
        methods = {
            **METHOD_COLOURS,
            "original": "#F2F5F3",
            "quantized": "#4BA3DC",
            "pruned + quantized": "#2BBF95",
            "small net from scratch": "#DE94BE",
            "student": "#F0E442",
            "sparse": "#A79BE8",
        }
    else:
        colours = {
            "background": "#FBFBF9",
            "text": "#1C2526",
            "muted": "#5C6966",
            "grid": "#ECEDE8",
            "guide": "#A9B2AE",
            "primary": "#0B6E6E",
            "fill": "rgba(11,110,110,0.045)",
            "volume": "rgba(11,110,110,0.10)",
            "bars": "rgba(28,37,38,0.34)",
            "faint_bars": "rgba(28,37,38,0.13)",
            "veil": "rgba(251,251,249,0.62)",
            "limit": "#B84E00",
            "forbidden": "rgba(213,94,0,0.07)",
            "predicted": "#B84E00",
            "outline": "#FBFBF9",
        }
        methods = dict(METHOD_COLOURS)
    return ChartTheme(
        dark=dark, **colours, methods=methods, template=_template(colours, list(methods.values()))
    )


def _template(colours: dict[str, str], colorway: list[str]) -> go.layout.Template:
    axis = {
        "gridcolor": colours["grid"],
        "linecolor": colours["guide"],
        "tickcolor": colours["guide"],
        "tickfont": {"color": colours["muted"], "size": 12},
        "title": {"font": {"color": colours["muted"], "size": 13}, "standoff": 10},
        "zeroline": False,
        "automargin": True,
    }
    scene_axis = {
        "gridcolor": colours["guide"],
        "color": colours["muted"],
        "backgroundcolor": colours["background"],
        "showbackground": True,
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 13, "color": colours["text"]},
            "colorway": colorway[1:],
            "xaxis": axis,
            "yaxis": axis,
            "scene": {"xaxis": scene_axis, "yaxis": scene_axis, "zaxis": scene_axis},
            "hoverlabel": {
                "bgcolor": colours["background"],
                "bordercolor": colours["guide"],
                "font": {"family": FONT, "size": 13, "color": colours["text"]},
                "align": "left",
            },
            "legend": {
                "orientation": "h",
                "font": {"size": 12, "color": colours["text"]},
                "bgcolor": "rgba(0,0,0,0)",
                "itemclick": False,
                "itemdoubleclick": False,
            },
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": colours["muted"],
                "activecolor": colours["primary"],
                "orientation": "v",
            },
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        }
    )
