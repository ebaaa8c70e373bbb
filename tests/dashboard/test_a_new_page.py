"""The page that docs/adding.md adds is there, with nothing touched but the files it lists."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard.pages
from tests.dashboard.fake_workspace import TASK, FakeWorkspace

ROOT = Path(dashboard.pages.__file__).resolve().parent.parent
MOST_LINES = 60


def written_diff() -> str:
    section = (
        (ROOT / "docs" / "adding.md").read_text(encoding="utf-8").partition("## A new page")[2]
    )
    found = re.search(r"```diff\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture
def copy(tmp_path: Path, fake: FakeWorkspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the dashboard with the change; its list of pages is the copy's own."""
    shutil.copytree(ROOT / "dashboard", tmp_path / "dashboard")
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=written_diff(), text=True, check=True)
    names: dict[str, object] = {"__name__": "dashboard.pages"}
    changed = (tmp_path / "dashboard" / "pages.py").read_text(encoding="utf-8")
    exec(compile(changed, "pages.py", "exec"), names)
    monkeypatch.setattr(dashboard.pages, "PAGES", names["PAGES"])
    yield tmp_path / "dashboard"
    st.cache_resource.clear()


def test_a_new_page_is_a_file_and_a_line() -> None:
    diff = written_diff()
    changed = [line for line in diff.splitlines() if re.match(r"[+-](?![+-])", line)]
    assert len(changed) < MOST_LINES
    assert re.findall(r"^\+\+\+ b/(\S+)", diff, re.M) == [
        "dashboard/pages.py",
        "dashboard/views/sizes.py",
    ]


def test_the_new_page_opens_and_stands_in_the_navigation(copy: Path, fake: FakeWorkspace) -> None:
    page = AppTest.from_file(str(copy / "app.py"), default_timeout=180)
    page.session_state["model_box"] = TASK
    page.switch_page("views/sizes.py").run()
    assert not page.exception, page.exception
    assert [title.value for title in page.title] == ["Sizes"]
    assert len(page.dataframe[0].value) == sum(c.artifact is not None for c in fake.rows.values())
    links = [link.proto.label for link in page.get("page_link")]
    assert links == [
        "Explore",
        "Sizes",
        "Compare",
        "Layers",
        "Distill & train",
        "Models & data",
        "Jobs",
    ]
