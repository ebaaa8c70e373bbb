"""What can be counted in source text: lines of code of a function, annotations, documentation."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from house_imports import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef
NO_CODE = frozenset(
    (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    )
)


@dataclass(frozen=True)
class Source:
    """The text of one file."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The whole file."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    def is_below(self, folder: str) -> bool:
        """True if the file lies in this folder of the checkout, at any depth."""
        return self.path.is_relative_to(ROOT / folder)

    @property
    def length(self) -> int:
        """How many lines the file has, blank ones and comments included."""
        return self.text.count("\n")

    @property
    def functions(self) -> Iterator[Function]:
        """Every function and method, inner ones included."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    @property
    def public(self) -> Iterator[Function | ast.ClassDef]:
        """The functions and classes of the file, and the methods of its public classes."""
        for node in self.tree.body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                yield node
                if isinstance(node, ast.ClassDef):
                    yield from (
                        method
                        for method in node.body
                        if isinstance(method, Function) and not method.name.startswith("_")
                    )

    def lines_of_code(self, function: Function) -> int:
        """How many lines of a function hold code: no docstring, no comment, nothing blank.

        Decorators are not counted; inner functions are.
        """
        end = function.end_lineno or function.lineno
        lines = {line for line in self._code if function.lineno <= line <= end}
        documented = [
            node.body[0]
            for node in ast.walk(function)
            if isinstance(node, Function | ast.ClassDef) and ast.get_docstring(node) is not None
        ]
        for text in documented:
            lines -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
        return len(lines)

    @cached_property
    def _code(self) -> frozenset[int]:
        """The lines that hold code."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return frozenset(
            line
            for token in tokens
            if token.type not in NO_CODE
            for line in range(token.start[0], token.end[0] + 1)
        )


def is_annotated(function: Function) -> bool:
    """True if the result and every argument but ``self`` and ``cls`` has a type."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    starred = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    return function.returns is not None and all(
        argument.annotation is not None
        for argument in (*named, *starred)
        if argument.arg not in ("self", "cls")
    )


def reads_of(tree: ast.Module, attribute: str, *, but_of: str) -> int:
    """How many times an attribute of this name is read in a file.

    Args:
        but_of: a module whose function has the same name: its calls are not counted.
    """
    return sum(
        isinstance(node, ast.Attribute)
        and node.attr == attribute
        and isinstance(node.ctx, ast.Load)
        and not (isinstance(node.value, ast.Name) and node.value.id == but_of)
        for node in ast.walk(tree)
    )
