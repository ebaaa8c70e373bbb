"""Pages over a fake workspace: no network, no engine, no worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard.loaders
from optim.candidate import Candidate
from optim.recipe import recipe_of
from optim.search.pareto import Front, Objective, ranked_front
from optim.search.predict import Prediction, predict
from tests.dashboard.factories import sample_candidates
from tests.dashboard.fake_workspace import TASK, FakeWorkspace

APP = Path(dashboard.loaders.__file__).parent
Open = Callable[..., AppTest]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    workspace = FakeWorkspace(tmp_path)
    monkeypatch.setattr(dashboard.loaders, "workspace", lambda: workspace)
    monkeypatch.setattr(dashboard.loaders, "task_titles", lambda: {TASK: "A model"})
    return workspace


@pytest.fixture
def open_page(fake: FakeWorkspace) -> Iterator[Open]:
    """Open a page by its path below ``dashboard``, with URL parameters."""

    def opened(path: str = "app.py", **query: str) -> AppTest:
        page = AppTest.from_file(str(APP / "app.py"), default_timeout=180)
        if path != "app.py":
            page.switch_page(path)
        page.session_state["model_box"] = TASK
        for key, value in {"epochs": "1", **query}.items():  # as the fake candidates have
            page.query_params[key] = value
        page.run()
        assert not page.exception, page.exception
        return page

    yield opened
    st.cache_resource.clear()


@pytest.fixture(scope="module")
def candidates() -> tuple[Candidate, ...]:
    return sample_candidates()


@pytest.fixture(scope="module")
def front(candidates: tuple[Candidate, ...]) -> Front:
    return ranked_front(candidates, tuple(Objective))


@pytest.fixture(scope="module")
def prediction(candidates: tuple[Candidate, ...]) -> Prediction:
    guess = predict(recipe_of(pruning_ratio=0.4, precision="int8"), candidates)
    assert guess is not None
    return guess
