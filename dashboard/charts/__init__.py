"""Charts: rows in, ``plotly`` figures out. Pure functions that know no page and no streamlit."""

from dashboard.charts.compare import ClassAccuracy, class_accuracy, metrics_figure, per_class_figure
from dashboard.charts.layers import PANELS, layers_alt, layers_figure
from dashboard.charts.objectives.three_objectives import three_objectives_figure
from dashboard.charts.pareto.hypervolume import hypervolume_figure
from dashboard.charts.pareto.pareto import pareto_figure
from dashboard.charts.pareto.sentences import alt_text, caption, notice
from dashboard.charts.pareto.traces import Pending
from dashboard.charts.pruning import layers_in_colour, pruning_alt, pruning_figure
from dashboard.charts.pruning_map import pruning_map
from dashboard.charts.theme import PLOT_CONFIG, ChartTheme, theme
from dashboard.charts.waterfall import waterfall_alt, waterfall_figure

__all__ = [
    "PANELS",
    "PLOT_CONFIG",
    "ChartTheme",
    "ClassAccuracy",
    "Pending",
    "alt_text",
    "caption",
    "class_accuracy",
    "hypervolume_figure",
    "layers_alt",
    "layers_figure",
    "layers_in_colour",
    "metrics_figure",
    "notice",
    "pareto_figure",
    "per_class_figure",
    "pruning_alt",
    "pruning_figure",
    "pruning_map",
    "theme",
    "three_objectives_figure",
    "waterfall_alt",
    "waterfall_figure",
]
