"""ONNX Runtime's messages, without what only its own developers can use."""

from __future__ import annotations

import re

from optim.words import one_line

LONGEST = 300
CODE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : ")
PLACE = re.compile(r"/\S+\.(?:cc|cpp|cu|h|hpp):\d+ ")
"""A place in the engine's source; the signature of a function follows."""
STATUS = re.compile(r"Non-zero status code returned while running (\w+) node\. .*Status Message: ")


def plain_reason(error: BaseException) -> str:
    """Return the first line of the engine's message, without codes, paths and signatures.

    >>> plain_reason(RuntimeError("[ONNXRuntimeError] : 1 : FAIL : /src/core/model.cc:18 "
    ...     "ns::(anonymous namespace)::load(const X&, int) const IR version 99 is too new."))
    'IR version 99 is too new.'
    """
    lines = str(error).strip().splitlines()
    text = CODE.sub("", lines[0]) if lines else ""
    while place := PLACE.search(text):
        text = text[: place.start()] + _after_signature(text[place.end() :])
    text = STATUS.sub(r"in \1: ", text)
    return one_line(text)[:LONGEST] or type(error).__name__


def _after_signature(text: str) -> str:
    """Return what follows a signature; the whole text if it begins with none."""
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and depth == 0 and text[i + 1 : i + 2] not in (":", "("):
            return text[i + 1 :].removeprefix(" const").removeprefix(" noexcept").lstrip()
    return text
