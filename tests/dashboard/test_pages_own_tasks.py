"""Every page opens for a task of a workspace's own, whatever its answers are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard.loaders
from dashboard.pages import PAGES
from optim.recipe import Recipe, recipe_of
from optim.store.analyses import AnalysisKind
from optim.workspace import Workspace
from tests.own_tasks import KINDS, own_task

APP = Path(dashboard.loaders.__file__).parent / "app.py"


@pytest.fixture(scope="module", params=KINDS)
def own(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, str]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    task = own_task(workspace.path, request.param)
    for recipe in (Recipe(), recipe_of(precision="int8")):
        made = workspace.make(task.name, recipe)
    workspace.analyse(made.id, AnalysisKind.PROFILE)
    workspace.analyse(made.id, AnalysisKind.WATERFALL)
    if request.param != "two inputs":
        baseline = workspace.candidate_of(task.name, Recipe())
        assert baseline is not None
        workspace.analyse(baseline.id, AnalysisKind.SENSITIVITY)
    return workspace, task.name


@pytest.fixture
def opened(own: tuple[Workspace, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    workspace, name = own
    monkeypatch.setattr(dashboard.loaders, "workspace", lambda: workspace)
    monkeypatch.setattr(Workspace, "ensure_worker", lambda self: None)
    yield name
    st.cache_resource.clear()


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_the_page_opens(opened: str, path: str) -> None:
    page = AppTest.from_file(str(APP), default_timeout=180)
    page.switch_page(path)
    page.query_params["model"] = opened
    page.session_state["model_box"] = opened
    page.run()
    assert not page.exception, page.exception
    title = Workspace(dashboard.loaders.workspace().path).task(opened).title
    assert any(title in text.value for text in (*page.caption, *page.markdown, *page.title)) or (
        path not in ("views/explore.py", "views/compare.py", "views/train.py")
    )
