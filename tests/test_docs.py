"""What the documents say is so: snippets run, links lead somewhere, help is the help."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

import optim
from scripts.command_line_docs import DOCS, command_line_page
from tests.dashboard.factories import sample_candidates

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "first_steps.py"


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split()]


def first_python_snippet() -> str:
    found = re.search(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None
    return found.group(1)


def test_the_first_snippet_is_the_example_and_has_fewer_than_ten_lines() -> None:
    snippet = first_python_snippet()
    docstring, _, code = EXAMPLE.read_text(encoding="utf-8").partition("\n\n")
    assert docstring.startswith('"""')
    assert snippet == code
    assert len(snippet.strip().splitlines()) < 10


def test_the_first_snippet_gives_a_table_and_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With prebuilt candidates instead of training; the slow twin below leaves them out."""
    ready = {
        (c.recipe.pruning_ratio, c.recipe.precision): c
        for c in sample_candidates()
        if not c.recipe.is_control
    }
    monkeypatch.setattr(
        optim.Workspace,
        "make",
        lambda self, task, recipe, *, progress: ready[recipe.pruning_ratio, recipe.precision],
    )
    monkeypatch.setattr(optim.Workspace, "candidates", lambda self, task: sample_candidates())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(first_python_snippet(), "README.md", "exec"), names)
    table, figure = names["table"], names["figure"]
    assert isinstance(table, pd.DataFrame)
    assert table["recipe"].tolist() == [
        "original, FP32", "INT8", "prune 50 % of channels", "prune 50 % of channels, INT8",
    ]  # fmt: skip
    assert isinstance(figure, go.Figure)
    assert "speedup" in capsys.readouterr().out
    assert (tmp_path / "pareto.html").stat().st_size > 1000


@pytest.mark.slow
def test_the_example_runs_as_a_newcomer_would_run_it(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, str(EXAMPLE)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert "prune 50 % of channels, INT8" in process.stdout
    assert (tmp_path / "pareto.html").exists()


def test_the_page_of_the_command_line_is_its_help() -> None:
    assert DOCS.read_text(encoding="utf-8") == command_line_page(), (
        "docs/command-line.md is out of date. Run: python scripts/command_line_docs.py"
    )


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    missing = [
        target
        for target in targets
        if not re.match(r"[a-z]+:", target) and not (document.parent / target).exists()
    ]
    assert missing == []


def test_commands_in_the_documents_exist() -> None:
    from optim.cli import cli

    unknown = {
        (document.name, command)
        for document in documents()
        for command in re.findall(
            r"(?<![\w./\"-])edge-optim ([a-z]+(?:-[a-z]+)*)\b", document.read_text(encoding="utf-8")
        )
        if command not in cli.commands
    }
    words = {"itself", "on", "is", "runs"}  # "edge-optim itself" and the like are no commands
    assert {pair for pair in unknown if pair[1] not in words} == set()


def test_targets_of_make_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pattern = re.compile(r"`make ([a-z-]+)`|^    make ([a-z-]+)", re.MULTILINE)
    found = [
        pair
        for document in documents()
        for pair in pattern.findall(document.read_text(encoding="utf-8"))
    ]
    named = {target for pair in found for target in pair if target}
    assert {"run", "test", "check"} <= named
    assert [target for target in named if f"\n{target}:" not in makefile] == []


def test_every_decision_is_listed_and_says_what_would_change_our_mind() -> None:
    folder = ROOT / "docs" / "decisions"
    listing = (folder / "README.md").read_text(encoding="utf-8")
    pages = [path for path in folder.glob("*.md") if path.name != "README.md"]
    assert pages
    for page in pages:
        assert f"({page.name})" in listing
        for heading in ("**Question.**", "**Options.**", "**Choice.**", "change our mind"):
            assert heading in page.read_text(encoding="utf-8"), page.name


def test_locked_versions_cover_what_the_project_asks_for() -> None:
    locked = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    asked = {name.lower() for name in re.findall(r'^    "([A-Za-z0-9-]+)[>=",]', project, re.M)}
    assert "torch" in asked
    assert "pytest" in asked
    assert asked - locked == set()


MODULES_WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("optim", "dashboard")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES_WITH_EXAMPLES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
