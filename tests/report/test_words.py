"""Numbers in words keep their size, sign and unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optim.words import between, count, megabytes, milliseconds, points, share, times


@given(st.floats(1e-2, 1e5))
def test_times_and_sizes_keep_three_digits(value: float) -> None:
    number, unit = milliseconds(value).split()
    assert unit == "ms"
    assert float(number) == pytest.approx(value, rel=6e-3)
    number, unit = megabytes(value * 1e3).split()
    scale = {"KB": 1e3, "MB": 1e6}[unit]
    assert float(number) * scale == pytest.approx(value * 1e3, rel=6e-3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (share(0.9296), "92.96 %"),
        (points(-0.0069), "-0.69 points"),
        (points(0.004), "+0.40 points"),
        (points(0.0), "0.00 points"),
        (points(-0.00001), "0.00 points"),
        (milliseconds(0.0), "0 ms"),
        (milliseconds(0.0853), "0.0853 ms"),
        (milliseconds(2.617), "2.62 ms"),
        (milliseconds(1234.0), "1234 ms"),
        (megabytes(757_626), "758 KB"),
        (megabytes(7_900_000), "7.90 MB"),
        (times(10.94), "10.9x"),
        (times(0.845), "0.845x"),
        (count(15_130_624), "15,130,624"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert text == expected


def test_an_interval_writes_its_unit_once_unless_the_units_differ() -> None:
    assert between((0.9244, 0.9345), share) == "92.44 to 93.45 %"
    assert between((900_000, 1_100_000), megabytes) == "900 KB to 1.10 MB"
    assert between((10.71, 11.12), times) == "10.7x to 11.1x"
