"""Curves and plans of channels, on the smallest sample network."""

import json

import pytest

from optim.analysis import layer_cost, pruning_curves
from optim.cli import run_command_line
from optim.cli.run import read_recipe
from optim.compress.pruning import cut_alone

TASK = "motion-cnn"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace of this module's own, so that curves are measured once; few of everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruning_curves, "MOST_EXAMPLES", 64)
        patch.setattr(pruning_curves, "NORM_EXAMPLES", 64)
        patch.setattr(layer_cost, "PASSES", 1)
        patch.setattr(layer_cost, "RUNS", 3)
        patch.setattr(cut_alone, "MOST_WIDTHS", 3)
        yield tmp_path_factory.mktemp("pruning")


@pytest.fixture
def ask(workspace, capsys):
    def command(*words):
        code = run_command_line(["--workspace", str(workspace), *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_curves_are_a_row_per_group_and_name_what_is_redundant(ask):
    code, out, _ = ask("pruning-curves", TASK)
    assert code == 0
    assert out.splitlines()[0].split()[:4] == ["layer", "with", "it", "channels"]
    assert len(out.splitlines()) == 1 + 9 + 2
    assert "On 64 validation examples" in out
    code, out, _ = ask("pruning-curves", TASK, "--json")
    found = json.loads(out)
    assert code == 0
    assert [curve["points"][0]["ratio"] for curve in found["curves"]] == [0.0] * 9
    assert found["shapes"][0]["layer"] == "blocks.0.main.0"
    assert found["times"]


def test_a_plan_prints_ratios_and_says_what_is_predicted(ask):
    code, out, _ = ask("plan", TASK, "--macs", 0.5)
    assert code == 0
    assert "accuracy if pruned alone" in out
    assert out.count("Predicted") == 3


def test_a_plan_becomes_a_recipe_file_that_can_be_run(ask, tmp_path):
    path = tmp_path / "recipe.yaml"
    words = ("--latency", 0.6, "--quantize", "int8", "--epochs", 0, "--recipe-out", path, "--json")
    code, out, _ = ask("plan", TASK, *words, "--run")
    found = json.loads(out)
    assert code == 0
    assert found["plan"]["latency"] <= 0.6
    recipe = read_recipe(path)
    assert recipe.to_dict() == found["recipe"]
    assert dict(recipe.steps[0].layers) == found["plan"]["layers"]
    assert found["made"]["accuracy"] is not None
    assert found["made"]["recipe"] == found["recipe"]


def test_a_budget_that_nothing_reaches_is_refused_with_what_is_reachable(ask):
    code, out, err = ask("plan", TASK, "--macs", 0.001)
    assert (code, out) == (2, "")
    assert "of the MACs: with one block of channels in every layer" in err


@pytest.mark.parametrize("words", [(), ("--macs", 0.5, "--latency", 0.5), ("--macs", 0)])
def test_a_plan_wants_one_budget(ask, words):
    code, _, err = ask("plan", TASK, *words)
    assert code == 2
    assert "--macs" in err


def test_a_place_that_cannot_be_written_is_told(ask, tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    code, _, err = ask("plan", TASK, "--macs", 0.9, "--recipe-out", tmp_path / "file" / "such.yaml")
    assert code == 2
    assert "cannot be written" in err
