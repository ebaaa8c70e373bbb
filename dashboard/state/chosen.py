"""Choices of single fields: from a control to a step's field, and back again.

A control left alone says nothing, so that two pages on which nothing was chosen are equal, whatever
a task or a precision then chooses itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from optim.recipe import Step, step_kind
from optim.recipe.edit import suiting
from optim.recipe.field import Choice, Control, Field, Flag, Integer, Names, Number, Table
from optim.recipe.fields import controls
from optim.recipe.steps import default_of, usual_step

USUAL = "usual"
"""The choice that leaves it to the precision, or to the task."""


@dataclass(frozen=True)
class Chosen:
    """The values that somebody chose, by kind of step and name of the field.

    >>> Chosen.of("quantize", smooth=0.5).fields("quantize")
    {'smooth': 0.5}
    """

    values: frozenset[tuple[str, str, Any]] = frozenset()

    @classmethod
    def of(cls, kind: str, **fields: Any) -> Chosen:
        """Return what is chosen of one step."""
        return cls().with_fields(kind, fields)

    def fields(self, kind: str) -> dict[str, Any]:
        """Return what is chosen of a step; a field left alone is not in it."""
        return {name: value for step, name, value in self.values if step == kind}

    def with_fields(self, kind: str, fields: Mapping[str, Any]) -> Chosen:
        """Return a copy with these values of a step beside those that are chosen already."""
        own = {**self.fields(kind), **fields}
        others = {each for each in self.values if each[0] != kind}
        said = {(kind, name, value) for name, value in own.items() if value is not None}
        return Chosen(frozenset(others | said))

    def without(self, kind: str) -> Chosen:
        """Return a copy with nothing chosen of a step."""
        return Chosen(frozenset(each for each in self.values if each[0] != kind))

    def of_step(self, step: Step, best: Step | None = None) -> Chosen:
        """Return a copy with a step's fields, where they differ from what is chosen by default.

        Args:
            best: a step of the same kind as it suits the task.
        """
        kind, usual = step_kind(step), usual_step(step)
        suited = {} if best is None else suiting(step, best)
        found = {}
        for field, _ in controls_of(kind):
            value = getattr(step, field.name)
            alone = suited.get(field.name, getattr(usual, field.name))
            if field.has_effect(step) and value != alone:
                found[field.name] = value
        return self.without(kind).with_fields(kind, found)


NOTHING_CHOSEN = Chosen()


def controls_of(kind: str) -> Iterator[tuple[Field, Control]]:
    """Yield the fields of a step that have a control of their own."""
    return ((field, control) for step, field, control in controls() if step == kind)


def within_controls(chosen: Chosen) -> bool:
    """True if every chosen number lies between the ends of its control."""
    drawn = {(kind, field.name): control for kind, field, control in controls()}
    for kind, name, value in chosen.values:
        low, high = drawn[kind, name].low, drawn[kind, name].high
        if (low is not None and value < low) or (high is not None and value > high):
            return False
    return True


def left_alone(kind: str, field: Field) -> Any:
    """Return what an untouched control of a field holds; None leaves it open."""
    return None if field.suits or field.optional else default_of(kind, field.name)


def chosen_in(shown: Mapping[str, Any], *kinds: str) -> Chosen:
    """Return what the controls of these steps say.

    Args:
        shown: what each control shows, by its key; what is not drawn yet is left alone.
    """
    found = Chosen()
    for kind in kinds:
        own = {
            field.name: read(field, control, shown[control.key])
            for field, control in controls_of(kind)
            if control.key in shown
        }
        said = {field.name: left_alone(kind, field) for field, _ in controls_of(kind)}
        changed = {name: value for name, value in own.items() if value != said[name]}
        found = found.with_fields(kind, changed)
    return found


def shown_for(chosen: Chosen, *kinds: str) -> dict[str, Any]:
    """Return what each control of these steps shows for what is chosen, by its key."""
    found = {}
    for kind in kinds:
        own = chosen.fields(kind)
        for field, control in controls_of(kind):
            value = own.get(field.name, left_alone(kind, field))
            found[control.key] = written(field, control, value)
    return found


def read(field: Field, control: Control, shown: Any) -> Any:
    """Return the value of a field from what its control shows; None leaves it open."""
    match field.kind:
        case Choice():
            known = {_option(each): each for each in field.kind.of}
            return known.get(shown)
        case Number():
            return shown / 100 if control.stops and shown is not None else shown
        case Integer() | Flag() | Names() | Table():
            return shown
        case _:
            assert_never(field.kind)


def written(field: Field, control: Control, value: Any) -> Any:
    """Return what the control of a field shows for a value."""
    match field.kind:
        case Choice():
            return USUAL if value is None else _option(value)
        case Number():
            return round(100 * value) if control.stops and value is not None else value
        case Integer() | Flag() | Names() | Table():
            return value
        case _:
            assert_never(field.kind)


def options_of(field: Field) -> tuple[str, ...]:
    """Return the options of a choice, as its control holds them."""
    assert isinstance(field.kind, Choice)
    alone = (USUAL,) if field.suits or field.optional else ()
    return (*alone, *map(_option, field.kind.of))


def _option(value: str) -> str:
    return value.replace("_", " ")
