"""Single quantities as text: times, sizes, shares, ratios, moments.

Latency is ms, size is bytes, and shares lie in 0..1; only here do they become words. Pages use them
through ``dashboard.words.words``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from optim.words import decimals, digits

NOTHING = "–"
"""Stands where a figure is not known."""


def latency(ms: float | None) -> str:
    """Return the time of one run.

    >>> latency(2.617), latency(0.0853), latency(1234.0)
    ('2.62 ms', '85.3 µs', '1.23 s')
    """
    if ms is None or not math.isfinite(ms):
        return NOTHING
    if ms < 0.09995:
        return f"{digits(ms * 1000)} µs"
    return f"{digits(ms)} ms" if ms < 999.5 else f"{digits(ms / 1000)} s"


def size(size_bytes: float | None) -> str:
    """Return bytes on disk, in units of 1,000.

    >>> size(337_000), size(7_900_000), size(512)
    ('337 KB', '7.9 MB', '512 bytes')
    """
    if size_bytes is None or not math.isfinite(size_bytes):
        return NOTHING
    if size_bytes < 1000:
        return f"{size_bytes:.0f} bytes"
    return _scaled(size_bytes, ("KB", "MB", "GB", "TB"))


def count(number: float | None) -> str:
    """Return a count, short.

    >>> count(1_226_442), count(308_074), count(512)
    ('1.23 M', '308 k', '512')
    """
    if number is None or not math.isfinite(number):
        return NOTHING
    return f"{number:.0f}" if number < 1000 else _scaled(number, ("k", "M", "G", "T"))


def percent(share: float | None, *, n: int | None = None) -> str:
    """Return a share as percent; with ``n`` only as many decimals as n examples can carry.

    >>> percent(0.9296, n=10_000), percent(0.853, n=300), percent(0.5)
    ('92.96 %', '85 %', '50 %')
    """
    if share is None or not math.isfinite(share):
        return NOTHING
    if n is None:
        text = f"{100 * share:.2f}"
        return text.rstrip("0").rstrip(".") + " %"
    return f"{100 * share:.{decimals(n)}f} %"


def points(share: float | None, *, n: int | None = None) -> str:
    """Return the difference of two accuracies.

    >>> points(-0.0069, n=10_000), points(0.004, n=1000), points(0.0)
    ('-0.69 points', '+0.4 points', '0 points')
    """
    if share is None or not math.isfinite(share):
        return NOTHING
    text = f"{100 * share:+.2f}" if n is None else f"{100 * share:+.{decimals(n)}f}"
    if n is None:
        text = text.rstrip("0").rstrip(".")
    if float(text) == 0:
        return "0 points"
    return f"{text} {'point' if abs(float(text)) == 1 else 'points'}"


def lost(share: float | None, *, n: int | None = None) -> str:
    """Return the difference of two accuracies as a loss or a gain.

    >>> lost(-0.0069, n=10_000), lost(0.004, n=1000), lost(0.0)
    ('0.69 points lost', '0.4 points gained', 'no points lost')
    """
    text = points(share, n=n)
    if share is None or text == NOTHING:
        return NOTHING
    if text == "0 points":
        return "no points lost"
    return f"{text[1:]} {'lost' if share < 0 else 'gained'}"


def faster(speedup: float | None) -> str:
    """Return how many times faster than the original.

    >>> faster(10.9), faster(0.8333), faster(1.004)
    ('10.9x faster', '1.2x slower', 'as fast')
    """
    return _times(speedup, "faster", "slower", "as fast")


def smaller(ratio: float | None) -> str:
    """Return how many times smaller: the original's size over this one's.

    >>> smaller(14.5), smaller(0.5), smaller(1.0)
    ('14.5x smaller', '2x larger', 'as large')
    """
    return _times(ratio, "smaller", "larger", "as large")


def times(ratio: float) -> str:
    """Return a ratio alone.

    >>> times(10.94), times(3.4)
    ('10.9x', '3.4x')
    """
    return f"{ratio:.0f}x" if ratio >= 99.5 else f"{digits(ratio, figures=2 if ratio < 10 else 3)}x"


def duration(seconds: float | None) -> str:
    """Return a duration in words.

    >>> duration(0.42), duration(69), duration(125), duration(7300)
    ('0.4 s', '69 s', '2 min 5 s', '2 h 2 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(round(whole / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def about(seconds: float | None) -> str:
    """Return an estimated duration in words, coarse on purpose.

    >>> about(3.2), about(58), about(400)
    ('a few seconds', 'about 60 s', 'about 7 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return "an unknown time"
    if seconds < 5:
        return "a few seconds"
    if seconds < 95:
        step = 5 if seconds < 30 else 10
        return f"about {step * round(seconds / step)} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {digits(seconds / 3600, figures=2)} h"


def ago(moment: float | None, *, now: float | None = None) -> str:
    """Return how long ago a moment was; seconds since 1970, UTC.

    >>> ago(1000.0, now=1003.0), ago(1000.0, now=1000.0 + 600), ago(0.0, now=200_000.0)
    ('just now', '10 min ago', '2 days ago')
    """
    if moment is None:
        return NOTHING
    passed = (time.time() if now is None else now) - moment
    if passed < 10:
        return "just now"
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if passed < limit:
            return f"{passed // unit:.0f} {name} ago"
    days = int(passed // 86_400)
    return "1 day ago" if days == 1 else f"{days} days ago"


def between(low: float, high: float, write: Callable[[float], str]) -> str:
    """Return two values as a range; a unit that both share is written once.

    >>> between(0.21, 0.26, latency), between(0.05, 0.2, latency)
    ('0.21 to 0.26 ms', '50 µs to 0.2 ms')
    """
    first, second = write(low), write(high)
    number, _, unit = first.partition(" ")
    return f"{number if unit and second.endswith(' ' + unit) else first} to {second}"


def _scaled(number: float, units: tuple[str, ...]) -> str:
    """Return three digits and the unit, the first being 1,000."""
    power = 1
    while power < len(units) and number >= 999.5 * 1000**power:
        power += 1
    return f"{digits(number / 1000**power)} {units[power - 1]}"


def _times(ratio: float | None, more: str, less: str, same: str) -> str:
    if ratio is None or not math.isfinite(ratio) or ratio <= 0:
        return NOTHING
    text = times(max(ratio, 1 / ratio))
    return same if text == "1x" else f"{text} {more if ratio > 1 else less}"
