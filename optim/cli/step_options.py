"""The options of `run` that choose steps, read off the descriptions of the steps' fields."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, assert_never

import click

from optim.recipe.field import (
    Choice,
    Field,
    Flag,
    Integer,
    Kind,
    Names,
    Number,
    Option,
    Table,
)
from optim.recipe.fields import FIELDS
from optim.recipe.steps import default_of

Given = dict[str, dict[str, Any]]
"""What the command line says, by kind of step and field; what it does not say is not there."""


def step_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add every option of a field; the command gets what they say together, as ``given``."""

    @functools.wraps(command)
    def gathering(*args: Any, **values: Any) -> None:
        said = {name: values.pop(name) for name in OPTION_NAMES}
        given: Given = {kind: {} for kind in FIELDS}
        for kind, field, option in _options():
            value = said[_parameter(option)]
            if value is not None and value is not False and value != ():
                given[kind][field.name] = _meant(value, kind, field, option)
        command(*args, given=given, **values)

    drawn: set[str] = set()
    options = []
    for _, field, option in _options():
        if option.name not in drawn:  # several steps may share one
            drawn.add(option.name)
            options.append(click.option(f"--{option.name}", help=option.help, **_click(field.kind)))
    for add in reversed(options):
        gathering = add(gathering)
    return gathering


class Words(click.Choice[str]):
    """One word of a closed list, in either case; a word of former versions is read with a note."""

    def __init__(self, kind: Choice) -> None:
        super().__init__(list(map(str, kind.of)), case_sensitive=False)
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word as it is called today."""
        said = str(value).lower()
        today = self.kind.today(said)
        if today != said and param is not None:
            click.echo(f"Note: `{param.opts[0]} {said}` is called `{today}` now.", err=True)
        return super().convert(today if today != said else value, param, ctx)


def _options() -> Iterator[tuple[str, Field, Option]]:
    """Yield every field of the command line: the kind of its step, the field, its option."""
    for kind, described in FIELDS.items():
        for field in described:
            if field.option is not None:
                yield kind, field, field.option


def _parameter(option: Option) -> str:
    """Return the option's name in Python, as click has it."""
    return option.name.replace("-", "_")


def _click(kind: Kind) -> dict[str, Any]:
    """Return how click reads such a value."""
    match kind:
        case Number():
            return {"type": float, "metavar": kind.unit.upper() or "NUMBER"}
        case Integer():
            few = kind.high - kind.low == kind.step
            return {"type": int, "metavar": f"{kind.low}|{kind.high}" if few else "N"}
        case Flag():
            return {"is_flag": True}
        case Choice():
            return {"type": Words(kind)}
        case Names():
            return {"multiple": True, "metavar": kind.of.upper()}
        case Table():
            return {"multiple": True, "metavar": "NAME=VALUE"}
        case _:
            assert_never(kind)


def _meant(said: Any, kind: str, field: Field, option: Option) -> Any:
    """Return the value of a field that its option means."""
    match field.kind:
        case Flag():  # the option of a flag sets what is not usual
            return not default_of(kind, field.name)
        case Table():
            return dict(_layer_and_value(text, option) for text in said)
        case Number() | Integer() | Choice() | Names():
            return said
        case _:
            assert_never(field.kind)


def _layer_and_value(text: str, option: Option) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        name = ""
    if not name:
        raise click.UsageError(
            f"--{option.name} must be a layer's name and a share, such as layer1.0.conv1=0.5; got "
            f"{text!r:.60}.",
            click.get_current_context(),
        )
    return name, value


OPTION_NAMES = tuple(dict.fromkeys(_parameter(option) for _, _, option in _options()))
"""As click passes them to a command."""
