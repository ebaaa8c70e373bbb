"""The walls of the house: imports go down, optim loads quickly, public names are documented."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import optim
from optim.cli import cli

ROOT = Path(__file__).resolve().parent.parent

FLOORS: tuple[tuple[str, ...], ...] = (
    # Ground floor first. A folder may import from its own floor and from those below.
    ("optim", "optim.errors", "optim.progress", "optim.words"),
    ("optim.artifact", "optim.engines", "optim.recipe"),
    ("optim.devices", "optim.graph", "optim.task"),
    ("optim.compress", "optim.measure", "optim.nas"),
    ("optim.candidate",),
    ("optim.search", "optim.store"),
    ("optim.pipeline", "optim.report", "optim.training_history"),
    ("optim.analysis",),
    ("optim.jobs",),
    ("optim.workspace",),
    ("optim.sweeps",),
    ("optim.cli", "optim.__main__", "sample_models"),
    ("dashboard",),
)
LAZY_DOORS = {("optim.cli.background", "dashboard.launch")}
"""Imports in a function that cross the walls on purpose: the command that opens the dashboard."""

PUBLIC_LOADS_NOTHING_HEAVY = """
import sys
import optim
heavy = ("torch", "onnxruntime", "onnx", "pandas", "plotly", "streamlit", "numpy")
print(*[name for name in heavy if name in sys.modules])
"""


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and tree of every module below some folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[str]:
    """Every module that a tree imports, inside functions as well, but not for types alone."""
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def floor_of(module: str) -> int:
    """The floor of the longest name that a module lies under."""
    homes = {home: level for level, floor in enumerate(FLOORS) for home in floor}
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        home = ".".join(parts[:length])
        if home in homes and (home != "optim" or module == "optim"):
            return homes[home]
    raise AssertionError(f"{module} stands on no floor; give it one in tests/test_architecture.py")


def test_imports_only_go_down() -> None:
    wrong = []
    for module, tree in modules("optim", "dashboard"):
        for imported in imports(tree):
            if not imported.startswith(("optim", "dashboard")):
                continue
            if (module, imported) in LAZY_DOORS:
                continue
            if floor_of(imported) > floor_of(module):
                wrong.append(f"{module} -> {imported}")
    assert wrong == []


def test_optim_imports_neither_streamlit_nor_the_dashboard() -> None:
    wrong = [
        f"{module} -> {imported}"
        for module, tree in modules("optim")
        for imported in imports(tree)
        if imported.split(".")[0] in ("streamlit", "dashboard")
        and (module, imported) not in LAZY_DOORS
    ]
    assert wrong == []


def test_charts_are_drawn_without_streamlit() -> None:
    found = dict(modules("dashboard/charts"))
    assert found, "dashboard/charts holds no module"
    assert [name for name, tree in found.items() if "streamlit" in set(imports(tree))] == []


def test_the_walls_are_seen() -> None:
    """The walk itself finds imports in functions and leaves out those for types."""
    tree = ast.parse(
        "import a.b\nif TYPE_CHECKING:\n    import c\ndef f():\n    from d.e import x\n"
    )
    assert list(imports(tree)) == ["a.b", "d.e"]
    assert floor_of("optim.jobs.queue") < floor_of("optim.workspace") < floor_of("dashboard.app")
    with pytest.raises(AssertionError, match="stands on no floor"):
        floor_of("optim.new_module")


def test_importing_optim_loads_nothing_heavy() -> None:
    process = subprocess.run(
        [sys.executable, "-c", PUBLIC_LOADS_NOTHING_HEAVY],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == ""


def test_the_command_line_starts_without_torch_and_engine() -> None:
    code = "import sys, optim.cli; print(*[m in sys.modules for m in ('torch', 'onnxruntime')])"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == ["False", "False"]


def test_every_public_name_is_there_and_documented() -> None:
    assert set(optim.__all__) <= set(dir(optim))
    for name in optim.__all__:
        found = getattr(optim, name)
        assert found.__module__.startswith("optim."), name
        assert inspect.getdoc(found), f"optim.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'prune_everything'"):
        _ = optim.prune_everything


def test_public_functions_and_classes_have_docstrings() -> None:
    missing = [
        f"{module}.{node.name}"
        for module, tree in modules("optim", "dashboard")
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert missing == []


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_with_examples_json_and_stands_in_the_docs(name: str) -> None:
    command = cli.commands[name]
    assert "Example" in (command.help or "")
    assert f"edge-optim {name}" in (command.help or "")
    options = {text for parameter in command.params for text in parameter.opts}
    assert {"--json", "--workspace"} <= options
    undocumented = [
        parameter.name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert undocumented == []
    docs = (ROOT / "docs" / "command-line.md").read_text()
    assert f"## {name}\n" in docs
    assert [text for text in options if text.startswith("--") and text not in docs] == []


@pytest.mark.parametrize(
    "words",
    ["unsafe_allow" + "_html", "weights_only" + "=False", "TO" + "DO", "FIX" + "ME"],
)
def test_no_file_says(words: str) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "Makefile"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert tracked
    pattern = re.compile(rf"\b{re.escape(words)}\b")
    assert [name for name in tracked if pattern.search((ROOT / name).read_text())] == []
