"""Numbers in words: the only file that writes percent, points, milliseconds and megabytes.

>>> share(0.9296), points(-0.0069), milliseconds(0.2412), megabytes(343_000), times(10.94)
('92.96 %', '-0.69 points', '0.241 ms', '343 kB', '10.9x')
"""

from __future__ import annotations

from collections.abc import Callable


def share(value: float) -> str:
    """A share 0..1 in percent."""
    return f"{100 * value:.2f} %"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign."""
    rounded = f"{100 * difference:+.2f}"
    return f"{'0.00' if float(rounded) == 0 else rounded} points"


def milliseconds(value_ms: float) -> str:
    """A time with three significant digits."""
    digits = 3 if value_ms < 1 else 2 if value_ms < 10 else 1
    return f"{value_ms:.{digits}f} ms"


def megabytes(size_bytes: float) -> str:
    """A size in kB below one MB (1 MB = 1,000,000 bytes), with three significant digits."""
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1_000:.{_digits(size_bytes / 1_000)}f} kB"
    return f"{size_bytes / 1_000_000:.{_digits(size_bytes / 1_000_000)}f} MB"


def times(factor: float) -> str:
    """A ratio, as in "10.9x faster"."""
    return f"{factor:.{_digits(factor)}f}x"


def count(number: int) -> str:
    """A whole number with separators."""
    return f"{number:,}"


def between(interval: tuple[float, float], write: Callable[[float], str]) -> str:
    """An interval; the unit is written once.

    >>> between((0.9244, 0.9345), share)
    '92.44 to 93.45 %'
    """
    low, high = map(write, interval)
    number, _, unit = low.partition(" ")
    return f"{number if unit and high.endswith(' ' + unit) else low} to {high}"


def _digits(value: float) -> int:
    return 2 if value < 10 else 1 if value < 100 else 0
