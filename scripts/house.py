"""The figures of the house, each with its bound; a bound that is missed is one sentence.

python scripts/house.py
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from field_places import field_places
from house_imports import ROOT, House, between_rooms, circles, longest_chain, room_of
from house_source import Function, Source, is_annotated, reads_of
from house_walls import FLOORS, LAZY_DOORS, arrows_up, strangers_that_meet

FOLDERS = ("optim", "dashboard", "sample_models", "scripts", "benchmarks")
"""Where every function is short, annotated, documented and checked by mypy."""
ENGINE_PLACES = ("optim.engines.onnxruntime", "optim.graph.runner")
READS_ACCURACY = ("optim.measure", "optim.report", "dashboard.words")
"""The rooms that may read the attribute ``accuracy``; files on the metric may as well."""
PAGE_BENCHMARK = ROOT / "benchmarks" / "page_rerun.py"
IMPORT_TIME = "import time; t = time.perf_counter(); import optim; print(time.perf_counter() - t)"
IMPORT_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the house.

    Attributes:
        name: what is counted.
        value: how much of it there is; None where nobody counts it yet.
        at_most: the bound; None where the figure is only told.
        where: the largest, or the first ones that should not be.
        not_yet: why the bound may be missed for now; empty where it may not.
    """

    name: str
    value: float | None
    at_most: float | None = None
    where: tuple[str, ...] = ()
    not_yet: str = ""

    @property
    def is_met(self) -> bool:
        """True if there is no bound, or the value keeps it."""
        return self.at_most is None or (self.value is not None and self.value <= self.at_most)

    @property
    def is_missed(self) -> bool:
        """True if the bound is not kept and must be."""
        return not self.is_met and not self.not_yet

    def row(self) -> str:
        """A line of the table."""
        value = "-" if self.value is None else f"{self.value:.4g}"
        bound = "" if self.at_most is None else f"<= {self.at_most:g}"
        note = f"not yet: {self.not_yet}" if self.not_yet else "MISSED"
        return f"{self.name:46} {value:>7}  {bound:7} {'' if self.is_met else note}".rstrip()

    def sentence(self) -> str:
        """What must hold, what came, and where."""
        where = ", ".join(self.where[:10])
        return (
            f"{self.name} must be at most {self.at_most:g}, got {self.value:.4g}"
            f"{': ' if where else ''}{where}."
        )


def figures() -> tuple[Figure, ...]:
    """Every figure, in the order of the table."""
    return (*_rooms(), *_walls(), *_files(), *_functions(), *_uses(), *_speed())


def _rooms() -> Iterable[Figure]:
    house = _house()
    arrows = between_rooms(house.arrows - LAZY_DOORS)
    chain = longest_chain(arrows)
    loose = tuple(sorted(path.stem for path in (ROOT / "optim").glob("[!_]*.py")))
    yield Figure(name="rooms", value=len({room_of(module) for module in house.trees}))
    yield Figure(name="arrows between rooms", value=len(arrows))
    yield Figure(name="floors (longest chain of rooms)", value=len(chain), at_most=14, where=chain)
    yield Figure(name="floors on the list", value=len(FLOORS), at_most=14)
    yield Figure(name="loose modules in optim", value=len(loose), at_most=10, where=loose)


def _walls() -> Iterable[Figure]:
    arrows = _house().arrows - LAZY_DOORS
    yield _none_of("arrows up", arrows_up(arrows))
    yield _none_of("between dashboard and command line", strangers_that_meet(arrows))
    yield _none_of("circles of files", map(" and ".join, circles(arrows)))
    yield _none_of("circles of rooms", map(" and ".join, circles(between_rooms(arrows))))


def _files() -> Iterable[Figure]:
    lengths = [source.length for source in _sources() if source.is_below("optim")]
    yield Figure(name="files in optim", value=len(lengths))
    yield Figure(name="lines of its median file", value=statistics.median(lengths), at_most=130)


def _functions() -> Iterable[Figure]:
    found = [(source, function) for source in _sources() for function in source.functions]
    lengths = {
        _place(source, function): source.lines_of_code(function) for source, function in found
    }
    longest = max(lengths, key=lambda place: lengths[place])
    yield Figure(name="functions", value=len(lengths))
    yield Figure(
        name="lines of code of the longest function",
        value=lengths[longest],
        at_most=60,
        where=tuple(place for place, lines in lengths.items() if lines > 60) or (longest,),
    )
    yield _none_of(
        "functions not annotated",
        (_place(source, function) for source, function in found if not is_annotated(function)),
    )
    yield _none_of(
        "public names not documented",
        (
            _place(source, node)
            for source in _sources()
            for node in source.public
            if ast.get_docstring(node) is None
        ),
    )
    yield _none_of("folders not checked by mypy", set(FOLDERS) - _checked_folders())


def _uses() -> Iterable[Figure]:
    house = _house()
    engine = {
        next((place for place in ENGINE_PLACES if module.startswith(place)), module)
        for module in house.importers_of("onnxruntime")
    }
    pruning = house.importers_of("torch_pruning")
    reads = {
        module: reads_of(tree, "accuracy", but_of="words")
        for module, tree in house.trees.items()
        if room_of(module) not in READS_ACCURACY and "metric" not in module
    }
    yield Figure(
        name="places that import onnxruntime",
        value=len(engine),
        at_most=2,
        where=tuple(sorted(engine)),
    )
    yield Figure(
        name="files that import torch_pruning",
        value=len(pruning),
        at_most=1,
        where=pruning,
    )
    yield Figure(
        name=".accuracy read outside metric and words",
        value=sum(reads.values()),
        at_most=0,
        where=tuple(module for module, count in reads.items() if count),
    )
    places = field_places()
    yield Figure(
        name="places where a recipe field is written",
        value=max(map(len, places.values())),
        at_most=3,
        where=tuple(name for name, found in places.items() if len(found) > 3),
    )


def _speed() -> Iterable[Figure]:
    command = [sys.executable, "-c", IMPORT_TIME]
    seconds = min(
        float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout)
        for _ in range(IMPORT_TRIES)
    )
    yield Figure(name="seconds to import optim, best of five", value=seconds, at_most=0.3)
    missing = () if PAGE_BENCHMARK.exists() else (str(PAGE_BENCHMARK.relative_to(ROOT)),)
    yield _none_of("benchmarks of a page's rerun that are missing", missing)


def _none_of(name: str, found: Iterable[str]) -> Figure:
    """A figure that must be 0."""
    where = tuple(sorted(found))
    return Figure(name=name, value=len(where), at_most=0, where=where)


def _place(source: Source, node: Function | ast.ClassDef) -> str:
    return f"{source.path.relative_to(ROOT)}:{node.lineno} {node.name}"


@cache
def _house() -> House:
    return House.read()


@cache
def _sources() -> tuple[Source, ...]:
    return tuple(Source(path) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def _checked_folders() -> set[str]:
    """The folders that mypy looks at, from its settings."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    return set(settings.get("files", ())) if settings.get("strict") else set()


def main() -> int:
    """Print the table, and a sentence for each missed bound; 1 if there is one."""
    found = figures()
    print("\n".join(figure.row() for figure in found))
    missed = [figure.sentence() for figure in found if figure.is_missed]
    print("\n".join(missed), end="\n" if missed else "", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
