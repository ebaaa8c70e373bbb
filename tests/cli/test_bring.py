"""A user's own network on the command line: brought, shrunk, and wrong words refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.intake.test_bring import classifier, random


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(classifier("side").SerializeToString())
    return path


def test_a_brought_network_is_a_task_like_a_sample(run: Run, file: Path) -> None:
    code, out, _ = run("bring", file, "--size", "side=12", "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["task"], told["metric"]) == ("net", "sqnr")
    assert told["after"]["inputs"][0]["shape"] == ["N", 3, 12, 12]
    code, out, _ = run("tasks", "--json")
    assert "net" in [task["name"] for task in json.loads(out)]


def test_what_a_file_is_and_what_to_do_next_is_told(run: Run, file: Path) -> None:
    code, out, _ = run("bring", file, "--size", "side=12", "--name", "mine")
    assert code == 0
    assert "input   pixels float32 (N, 3, side, side)" in out
    assert "Size side is 12." in out
    assert "Ranges from noise are not to be trusted" in out
    assert "edge-optim run mine --quantize int8" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Say it: --size side=320"),
        (("--size", "side"), "must be written NAME=NUMBER"),
        (("--size", "side=1.5"), "must be an integer"),
        (("--size", "side=0"), "must be an integer"),
        (("--size", "side=12", "--size", "up=3"), "there is no free size 'up'"),
        (("--size", "side=12", "--freeze", "rate=1"), "there is no input 'rate' to freeze"),
        (("--size", "side=12", "--name", "A B"), "small letters"),
        (("--size", "side=12", "--name", "fashion-resnet"), "no sample's"),
    ],
)
def test_wrong_words_get_one_sentence_and_leave_nothing(
    run: Run, file: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    code, out, error = run("bring", file, *words)
    assert (code, out) == (2, "")
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not list((tmp_path / "workspace").glob("tasks/*"))


def test_a_file_that_is_no_model_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"\x00" * 100)
    code, _, error = run("shrink", path, "--to", tmp_path / "out")
    assert code == 2
    assert "ONNX" in error


def test_shrink_tries_every_way_and_writes_the_best(run: Run, file: Path, tmp_path: Path) -> None:
    inputs = random(64, 3, 12, 12, seed=5)
    np.savez(tmp_path / "data.npz", pixels=inputs)
    folder = tmp_path / "small"
    words = ("--size", "side=12", "--data", tmp_path / "data.npz", "--to", folder, "--json")
    code, out, error = run("shrink", file, *words)
    assert code == 0, error
    told = json.loads(out)
    assert len(told["candidates"]) >= 6
    for each in told["candidates"]:
        assert (each["refusal"] is None) is (each["size_bytes"] is not None)
        if each["refusal"] is None:
            assert each["speedup_low"] <= each["speedup"] <= each["speedup_high"]
            assert each["fidelity"]["metric"] == "agreement"
    assert told["why"]
    assert json.loads((folder / "report.json").read_text()) == told
    assert (told["best"] is not None) is (folder / "model.onnx").exists()
