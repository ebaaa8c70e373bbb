"""Plain data in YAML, read so that it means what stands there, or refused.

YAML 1.1, which the library reads, takes ``010`` for 8, ``1:30`` for 90 and ``5e-1`` for a word; of
two equal keys it keeps the last. JSON and YAML 1.2 do not. Here a number is what all of them take
for the same one; whatever else looks like a number is refused, and a key stands once.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from optim.errors import BrokenRecipeError

if TYPE_CHECKING:
    import yaml

MAX_DEPTH = 8
MAX_DIGITS = 40
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
AGREED = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)\.[0-9]*)([eE][-+][0-9]+)?")
"""With a point, and a sign in the exponent: a float to readers of YAML 1.1 as well."""
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
LEFT_OUT = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
"""What YAML 1.1 also sees in plain words; a recipe holds none of it."""


def table_of(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a table of which each key stands once.

    Raises:
        BrokenRecipeError: naming the key that stands twice.
    """
    table: dict[Any, Any] = {}
    for key, value in pairs:
        if key in table:
            raise BrokenRecipeError(
                f"the key {key!r:.60} stands twice in the recipe file; write it once."
            )
        table[key] = value
    return table


def whole_number(text: str) -> int:
    """Return the number that these digits write in the decimal system.

    Raises:
        BrokenRecipeError: there are more of them than any field of a recipe needs, or readers do
            not agree on what they mean.
    """
    _check_length(text)
    if WHOLE.fullmatch(text) is None:
        raise _ambiguous(text)
    return int(text)


def data_from_yaml(text: str) -> object:
    """Return the data in a YAML text; what would be slow to read is refused before it is.

    Raises:
        BrokenRecipeError: not readable, nested deep, aliases, foreign tags, a key twice, a number
            that readers do not agree on.
    """
    import yaml

    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise BrokenRecipeError("a recipe file may not use YAML aliases (*name).")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise BrokenRecipeError(f"a recipe file may be nested {MAX_DEPTH} levels deep.")
        return yaml.load(text, Loader=_loader())  # a SafeLoader that understands less
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise BrokenRecipeError(f"the recipe file is not readable YAML: {reason}.") from error
    except (
        ValueError,
        TypeError,
        ArithmeticError,
        AttributeError,
        LookupError,
    ) as error:  # of the library's constructors
        raise BrokenRecipeError(
            f"the recipe file holds a value that cannot be read: {str(error)[:100]}."
        ) from error


@cache
def _loader() -> type[yaml.SafeLoader]:
    """Return a safe loader that reads numbers as JSON does and refuses equal keys."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(
            self, node: yaml.MappingNode, deep: bool = False
        ) -> dict[Hashable, Any]:
            table_of((self.construct_object(key, deep=True), None) for key, _ in node.value)
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag not in LEFT_OUT]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(f"^(?:{DECIMAL.pattern})$"), [*"-+.0123456789"]
    )
    Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: whole_number(node.value))
    Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: _decimal_number(node.value))
    return Loader


def _decimal_number(text: str) -> float:
    _check_length(text)
    if NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    if AGREED.fullmatch(text) is None:
        raise _ambiguous(text)
    return float(text)


def _check_length(text: str) -> None:
    if len(text) > MAX_DIGITS:
        raise BrokenRecipeError(
            f"the recipe file holds a number of {len(text):,} characters ({text[:20]}...); "
            f"{MAX_DIGITS} are enough for every field."
        )


def _ambiguous(text: str) -> BrokenRecipeError:
    return BrokenRecipeError(
        f"the number {text!r:.60} in the recipe file means different things to different readers. "
        "Write it in plain decimal digits, such as 10, 0.5 or 5.0e-1, or in quotes if it is a word."
    )
