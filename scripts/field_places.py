"""How often each field of a recipe is written down: its attribute, its description, its use.

python scripts/field_places.py

A place is a file that spells the field, as a name, an attribute, a keyword or a text. The files of
the steps are one place, its attribute; everything that works with its value is one, its use; each
file in which a field is described, asked for or told is one of its own. A field whose name is an
ordinary word of other things as well (``epochs``, ``layers``) cannot be counted so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from optim.recipe.fields import controls

ROOT = Path(__file__).resolve().parent.parent
ATTRIBUTES = ("optim/recipe/training_steps.py", "optim/recipe/graph_steps.py")
WRITTEN_IN = (
    "optim/recipe", "optim/cli", "optim/report/commands.py", "dashboard/state", "dashboard/form",
    "dashboard/words", "dashboard/explore/options.py", "dashboard/train/controls.py",
    "dashboard/train/terms.py",
)  # fmt: skip
"""Where fields are described, asked for and told; everywhere else, and in edits, they are used."""
EDITS = "optim/recipe/edit.py"
ORDINARY_WORDS = frozenset(
    {
        "activations", "calibration", "criterion", "labels", "loss", "method", "patience",
        "pattern", "rounding", "rounds", "scope", "smooth",
    }
)  # fmt: skip


def field_places() -> dict[str, list[str]]:
    """The places of each field that is asked for alone and has a name of its own."""
    names = {field.name for _, field, _ in controls()} - ORDINARY_WORDS
    found: dict[str, list[str]] = {name: [] for name in sorted(names)}
    for path in sorted((*ROOT.glob("optim/**/*.py"), *ROOT.glob("dashboard/**/*.py"))):
        file = path.relative_to(ROOT).as_posix()
        place = _place(file)
        for name in names & set(_spelled(ast.parse(path.read_text(encoding="utf-8")))):
            if place not in found[name]:
                found[name].append(place)
    return found


def _place(file: str) -> str:
    if file in ATTRIBUTES:
        return "its attribute"
    return file if file.startswith(WRITTEN_IN) and file != EDITS else "its use"


def _spelled(tree: ast.Module) -> Iterator[str]:
    """Every name and every text of a module, options of the command line as names."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.Constant(value=str(text)):
                yield text.removeprefix("--").replace("-", "_")


if __name__ == "__main__":
    for name, places in field_places().items():
        print(f"{len(places)}  {name:22}{', '.join(places)}")
