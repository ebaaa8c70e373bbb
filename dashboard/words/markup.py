"""Text that somebody else wrote, made safe for streamlit's markdown."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9]+([._][A-Za-z0-9]+)*")
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>$:~])")


def plain(text: str) -> str:
    """Return the same text with every markdown character escaped: it shows as it was written.

    >>> plain("a *b* <c>")
    'a \\\\*b\\\\* \\\\<c\\\\>'
    """
    return _SPECIAL.sub(r"\\\1", text)


def label(text: str) -> str:
    """Return text for the label of a widget, escaped only if markdown would change it.

    Labels are read aloud as they are written, and nobody wants to hear the backslashes of
    ``layer1\\.0\\.conv1``.

    >>> label("layer1.0.conv_pw"), label("1. *x*")
    ('layer1.0.conv_pw', '1\\\\. \\\\*x\\\\*')
    """
    return text if _NAME.fullmatch(text) else plain(text)
