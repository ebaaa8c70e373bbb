"""A recipe file means what stands in it, in JSON and in YAML, or is refused."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optim.errors import BrokenRecipeError
from optim.recipe import Recipe
from optim.recipe.reading import plain_from_text

BOTH = pytest.mark.parametrize("write", ["{{a: {0}}}", '{{"a": {0}}}'], ids=["yaml", "json"])


@BOTH
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.0e-1", 0.5), ("5.0E-1", 0.5), ("1.0e+3", 1000.0), ("-2.5e+1", -25.0), ("0", 0),
        ("10", 10), ("-7", -7), ("0.25", 0.25), ("1.0e-05", 1e-5),
    ],
)  # fmt: skip
def test_a_number_is_the_same_in_both(write: str, text: str, expected: float) -> None:
    data = plain_from_text(write.format(text))
    assert data == {"a": expected}
    assert type(data["a"]) is type(expected)


@pytest.mark.parametrize("text", ["5e-1", "1e0", "1e-05", "1.5e3", "-2E2", "+1e+2"])
def test_an_exponent_that_some_readers_take_for_a_word_is_refused_in_yaml_alone(text: str) -> None:
    with pytest.raises(BrokenRecipeError, match=r"or 5\.0e-1"):
        plain_from_text(f"ratio: {text}")
    number = text.removeprefix("+")
    assert plain_from_text(f'{{"ratio": {number}}}') == {"ratio": float(text)}


@pytest.mark.parametrize(
    "text", ["010", "1_000", "1:30", "0x10", "0b11", "-010", "1_0.5", "190:20:30.15", "00", "+0_7"]
)
def test_a_number_that_readers_do_not_agree_on_is_refused(text: str) -> None:
    with pytest.raises(BrokenRecipeError, match="Write it in plain decimal digits") as error:
        plain_from_text(f"seed: {text}")
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["'010'", '"1:30"', "'5e-1'"])
def test_what_stands_in_quotes_is_a_word(text: str) -> None:
    assert plain_from_text(f"name: {text}") == {"name": text.strip("'\"")}


def test_a_text_in_a_numbers_place_is_called_a_text() -> None:
    with pytest.raises(BrokenRecipeError, match=r"got the text '0\.5'; write it without quotes"):
        Recipe.from_text("steps: [{step: prune, ratio: '0.5'}]")
    with pytest.raises(BrokenRecipeError, match="got the text '3'"):
        Recipe.from_text("{seed: '3', steps: []}")


@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(min_value=-(10**30), max_value=10**30)
)
def test_yaml_reads_a_number_as_json_does_or_refuses_it(number: float) -> None:
    text = json.dumps(number)
    assert plain_from_text(f'{{"a": {text}}}') == {"a": number}
    try:
        assert plain_from_text(f"a: {text}") == {"a": number}
    except BrokenRecipeError:
        assert "e" in text


def test_infinity_and_nan_are_numbers_that_no_field_takes() -> None:
    assert math.isinf(plain_from_text("a: -.inf")["a"])
    for text in (".nan", ".inf"):
        with pytest.raises(BrokenRecipeError, match=r"got (nan|inf)"):
            Recipe.from_text(f"steps: [{{step: prune, ratio: {text}}}]")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("steps: [{step: prune, ratio: 0.25, ratio: 0.75}]", "ratio"),
        ("steps: [{step: prune, ratio: 0.25}]\nsteps: []", "steps"),
        ('{"seed": 1, "steps": [], "seed": 2}', "seed"),
        ('{"steps": [{"step": "prune", "ratio": 0.25, "r\\u0061tio": 0.75}]}', "ratio"),
        ("steps: [{step: mixed-precision, layers: {a: int8, 'a': int4}}]", "a"),
        ("? seed\n: 1\n? seed\n: 2", "seed"),
    ],
)
def test_a_key_that_stands_twice_is_named(text: str, key: str) -> None:
    with pytest.raises(BrokenRecipeError, match=f"the key '{key}' stands twice"):
        plain_from_text(text)


def test_a_merged_table_cannot_bring_a_key_in_a_second_time() -> None:
    with pytest.raises(BrokenRecipeError, match="unknown key '<<'"):
        Recipe.from_text("steps: [{step: prune, ratio: 0.25, <<: {ratio: 0.75}}]")


@pytest.mark.parametrize(
    "text", ["a: " + "9" * 5000, '{"a": ' + "9" * 5000 + "}", "a: -" + "1" * 50, "a: 0." + "3" * 99]
)
def test_a_number_of_thousands_of_digits_is_refused(text: str) -> None:
    with pytest.raises(BrokenRecipeError, match=r"a number of [0-9,]+ characters"):
        plain_from_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!float nope", "a: !!int nope", "a: !!timestamp nope", "a: !!binary '?'", "a: !!set 3",
        "a: !!python/object/apply:os.system ['true']", "a: !!omap 3", "[]: 3", "{[1]: 2}",
        "a: !!bool x", "a: !!null x", "!!map 3", "\x00", "a: \x85", "&a a: 1", "a: !!pairs 3",
    ],
)  # fmt: skip
def test_whatever_yaml_cannot_build_is_a_recipe_error_or_harmless(text: str) -> None:
    with suppress(BrokenRecipeError):
        plain_from_text(text)


def test_a_date_is_a_word() -> None:
    assert plain_from_text("a: 2026-13-45") == {"a": "2026-13-45"}
