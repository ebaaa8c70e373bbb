"""Reading recipes that a stranger may have written, and writing steps as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from optim.errors import BrokenRecipeError
from optim.recipe.field import plain_value
from optim.recipe.fields import FIELDS
from optim.recipe.plain_data import data_from_yaml, table_of, whole_number
from optim.recipe.steps import (
    STEP_ORDER,
    STEP_TYPES,
    Step,
    fields_of,
    step_kind,
    told_fields,
)

MAX_RECIPE_BYTES = 64 * 1024
MAX_STEPS = 16


def plain_from_text(text: str) -> object:
    """Return the data in a JSON or YAML text; numbers are read as JSON reads them, in both.

    Raises:
        BrokenRecipeError: too long, neither JSON nor YAML, nested deep, aliases, foreign tags, a
            key twice, a number that readers do not agree on.
    """
    if len(text.encode(errors="replace")) > MAX_RECIPE_BYTES:
        raise BrokenRecipeError(
            f"a recipe file may have {MAX_RECIPE_BYTES // 1024} KB, this one has more. "
            "Is it really a recipe?"
        )
    try:
        return json.loads(text, object_pairs_hook=table_of, parse_int=whole_number)
    except (ValueError, RecursionError):
        return data_from_yaml(text)


def steps_from_plain(data: object) -> tuple[Step, ...]:
    """Return steps from a list of tables.

    Raises:
        BrokenRecipeError: naming the key that is wrong.
        ValueError: naming the value that is wrong.
    """
    if not isinstance(data, list) or len(data) > MAX_STEPS:
        raise BrokenRecipeError(f"'steps' must be a list of at most {MAX_STEPS} steps.")
    return tuple(map(_step_from_plain, data))


def step_to_plain(step: Step) -> dict[str, Any]:
    """Return a step as plain data, ready for JSON or YAML, in the order of its attributes.

    A field that the first version of the format did not have is left out at its usual value, so
    that older programs read what they can make.
    """
    described = {each.name: each for each in fields_of(step)}
    told = told_fields(step)
    plain: dict[str, Any] = {"step": step_kind(step)}
    for name in (each.name for each in fields(step)):
        if described[name].since == 1 or name in told:
            plain[name] = plain_value(getattr(step, name), described[name].kind)
    return plain


def version_of(steps: Iterable[Step]) -> int:
    """Return the oldest version of the recipe format that can say these steps."""
    told = ((step, told_fields(step)) for step in steps)
    since = (each.since for step, names in told for each in fields_of(step) if each.name in names)
    return max(since, default=1)


def only_keys(data: Mapping[Any, Any], known: set[str], where: str) -> None:
    """Refuse a key that nobody knows.

    Raises:
        BrokenRecipeError: naming the key.
    """
    for key in data:
        if key not in known:
            allowed = ", ".join(sorted(known)) or "no keys"
            raise BrokenRecipeError(f"{where} has an unknown key {key!r:.60}; known: {allowed}.")


def _step_from_plain(data: object) -> Step:
    if not isinstance(data, dict) or data.get("step") not in STEP_ORDER:
        raise BrokenRecipeError(
            f"each step needs 'step: NAME' with one of {', '.join(STEP_TYPES)}; got {data!r:.80}."
        )
    kind = STEP_TYPES[data["step"]]
    values = {key: value for key, value in data.items() if key != "step"}
    only_keys(values, {each.name for each in FIELDS[data["step"]]}, f"the step {data['step']!r}")
    return kind(**values)
