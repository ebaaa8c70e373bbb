"""Rows that cannot be read because a newer version of edge-optim wrote them.

A new kind of step, role or job changes no table, so an older edge-optim may meet one. It leaves the
row out, says so in one sentence, shows the others, and touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from optim.errors import OptimError

T = TypeVar("T")

LONGEST_REASON = 160


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A row that is left out.

    Attributes:
        name: such as ``candidate c0ffee000001``.
        reason: what is not known here.
    """

    name: str
    reason: str


def read_or_leave(name: str, read: Callable[[], T]) -> T | Unread:
    """Read a row; what is not known here leaves it unread."""
    try:
        return read()
    except (OptimError, ValueError, TypeError, KeyError) as error:
        reason = str(error).rstrip(".")
        short = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} ..."
        return Unread(name=name, reason=short)


def unread_words(rows: Sequence[Unread]) -> str:
    """One sentence on the rows that are left out; empty if there are none."""
    if not rows:
        return ""
    first, others = rows[0], len(rows) - 1
    if not others:
        return (
            f"{first.name} was written by a newer edge-optim ({first.reason}); it is kept, and "
            "left out until you update."
        )
    return (
        f"{first.name} and {others} more were written by a newer edge-optim ({first.reason}); they "
        "are kept, and left out until you update."
    )
