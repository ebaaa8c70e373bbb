"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share done, 0..1, and a sentence."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """The progress of a part of the work: its 0..1 becomes ``start`` to ``end`` of the whole."""
    return lambda share, words: progress(start + (end - start) * share, words)
