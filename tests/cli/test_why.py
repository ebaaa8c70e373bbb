"""The commands that explain a file."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from optim.engines.profile import Profile
from optim.recipe import Quantize, Recipe
from tests.cli.conftest import TASK, Run
from tests.graph.quantized import inverted_residual, silu


@pytest.fixture
def int8(run: Run, measured: Path) -> str:
    """The id of an INT8 candidate that is there."""
    _, out, _ = run("candidates", TASK, "--workspace", measured, "--json")
    wanted = Recipe(steps=(Quantize(),)).to_dict()
    return next(r["id"] for r in json.loads(out) if r["recipe"] == wanted)


@pytest.mark.parametrize("name", ["profile", "why"])
def test_a_profile_has_times_sentences_and_remedies(
    run: Run, measured: Path, int8: str, name: str
) -> None:
    code, out, _ = run(name, int8, "--workspace", measured, "--json")
    assert code == 0
    data = json.loads(out)
    assert Profile.from_dict(data["profile"]).operators
    assert data["candidate"] == int8
    assert any("than in FP32" in s or "as fast as in FP32" in s for s in data["sentences"])


def test_a_profile_is_a_table_of_the_longest_operators(run: Run, measured: Path, int8: str) -> None:
    code, out, _ = run("profile", int8, "--workspace", measured)
    assert code == 0
    title, first = out.splitlines()[:2]
    assert title.split()[:4] == ["ms", "share", "times", "kernel"]
    assert "QLinearConv" in first
    assert "Medians of" in out


def test_fusing_writes_a_file_and_says_what_changed(run: Run, tmp_path: Path) -> None:
    source, target = tmp_path / "int8.onnx", tmp_path / "fused.onnx"
    source.write_bytes(inverted_residual(40).SerializeToString())
    code, out, _ = run("fuse", source, "--output", target)
    assert code == 0
    assert "Rewritten 1 times: depthwise convolutions in INT8" in out
    assert "Timed, interleaved: " in out
    assert onnx.load(target).graph.node


def test_a_report_of_fusing_is_plain_data(run: Run, tmp_path: Path) -> None:
    source, target = tmp_path / "int8.onnx", tmp_path / "fused.onnx"
    source.write_bytes(silu().SerializeToString())
    _, out, _ = run("fuse", source, "--output", target, "--json")
    data = json.loads(out)
    assert data["file"] == str(target)
    assert sum(rule["applied"] for rule in data["rules"]) == 1
    assert data["sentence"].startswith("The file has ")
    low, high = data["timed"]["interval"]
    assert 0 < low <= data["timed"]["speedup"] <= high


def test_a_file_of_open_size_is_fused_but_not_timed(run: Run, tmp_path: Path) -> None:
    source, target = tmp_path / "open.onnx", tmp_path / "fused.onnx"
    model = silu()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    source.write_bytes(model.SerializeToString())
    code, out, _ = run("fuse", source, "--output", target)
    assert code == 0
    assert "Not timed: timing needs a file with one float32 input of fixed size" in out


def test_what_is_no_model_is_refused(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "no.onnx"
    source.write_bytes(b"no model")
    code, _, error = run("fuse", source, "--output", tmp_path / "out.onnx")
    assert code == 2
    assert "readable ONNX model" in error
