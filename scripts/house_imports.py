"""The real import graph of the house: files, the rooms they stand in, and the floors of the rooms.

A room is a folder directly below ``optim`` or ``dashboard``, or a loose module beside the folders.
An arrow is an import, inside functions as well, or a module named in a string for a later import;
imports for types alone are none. A room may import from the floors below its own and from nowhere
else; two rooms on one floor know nothing of each other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("optim", "dashboard", "sample_models")

Arrow = tuple[str, str]
"""Who imports, and what."""


@dataclass(frozen=True)
class House:
    """The files of a tree and what each imports.

    Attributes:
        trees: the syntax tree of each module, by its name such as ``optim.store.results``.
    """

    trees: Mapping[str, ast.Module]

    @classmethod
    def read(cls, root: Path = ROOT, folders: Iterable[str] = FOLDERS) -> House:
        """Read every module below some folders of a checkout."""
        found = {}
        for folder in folders:
            for path in sorted((root / folder).rglob("*.py")):
                name = ".".join(path.relative_to(root).with_suffix("").parts)
                found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
        return cls(found)

    @cached_property
    def arrows(self) -> frozenset[Arrow]:
        """Each import of one file of the house by another, lazy doors included."""
        return frozenset(
            (module, imported)
            for module, tree in self.trees.items()
            for imported in self.imports_of(tree)
            if imported in self.trees and imported != module
        )

    def imports_of(self, tree: ast.Module) -> Iterator[str]:
        """Yield every module that a tree imports, those of others by their full names."""
        for_types = _for_types(tree)
        texts = _docstrings(tree)
        for node in ast.walk(tree):
            if node in for_types:
                continue
            match node:
                case ast.Import(names=names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(module=str(module), names=names):
                    inner = {f"{module}.{alias.name}" for alias in names}
                    yield from sorted(inner & self.trees.keys())
                    if not inner <= self.trees.keys():
                        yield module
                case ast.Constant(value=str(text)) if node not in texts:
                    module = text.split(":")[0]
                    if "." in module and module in self.trees:
                        yield module

    def importers_of(self, package: str) -> tuple[str, ...]:
        """The modules that import a package of others, such as ``onnxruntime``."""
        return tuple(
            module
            for module, tree in self.trees.items()
            if any(name.split(".")[0] == package for name in self.imports_of(tree))
        )


def room_of(module: str) -> str:
    """The room a module stands in; a package outside the two halves is one room."""
    top, *rest = module.split(".")
    return f"{top}.{rest[0]}" if rest and top in ("optim", "dashboard") else top


def between_rooms(arrows: Iterable[Arrow]) -> frozenset[Arrow]:
    """The arrows between rooms, each pair once."""
    pairs = ((room_of(importer), room_of(imported)) for importer, imported in arrows)
    return frozenset((importer, imported) for importer, imported in pairs if importer != imported)


def circles(arrows: Iterable[Arrow]) -> tuple[tuple[str, ...], ...]:
    """Groups of nodes that all reach each other (strongly connected components, Tarjan 1972)."""
    below = _below(arrows)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in below[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            position = stack.index(node)
            group = tuple(sorted(stack[position:]))
            del stack[position:]
            if len(group) > 1:
                found.append(group)

    for node in below:
        if node not in index:
            visit(node)
    return tuple(found)


def longest_chain(arrows: Iterable[Arrow]) -> tuple[str, ...]:
    """The longest way down, from the top; a way ends where it would meet itself."""
    below = _below(arrows)
    known: dict[str, tuple[str, ...]] = {}

    def chain(node: str, above: frozenset[str]) -> tuple[str, ...]:
        if node not in known:
            ways = (chain(n, above | {node}) for n in sorted(below[node]) if n not in above)
            known[node] = (node, *max(ways, key=len, default=()))
        return known[node]

    return max((chain(node, frozenset()) for node in sorted(below)), key=len, default=())


def _below(arrows: Iterable[Arrow]) -> dict[str, set[str]]:
    below: dict[str, set[str]] = {}
    for importer, imported in sorted(arrows):
        below.setdefault(importer, set()).add(imported)
        below.setdefault(imported, set())
    return below


def _for_types(tree: ast.Module) -> set[ast.AST]:
    """The nodes below ``if TYPE_CHECKING``."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }


def _docstrings(tree: ast.Module) -> set[ast.AST]:
    """Texts that stand alone: docstrings of modules, classes, functions and constants."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
