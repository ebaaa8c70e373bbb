"""One field of a step: what it may hold, and what it is called in every place that speaks of it.

``fields.py`` writes one down for each field of each step. Checks, files, the command line, links,
controls, explanations and copied commands read it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from optim.recipe.checks import check, check_flag, check_number, check_whole, got, is_number

LONGEST_NAME = 200
"""Letters of a layer's or a network's name."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A real number.

    Attributes:
        low, high: the ends of its range.
        above: ``low`` itself is not allowed.
        unit: "share" (0..1), "epochs", or nothing.
    """

    low: float
    high: float
    above: bool = False
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Integer:
    """An integer from ``low`` to ``high``, by ``step``."""

    low: int
    high: int
    step: int = 1


@dataclass(frozen=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One word of a closed list.

    Attributes:
        of: the list.
        names: what people call each; one without a name is called as in files.
        optional: left out, another field decides.
        renamed: words of the list with what they were called before; the old word can still be
            read, and stays in fingerprints, so that no recipe gets another name.
    """

    of: type[StrEnum]
    names: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)

    def name(self, value: str) -> str:
        """Return the name of a word of the list."""
        return self.names.get(value, value.replace("_", " "))

    def today(self, word: str) -> str:
        """Return the present name of a word."""
        return next((new for new, old in self.renamed.items() if old == word), word)


@dataclass(frozen=True, kw_only=True)
class Names:
    """Some names, each once.

    Attributes:
        of: what is named.
        most: so many at most.
    """

    of: str
    most: int


@dataclass(frozen=True, kw_only=True)
class Table:
    """A value by the name of a layer.

    Attributes:
        of: what the values are called.
        most: so many layers at most.
    """

    values: Number | Choice
    of: str
    most: int


Kind = Number | Integer | Flag | Choice | Names | Table
Words = str | Mapping[str, str]
"""A sentence's part with ``{value}`` or ``{percent}`` in it, or one for each word of a list."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """Option of the command line for a field.

    Attributes:
        name: without the dashes. That of a flag sets what is not usual.
        help: what it means, and what happens without it.
        asks: asks for the step: without one of these there is none.
        alone: may stand where its step is not asked for.
    """

    name: str
    help: str
    asks: bool = False
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Control:
    """Control of a page for a field.

    Attributes:
        key: of the control, and of its parameter in links.
        label: beside the control.
        term: what the glossary calls it; the label if nothing is said.
        about: what it is, for somebody who has never met it.
        low, high, step: of the control, where they are not those of the field.
        slider: as a slider; as a box to type in else.
        stops: shares in percent, of a slider that knows no others.
        wide: takes a row of its own.
        folded: stands with what few people change.
    """

    key: str
    label: str
    about: str
    term: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    slider: bool = False
    stops: tuple[int, ...] = ()
    wide: bool = False
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a step.

    Attributes:
        name: as in the step, and in files.
        kind: what it may hold.
        remedy: what to try instead of a wrong value.
        option: on the command line; None if it cannot be said there.
        control: on a page; None if there is none, or one that speaks of more than this field.
        short: in a recipe's words, where the value is unusual; empty says nothing.
        told: in the sentence on a step, where the value is unusual; empty says nothing.
        always_told: stands in that sentence whatever the value is.
        defines: says what the step is; the usual values of other fields may depend on it.
        suits: a task may know what suits it best; the control then has nothing chosen at first.
        matters: a property of the step that tells whether the field has an effect; empty if it
            always has.
        since: the version of the recipe format that has it.
    """

    name: str
    kind: Kind
    remedy: str = ""
    option: Option | None = None
    control: Control | None = None
    short: Words = ""
    told: Words = ""
    always_told: bool = False
    defines: bool = False
    suits: bool = False
    matters: str = ""
    since: int = 1

    @property
    def counts(self) -> bool:
        """True if it holds an integer."""
        return isinstance(self.kind, Integer)

    @property
    def optional(self) -> bool:
        """True if it may be left out, because something else then decides."""
        return isinstance(self.kind, Choice) and self.kind.optional

    def has_effect(self, step: object) -> bool:
        """True if another value would change what a step does."""
        return not self.matters or bool(getattr(step, self.matters))

    def short_words(self, value: object) -> str:
        """Return an unusual value in a recipe's words."""
        return _in_words(self.short, value, self.kind)

    def told_words(self, value: object) -> str:
        """Return an unusual value in the sentence on its step."""
        return _in_words(self.told, value, self.kind)


