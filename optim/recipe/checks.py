"""Small questions that every step asks about its values."""

from __future__ import annotations


def check(holds: bool, message: str) -> None:
    """Raise a ValueError with this message unless it holds."""
    if not holds:
        raise ValueError(message)


def is_number(value: object) -> bool:
    """True for int and float, false for bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """True for int, false for bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def got(value: object) -> str:
    """Return the value for a message; a text that reads like a number is called one.

    >>> got(2), got("0.5")
    ('got 2', "got the text '0.5'; write it without quotes")
    """
    if isinstance(value, str):
        return f"got the text {value!r:.60}; write it without quotes"
    return f"got {value!r:.60}"


def check_number(value: object, low: float, high: float, name: str, remedy: str) -> None:
    """Raise a ValueError unless the value is a number in [low, high]."""
    check(
        isinstance(value, int | float) and is_number(value) and low <= value <= high,
        f"{name} must be between {low:g} and {high:g}, {got(value)}. {remedy}",
    )


def check_whole(value: object, low: int, high: int, name: str, remedy: str) -> None:
    """Raise a ValueError unless the value is an integer in [low, high]."""
    check(
        isinstance(value, int) and is_whole(value) and low <= value <= high,
        f"{name} must be an integer from {low} to {high}, {got(value)}. {remedy}",
    )


def check_flag(value: object, name: str) -> None:
    """Raise a ValueError unless the value is true or false."""
    check(isinstance(value, bool), f"{name} must be true or false, {got(value)}.")
