"""A link opened cold shows the same as the page it was copied from: field, plot, advice and card.

A second run of the script knows everything that the first one has set, so the first run is right if
it draws what the second one draws.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.state import keys as state
from tests.dashboard.fake_workspace import FakeWorkspace
from tests.dashboard.test_pages import texts

Open = Callable[..., AppTest]

LINKS = {
    "app.py": (
        {"max_drop": "1"},
        {"max_drop": "0.5"},
        {"max_ms": "0.5"},
        {"max_mb": "0.9"},
        {"max_drop": "1", "max_ms": "0.9", "max_mb": "2"},
        {"precision": "INT4"},
        {"prune": "40"},
        {"prune": "40", "unit": "macs"},
        {"prune": "40", "distill": "false"},
        {"prune": "40", "criterion": "l1", "scope": "global", "rounds": "3", "round_to": "8"},
        {"precision": "FP32", "fuse": "true"},
        {"student": "small resnet", "width": "50", "student_epochs": "4"},
        {"sparsity": "50", "pattern": "2:4"},
        {"precision": "INT8", "calibration": "minmax", "per_channel": "false", "bias": "false"},
        {"view": "Accuracy against size"},
        {"view": "All three", "three": "parallel"},
        {"view": "Table", "max_ms": "0.5"},
        {"dominated": "false", "log": "log", "iso": "true", "volume": "true"},
    ),
    state.LAYERS: ({"set": "Channels"}, {"panel": "bytes"}, {"sensitivity": "accuracy"}),
    "views/train.py": ({"student": "small resnet", "width": "50"},),
}


def drawn(page: AppTest) -> tuple[str, list[str], list[tuple[str, object]]]:
    """The words, plots and values of a page."""
    plots = [chart.proto.spec for chart in page.get("plotly_chart")]
    widgets = [*page.slider, *page.select_slider, *page.toggle, *page.number_input, *page.selectbox]
    return texts(page), plots, [(str(widget.key), widget.value) for widget in widgets]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param(path, query, id=f"{path}-{'-'.join(f'{k}={v}' for k, v in query.items())}")
        for path, links in LINKS.items()
        for query in links
    ],
)
def test_the_first_run_draws_what_the_second_one_draws(
    open_page: Open, path: str, query: dict[str, str]
) -> None:
    page = open_page(path, **query)
    first = drawn(page)
    assert first == drawn(page.run())


def test_limits_in_a_link_bind_the_advice_at_once(open_page: Open, fake: FakeWorkspace) -> None:
    """The fields once said 1 point while plot and advice allowed 2."""
    page = open_page(max_drop="0.1", max_mb="3")
    assert page.select_slider(key=state.MAX_DROP).value == "0.1"
    assert page.number_input(key=state.MAX_MB).value == 3.0
    assert "0.1 points lost" in page.get("plotly_chart")[0].proto.spec
    free = open_page(max_drop="no limit")
    assert texts(free) != texts(page)
