"""The walls of the house: imports go down, optim loads quickly, public names are documented.

The walls and the import graph are those of ``scripts/house.py``, which prints the figures.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import click
import pytest
from house_imports import ROOT, House, between_rooms, circles, room_of
from house_walls import FLOORS, LAZY_DOORS, arrows_up, strangers_that_meet

import optim
from optim.cli import cli

HOUSE = House.read()

PUBLIC_LOADS_NOTHING_HEAVY = """
import sys
import optim
heavy = ("torch", "onnxruntime", "onnx", "pandas", "plotly", "streamlit", "numpy")
print(*[name for name in heavy if name in sys.modules])
"""


def test_imports_only_go_down() -> None:
    assert arrows_up(HOUSE.arrows - LAZY_DOORS) == ()


def test_no_two_files_import_each_other_in_a_circle() -> None:
    arrows = HOUSE.arrows - LAZY_DOORS
    assert circles(arrows) == ()
    assert circles(between_rooms(arrows)) == ()


def test_dashboard_and_command_line_know_nothing_of_each_other() -> None:
    assert strangers_that_meet(HOUSE.arrows - LAZY_DOORS) == ()


def test_each_lazy_door_is_still_used() -> None:
    assert HOUSE.arrows >= LAZY_DOORS


def test_every_room_on_the_list_is_there() -> None:
    rooms = {room_of(module) for module in HOUSE.trees}
    listed = [room for floor in FLOORS for room in floor]
    assert sorted(rooms) == sorted(listed)


def test_torch_pruning_has_one_door() -> None:
    assert [*HOUSE.importers_of("torch_pruning")] == ["optim.compress.pruning.dependencies"]


def test_optim_knows_neither_streamlit_nor_the_dashboard() -> None:
    importers = (*HOUSE.importers_of("streamlit"), *HOUSE.importers_of("dashboard"))
    doors = {importer for importer, _ in LAZY_DOORS}
    assert [m for m in importers if m.split(".")[0] == "optim" and m not in doors] == []


def test_charts_are_drawn_and_worded_without_streamlit() -> None:
    pure = {m for m in HOUSE.trees if room_of(m) in ("dashboard.charts", "dashboard.words")}
    assert pure
    assert pure & set(HOUSE.importers_of("streamlit")) == set()


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
    docs = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
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
    assert [
        name for name in tracked if pattern.search((ROOT / name).read_text(encoding="utf-8"))
    ] == []


def test_onnx_runtime_is_imported_in_its_engine_and_in_the_runner_alone() -> None:
    doors = ("optim.engines.onnxruntime.", "optim.graph.runner")
    importers = [m for m in HOUSE.importers_of("onnxruntime") if m.split(".")[0] == "optim"]
    assert [m for m in importers if not m.startswith(doors)] == []


def test_only_the_table_and_graph_code_know_an_engine_by_name() -> None:
    """Whoever measures asks its target; graph code writes files for ONNX Runtime on purpose."""
    inside, homes = "optim.engines.onnxruntime", ("optim.engines", "optim.graph")
    knowing = {importer for importer, imported in HOUSE.arrows if imported.startswith(inside)}
    assert knowing
    assert [m for m in sorted(knowing) if not m.startswith(homes)] == []
