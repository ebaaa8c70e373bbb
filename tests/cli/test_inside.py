"""The commands that look inside, on the smallest sample network."""

import json

import pytest

from optim.analysis import sensitivity, waterfall
from optim.cli import run_command_line

TASK = "motion-cnn"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace of this module's own, so that each figure is measured once; few examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensitivity, "MOST_EXAMPLES", 64)
        patch.setattr(waterfall, "MOST_LAYERS", 1)
        patch.setattr(waterfall, "TIMING_S", 0.1)
        yield tmp_path_factory.mktemp("inside")


@pytest.fixture
def ask(workspace, capsys):
    def command(*words):
        code = run_command_line(["--workspace", str(workspace), *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_sensitivity_lists_every_layer_in_three_precisions(ask):
    code, out, _ = ask("sensitivity", TASK, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["n"] == 64
    assert {row["precision"] for row in found["rows"]} == {"fp32", "int8", "int4"}
    assert all(row["sqnr_db"] is None for row in found["rows"] if row["precision"] == "fp32")
    code, out, _ = ask("sensitivity", TASK)
    table = out.splitlines()
    assert code == 0
    noise = [float(line.split()[4]) for line in table[1:-1]]
    assert noise == sorted(noise)


def test_mixed_keeps_a_budget_of_bytes_beside_the_uniform_files(ask):
    code, out, _ = ask("mixed", TASK, "--max-kb", "600", "--json")
    found = json.loads(out)
    assert code == 0
    (made,) = found["mixed"]
    assert made["file"]["size_bytes"] <= 600_000
    assert [c["words"] for c in found["uniform"]] == ["original, FP32", "INT8", "INT4"]
    assert made["accuracy"] is not None


def test_a_budget_that_nothing_keeps_is_refused(ask):
    code, out, err = ask("mixed", TASK, "--max-kb", "1")
    assert (code, out) == (2, "")
    assert "no choice of precisions gives a file of 1,000 bytes" in err


@pytest.mark.parametrize("words", [(), ("--max-kb", "9", "--points", "3"), ("--points", "1")])
def test_mixed_wants_one_budget(ask, words):
    code, _, err = ask("mixed", TASK, *words)
    assert code == 2
    assert "--points" in err


def test_waterfall_goes_from_fp32_to_the_file(ask):
    candidate = json.loads(ask("run", TASK, "--quantize", "int4", "--json")[1])["id"]
    code, out, _ = ask("waterfall", candidate, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["stages"][0]["name"] == "FP32"
    assert len(found["layers"]) == 1
    code, out, _ = ask("waterfall", candidate)
    assert code == 0
    assert "kept in FP32" in out


def test_waterfall_of_a_float_candidate_is_refused(ask):
    candidate = json.loads(ask("candidates", TASK, "--json")[1])[0]["id"]
    code, _, err = ask("waterfall", candidate)
    assert code == 2
    assert "is not quantized" in err
