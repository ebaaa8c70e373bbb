"""Rows that cannot be read: a newer version of edge-optim wrote them, or they are damaged.

A new kind of step, role or job changes no table, so an older edge-optim may meet one. It leaves the
row out, says so in one sentence, shows the others, and touches nothing. The same goes for a row
whose content no version can have written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from optim.errors import OptimError

T = TypeVar("T")

LONGEST_REASON = 160
REPLACED = "\ufffd"
"""Stands in a text for bytes that are no text."""


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A row that is left out.

    Attributes:
        name: such as ``candidate c0ffee000001``.
        reason: what is not known here, or what is wrong.
        is_damaged: True if no version can have written the row so.
    """

    name: str
    reason: str
    is_damaged: bool = False


class DamagedRowError(ValueError):
    """A row holds what no version of edge-optim writes."""


def parsed(text: str) -> Any:
    """Read JSON that a row holds.

    Raises:
        DamagedRowError: if it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedRowError(f"its text is no JSON: {error}") from error


def read_or_leave(name: str, read: Callable[[], T]) -> T | Unread:
    """Read a row; what is not known here, or damaged, leaves it unread."""
    try:
        return read()
    except (
        OptimError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError
    ) as error:  # fmt: skip
        reason = str(error).rstrip(".")
        short = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} ..."
        is_damaged = isinstance(error, DamagedRowError) or REPLACED in reason + name
        return Unread(name=name, reason=short, is_damaged=is_damaged)


def unread_words(rows: Sequence[Unread]) -> str:
    """Return sentences on the rows of a newer version and on damaged ones; empty if none."""
    newer = _words(
        [row for row in rows if not row.is_damaged],
        "{were} written by a newer edge-optim ({reason}); {they} kept, and left out until you "
        "update.",
    )
    damaged = _words(
        [row for row in rows if row.is_damaged],
        "{were} damaged in the store ({reason}); {they} left out, and the others are shown. Make "
        "or measure again what is missing.",
    )
    return " ".join(filter(None, (newer, damaged)))


def _words(rows: Sequence[Unread], sentence: str) -> str:
    if not rows:
        return ""
    first, others = rows[0], len(rows) - 1
    name = f"{first.name} and {others} more" if others else first.name
    were, they = ("were", "they are") if others else ("was", "it is")
    return f"{name} {sentence.format(were=were, they=they, reason=first.reason)}"
