"""How often each field of a recipe is written down: its attribute, its description, its use.

python scripts/field_places.py

A place is a file that spells the field, as a name, an attribute, a keyword or a text. All files of
the algorithms together are one place, the use. Fields whose name is also an ordinary word of other
things (``epochs``, ``layers``) cannot be counted by their name and are listed as such.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from optim.recipe.fields import FIELDS

ROOT = Path(__file__).resolve().parent.parent
WRITTEN_IN = ("optim/recipe", "optim/cli", "optim/report", "dashboard")
"""Where fields are described, asked for and told; everywhere else they are used."""
ORDINARY_WORDS = frozenset(
    {
        "activation", "activations", "architecture", "blocks", "calibration", "criterion",
        "distill", "epochs", "labels", "layers", "loss", "method", "pattern", "patience",
        "precision", "ratio", "rounding", "rounds", "scope", "smooth", "sparsity", "stride",
        "teacher", "unit", "width",
    }
)  # fmt: skip


def field_places() -> dict[str, list[str]]:
    """The places of each field with a name of its own, by that name; the use is called so."""
    names = {field.name for fields in FIELDS.values() for field in fields} - ORDINARY_WORDS
    found: dict[str, list[str]] = {name: [] for name in sorted(names)}
    for path in sorted((*ROOT.glob("optim/**/*.py"), *ROOT.glob("dashboard/**/*.py"))):
        file = path.relative_to(ROOT).as_posix()
        place = file if file.startswith(WRITTEN_IN) else "its use"
        for name in names & set(_spelled(ast.parse(path.read_text(encoding="utf-8")))):
            if place not in found[name]:
                found[name].append(place)
    return found


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
