"""Numbers in words: the only file that writes percent, points, milliseconds and megabytes.

>>> share(0.9296), points(-0.0069), milliseconds(0.2412), megabytes(343_000), times(10.94)
('92.96 %', '-0.69 points', '0.241 ms', '343 KB', '10.9x')
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime


def share(value: float) -> str:
    """Return a share 0..1 in percent."""
    return f"{100 * value:.2f} %"


def points(difference: float) -> str:
    """Return a difference of two shares in percentage points, with its sign."""
    rounded = f"{100 * difference:+.2f}"
    return f"{'0.00' if float(rounded) == 0 else rounded} points"


def milliseconds(value_ms: float) -> str:
    """Return a time with three significant digits, always in ms."""
    return f"{value_ms:.{_decimals(value_ms)}f} ms"


def megabytes(size_bytes: float) -> str:
    """Return a size in KB below one MB (1 MB = 1,000,000 bytes), with three significant digits."""
    unit, size = ("KB", size_bytes / 1e3) if size_bytes < 1e6 else ("MB", size_bytes / 1e6)
    return f"{size:.{_decimals(size)}f} {unit}"


def times(factor: float) -> str:
    """Return a ratio, as in "10.9x faster"."""
    return f"{factor:.{_decimals(factor)}f}x"


def count(number: int) -> str:
    """Return an integer with separators."""
    return f"{number:,}"


def between(interval: tuple[float, float], write: Callable[[float], str]) -> str:
    """Return an interval; the unit is written once.

    >>> between((0.9244, 0.9345), share)
    '92.44 to 93.45 %'
    """
    low, high = map(write, interval)
    number, _, unit = low.partition(" ")
    return f"{number if unit and high.endswith(' ' + unit) else low} to {high}"


def decimals(n: int) -> int:
    """Return how many decimals of a percentage n examples justify."""
    return 2 if n >= 5000 else 1 if n >= 500 else 0


def digits(number: float, *, figures: int = 3) -> str:
    """Return a number with three significant figures and no trailing zeros.

    >>> digits(10.94), digits(0.2408), digits(7.90), digits(1234.6)
    ('10.9', '0.241', '7.9', '1,235')
    """
    if not math.isfinite(number):
        return "–"
    if number == 0:
        return "0"
    places = max(0, figures - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals(value: float) -> int:
    """Return the decimals that leave three significant digits, at most four."""
    if value <= 0:
        return 0
    return min(4, max(0, 2 - math.floor(math.log10(value))))


def moment(seconds: float | None) -> str | None:
    """Return seconds since 1970 as ISO 8601, UTC."""
    return None if not seconds else datetime.fromtimestamp(seconds, UTC).isoformat("T", "seconds")


def one_line(text: str) -> str:
    """Return foreign text as one line that a terminal shows as it is: white space becomes a space.

    >>> one_line("a\\n b\\x1b[31m")
    'a b\\\\x1b[31m'
    """
    return visible(" ".join(text.split()))


def visible(line: str) -> str:
    """Return a line in which every letter is shown and none is obeyed.

    Control characters, escape sequences, what turns the direction of writing and what no encoding
    holds become their numbers; spaces stay.
    """
    return "".join(map(_visible, line))


def _visible(letter: str) -> str:
    if unicodedata.category(letter)[0] != "C":
        return letter
    return letter.encode("unicode_escape").decode("ascii")
