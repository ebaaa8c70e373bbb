"""The pages of the dashboard, a line each, as the navigation lists them; the first opens first."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.state import keys as state
from dashboard.state import training_keys as training_state


@dataclass(frozen=True)
class Listed:
    """A page in the navigation.

    Attributes:
        group: the heading that it stands under.
        path: its file, below ``dashboard``; the file's name is its address.
        title: as the navigation and the tab of the browser say it.
        icon: in front of the title.
    """

    group: str
    path: str
    title: str
    icon: str


PAGES = (
    Listed("Choose", state.EXPLORE, "Explore", ":material/scatter_plot:"),
    Listed("Choose", state.COMPARE, "Compare", ":material/compare_arrows:"),
    Listed("Understand", state.LAYERS, "Layers", ":material/layers:"),
    Listed("Understand", training_state.PAGE, "Distill & train", ":material/school:"),
    Listed("Set up", state.MODELS, "Models & data", ":material/upload_file:"),
    Listed("Set up", state.JOBS, "Jobs", ":material/list_alt:"),
)
