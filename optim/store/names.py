"""The names under which documents keep figures, so that those of earlier versions stay readable.

The code says *score* where documents have always said *accuracy*; here one becomes the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STORED = {"score": "accuracy", "score_drop": "accuracy_drop", "score_gain": "accuracy_gain"}
"""The code's name of a figure and the documents' name."""
KNOWN = {theirs: ours for ours, theirs in STORED.items()}


def to_stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the keys of one document to those it is kept under; nested ones stay as they are.

    >>> to_stored({"score": 0.9, "n": 100})
    {'accuracy': 0.9, 'n': 100}
    """
    return {STORED.get(key, key): value for key, value in values.items()}


def from_stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inverse of ``to_stored``."""
    return {KNOWN.get(key, key): value for key, value in values.items()}
