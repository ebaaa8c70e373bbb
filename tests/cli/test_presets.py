"""Named recipes on the command line: listed with what they gave here, and made by their name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optim.cli.run import RECIPE_OPTIONS
from optim.cli.run import run as command
from optim.recipe import Recipe, recipe_of
from tests.cli.conftest import TASK, Run
from tests.preset_files import write_named_presets

INT8, PRUNED = recipe_of(precision="int8"), recipe_of(pruning_ratio=0.5)


@pytest.fixture(autouse=True)
def two_named_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_named_presets(
        TASK, tmp_path, monkeypatch,
        {"name": "hard", "faster": 1000, "smaller": 0, "drop": 0.03, "recipe": PRUNED.to_dict()},
        {"name": "easy", "faster": 0, "smaller": 2, "drop": 0.01, "recipe": INT8.to_dict()},
    )  # fmt: skip


def test_named_presets_are_listed_the_gentlest_first_with_what_they_gave_here(
    run: Run, measured: Path
) -> None:
    code, out, _ = run("presets", TASK, "--workspace", measured)
    assert code == 0
    assert out.index("easy") < out.index("hard")
    assert "2x smaller within 1 point" in out
    assert "1000x faster within 3 points" in out
    easy, hard = json.loads(run("presets", TASK, "--workspace", measured, "--json")[1])
    assert easy["measured"]["kept"] is True
    assert "kept" in easy["measured"]["words"]
    assert Recipe.from_dict(hard["recipe"]) == PRUNED
    assert hard["measured"] is None or hard["measured"]["kept"] is False


def test_without_a_task_those_of_every_task_are_listed(run: Run) -> None:
    found = json.loads(run("presets", "--json")[1])
    assert [(row["task"], row["name"]) for row in found if row["task"] == TASK] == [
        (TASK, "easy"), (TASK, "hard"),
    ]  # fmt: skip


def test_a_named_preset_is_made_and_its_card_says_whether_the_promise_was_kept(
    run: Run, measured: Path
) -> None:
    code, out, _ = run("run", TASK, "--named-preset", "easy", "--workspace", measured)
    assert code == 0
    assert "preset    promised 2x smaller within 1 point: measured" in out
    assert "x smaller" in out


def test_all_named_presets_are_made_though_one_is_refused(
    run: Run, no_making: list[Recipe]
) -> None:
    code, _, error = run("run", TASK, "--named-preset", "all", "--json")
    assert no_making == [INT8, PRUNED]
    assert code == 2
    assert "Nothing can be pruned here" in error


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--named-preset", "eazy"], "has no named preset 'eazy'. Did you mean 'easy'?"),
        (["--named-preset", "easy", "--prune", "0.5"], "--prune may not stand beside it"),
        (["--named-preset", "easy", "--student", "resnet"], "--student may not stand beside it"),
        (["--named-preset", "easy", "--recipe", __file__], "--recipe may not stand beside it"),
    ],
)
def test_a_named_preset_that_is_none_or_stands_beside_options_gets_one_sentence(
    run: Run, words: list[str], sentence: str
) -> None:
    code, out, error = run("run", TASK, *words)
    assert (code, out) == (2, "")
    assert sentence in error


def test_every_option_of_a_recipe_is_refused_beside_a_named_preset() -> None:
    free = {"task", "named_preset", "recipe_file", "background", "workspace", "as_json", "help"}
    free |= {"threads", "engine"}
    options = {parameter.name for parameter in command.params} - free
    assert options == set(RECIPE_OPTIONS)


def test_the_old_names_of_command_and_option_still_work_with_a_note(
    run: Run, no_making: list[Recipe]
) -> None:
    code, out, error = run("headlines", TASK, "--json")
    assert (code, json.loads(out)) == (0, json.loads(run("presets", TASK, "--json")[1]))
    assert error == "Note: `headlines` is called `presets` now; use that, the old name will go.\n"
    assert run("--help")[1].count("presets") > run("--help")[1].count("headlines") == 0
    for words in (["--headline", "easy"], ["--headline=easy"]):
        assert "`--headline` is called `--named-preset` now" in run("run", TASK, *words)[2]
    assert no_making == [INT8, INT8]
    code, _, error = run("starters", "no-such-task")
    assert (code, error.splitlines()[0]) == (
        2, "Note: `starters` is called `prebuilt` now; use that, the old name will go.",
    )  # fmt: skip