def read_value(given: object, kind: Kind, name: str, remedy: str) -> object:
    """Return the value that a stranger's value means, checked.

    Args:
        name: of step and field, for the message.

    Raises:
        ValueError: saying what must hold, what came, and what to do.
    """
    match kind:
        case Number():
            _check_number(given, kind, name, remedy)
            return float(given)  # type: ignore[arg-type]  # it is a number
        case Integer():
            check_whole(given, kind.low, kind.high, name, remedy)
            allowed = range(kind.low, kind.high + 1, kind.step)
            if given not in allowed:
                words = " or ".join(map(str, allowed))
                raise ValueError(f"{name} must be {words}, got {given!r}. {remedy}")
            return given
        case Flag():
            check_flag(given, name)
            return given
        case Choice():
            return None if given is None and kind.optional else _choice(given, kind, name)
        case Names():
            return _names(given, kind, name)
        case Table():
            return _table(given, kind, name, remedy)
        case _:
            assert_never(kind)


def plain_value(value: object, kind: Kind) -> object:
    """Return a field's value as JSON and YAML know it."""
    match kind:
        case Choice():
            return value if value is None else str(value)
        case Names():
            return list(value)  # type: ignore[call-overload]  # a tuple of names
        case Table():
            rows = dict(value)  # type: ignore[call-overload]  # pairs
            return {layer: plain_value(each, kind.values) for layer, each in rows.items()}
        case Number() | Integer() | Flag():
            return value
        case _:
            assert_never(kind)


def first_name(plain: object, kind: Kind) -> object:
    """Return a plain value as it was called at first: fingerprints keep that word."""
    return kind.renamed.get(str(plain), plain) if isinstance(kind, Choice) else plain


def as_text(value: object) -> str:
    """Return a value as the command line reads it again, digit by digit."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _check_number(given: object, kind: Number, name: str, remedy: str) -> None:
    if kind.above:
        inside = isinstance(given, int | float) and kind.low < given <= kind.high
        words = f"above {kind.low:g} and at most {kind.high:g}"
        check(is_number(given) and inside, f"{name} must be {words}, {got(given)}. {remedy}")
    else:
        check_number(given, kind.low, kind.high, name, remedy)


def _choice(given: object, kind: Choice, name: str) -> StrEnum:
    try:
        return kind.of(kind.today(str(given).lower()))
    except ValueError:
        raise ValueError(
            f"{name} must be one of {', '.join(kind.of)}; got {str(given)!r:.60}."
        ) from None


def _names(given: object, kind: Names, name: str) -> tuple[str, ...]:
    found = tuple(given) if isinstance(given, list | tuple) else (0,)
    check(
        len(found) <= kind.most and len(set(map(str, found))) == len(found) and _are_names(found),
        f"{name} must be a list of at most {kind.most} names, each once.",
    )
    return tuple(map(str, found))


def _table(given: object, kind: Table, name: str, remedy: str) -> tuple[tuple[str, object], ...]:
    """Return pairs in the order of the names, from a table or from pairs."""
    rows = given.items() if isinstance(given, Mapping) else given
    try:
        pairs = [(layer, value) for layer, value in rows]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        pairs = [("", "")]
    layers = [layer for layer, _ in pairs]
    check(
        _are_names(layers) and len(set(layers)) == len(layers) <= kind.most,
        f"{name} must be a table from layer names to {kind.of}, at most {kind.most}, each name "
        "once.",
    )
    return tuple(
        sorted((n, read_value(value, kind.values, f"{name} {n}", remedy)) for n, value in pairs)
    )


def _are_names(given: object) -> bool:
    return isinstance(given, list | tuple) and all(
        isinstance(each, str) and 0 < len(each) <= LONGEST_NAME for each in given
    )


def _in_words(words: Words, value: object, kind: Kind) -> str:
    if not isinstance(words, str):
        return words.get(str(value), "")
    if isinstance(value, float):
        return words.format(value=f"{value:g}", percent=f"{100 * value:.3g} %")
    return words.format(value=kind.name(str(value)) if isinstance(kind, Choice) else value)
