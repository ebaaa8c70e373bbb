"""Hostile files at the command line: one sentence, exit code 2, and this process is unharmed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import ModelProto

from optim.intake import limits
from optim.task.task import load_task
from tests.cli.conftest import Run, is_one_sentence_for_people
from tests.intake import hostile
from tests.waiting import wait_for

TASK = "motion-cnn"
SHAPE = ("B", *load_task(TASK).input_shape)
RUNS_WILD: dict[str, Callable[[], ModelProto]] = {
    "endless loop": lambda: hostile.endless_loop(SHAPE),
    "256 GiB": lambda: hostile.huge_constant(256, SHAPE),
    "6 GiB": lambda: hostile.huge_constant(6, SHAPE),
    "unknown domain": hostile.unknown_domain,
    "nested": lambda: hostile.nested(25),
    "functions": lambda: hostile.doubling_functions(25),
    "200,000 nodes": lambda: hostile.long_chain(200_000),
    "huge input": hostile.huge_input,
    "short weight": hostile.short_weight,
    "escape codes": hostile.escape_codes,
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can wait for."""
    monkeypatch.setattr(limits, "SILENCE_S", 10.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", ["fuse", "measure"])
@pytest.mark.parametrize("what", RUNS_WILD)
def test_a_file_that_runs_wild_gets_one_sentence(
    run: Run, tmp_path: Path, command: str, what: str
) -> None:
    path = hostile.saved(RUNS_WILD[what](), tmp_path / "wild.onnx")
    if command == "measure":
        words: tuple[object, ...] = ("measure", path, "--task", TASK)
    else:
        words = ("fuse", path, "--output", tmp_path / "out.onnx")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, out, error = run(*words)
    if (command, code) == ("fuse", 0):
        assert "Not timed:" in out  # what can be rewritten but not run is said so
    else:
        assert (code, out) == (2, "")
        assert is_one_sentence_for_people(error)
    for text in (out, error):
        assert "\x1b" not in text
        assert ".cc:" not in text
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_a_pipe_is_not_waited_for(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for words in (
        ("measure", tmp_path / "pipe.onnx", "--task", TASK),
        ("fuse", "/dev/zero", "--output", tmp_path / "out.onnx"),
    ):
        code, out, error = run(*words)
        assert (code, out) == (2, "")
        assert "must be a regular file" in error
        assert is_one_sentence_for_people(error)


def test_ctrl_c_is_heeded_while_a_file_runs_wild(tmp_path: Path) -> None:
    path = hostile.saved(hostile.endless_loop(), tmp_path / "wild.onnx")
    process = subprocess.Popen(
        [sys.executable, "-m", "optim", "fuse", path, "--output", tmp_path / "out.onnx"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: _below(process.pid))
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - begun < 5
    assert error.strip() == "Stopped. What was finished is kept."


def _below(pid: int) -> list[object]:
    import psutil

    return list(psutil.Process(pid).children())


def test_weights_beside_the_model_are_those_of_its_own_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    path = hostile.saved(hostile.outside("w.bin"), tmp_path / "model" / "model.onnx")
    (tmp_path / "model" / "w.bin").write_bytes(b"\0" * 64)
    code, out, _ = run("fuse", path, "--output", tmp_path / "out.onnx")
    assert code == 0
    assert "Weights taken in from w.bin." in out
    assert b"w.bin" not in (tmp_path / "out.onnx").read_bytes()
