"""Whatever is wrong: one sentence on standard error, exit code 2, no traceback."""

from __future__ import annotations

import errno
import os
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from optim.jobs.job import JobKind
from optim.jobs.queue import JobQueue
from optim.store.schema import STORE_NAME, connect
from optim.store.versions import SCHEMA_VERSION
from optim.workspace import Workspace
from tests.cli.conftest import TASK, Run, is_one_sentence_for_people


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "fashion-resnt"], "Did you mean 'fashion-resnet'?"),
        (["run", "x" * 5000], "there is no task"),
        (["run", TASK, "--prune", "1.0"], "0.95, got 1.0. A layer needs"),
        (["run", TASK, "--prune", "nan"], "0.95, got nan"),
        (["run", TASK, "--prune", "half"], "'half' is not a valid float"),
        (["run", TASK, "--quantize", "3"], "'3' is not one of 'fp32', 'fp16', 'int8', 'int4'"),
        (["run", TASK, "--prune", "0.5", "--epochs", "-1"], "epochs must be between 0 and 200"),
        (["run", TASK, "--calibration", "mse"], "--calibration says how to quantize"),
        (["run", TASK, "--preset", "smallest", "--quantize", "int8"], "--preset chooses the pre"),
        (["run", TASK, "--preset", "smallest", "--equalize"], "--preset chooses the precision"),
        (["run", TASK, "--preset", "tiny"], "'tiny' is not one of 'fast-and-safe', 'smallest'"),
        (["run", TASK, "--quantize", "int8", "--smooth", "2"], "smooth must be between 0 and 1"),
        (["run", TASK, "--qat-epochs", "1"], "needs --quantize int4 or int8"),
        (["run", TASK, "--quantize", "int4", "--learned-scales"], "needs --qat-epochs"),
        (["run", TASK, "--quantize", "int4", "--qat-epochs", "-1"], "epochs must be between 0"),
        (["run", TASK, "--seed", "-1"], "seed must be an integer from 0"),
        (["run", TASK, "--recipe", "/nowhere/r.yaml"], "does not exist"),
        (["run", TASK, "--recipe", __file__, "--prune", "0.5"], "--prune may not stand beside"),
        (["run"], "Missing argument 'TASK'"),
        (["sweep", TASK, "--prune", "0,half"], "must be numbers such as 0.5; got 'half'"),
        (["sweep", TASK, "--prune", ","], "needs a pruning ratio"),
        (["sweep", TASK, "--quantize", "int3"], "precision must be one of fp32"),
        (["front", TASK, "--max-drop", "-1"], "'--max-drop'"),
        (["export", "nobody", "--to", "x"], "there is no candidate 'nobody'"),
        (["cancel", "nobody"], "there is no job 'nobody'"),
        (["measure", "/nowhere.onnx", "--task", TASK], "does not exist"),
        (["dashboard", "--port", "0"], "'--port'"),
        (["dashboard", "--host", "0.0.0.0"], "listens on this machine alone"),
        (["simplify"], "No such command 'simplify'"),
    ],
)
def test_wrong_input_gets_one_sentence_and_exit_code_2(
    run: Run, words: list[str], sentence: str
) -> None:
    code, out, error = run(*words)
    assert (code, out) == (2, "")
    assert sentence in error
    assert is_one_sentence_for_people(error)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("steps: [{step: prune, ratio: 0.5, magic: 1}]", "unknown key 'magic'"),
        ("steps: [{step: melt}]", "each step needs 'step: NAME'"),
        ("steps: [{step: prune, ratio: 1.0}]", "try 0.9"),
        ("!!python/object/apply:os.system ['true']", "not readable YAML"),
        ("a: &a [1]\nb: *a", "may not use YAML aliases"),
        ("just words", "must be a table"),
        ("x: " + "y" * 70_000, "more than 64 KB"),
        ("\udcff\udcfe", "not text in UTF-8"),
    ],
)
def test_a_broken_recipe_file_gets_one_sentence(
    run: Run, tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    code, out, error = run("run", TASK, "--recipe", file)
    assert (code, out) == (2, "")
    assert sentence in error
    assert is_one_sentence_for_people(error)


@pytest.mark.parametrize("command", [("candidates", TASK), ("run", TASK), ("jobs",), ("worker",)])
def test_a_read_only_workspace_gets_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, out, error = run(*command)
    assert (code, out) == (2, "")
    assert re.search(r"the folder \S+ cannot be written\. Choose another workspace", error)
    assert is_one_sentence_for_people(error)


def test_a_workspace_that_is_a_file_gets_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, error = run("candidates", TASK, "--workspace", tmp_path / "file")
    assert code == 2
    assert is_one_sentence_for_people(error)


def test_a_full_disk_gets_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, out, error = run("run", TASK, "--quantize", "int8")
    assert (code, out) == (2, "")
    assert "is full. Free some space, then try again" in error
    assert is_one_sentence_for_people(error)


def test_a_workspace_of_a_newer_version_gets_one_sentence(run: Run, tmp_path: Path) -> None:
    with closing(connect(tmp_path)) as store:
        store.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    code, out, error = run("jobs", "--workspace", tmp_path)
    assert (code, out) == (2, "")
    assert "was written by a newer version of edge-optim" in error
    assert is_one_sentence_for_people(error)


def test_a_damaged_store_gets_one_sentence(run: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / STORE_NAME)) as other:
        other.execute("CREATE TABLE notes (text)")
    code, _, error = run("candidates", TASK, "--workspace", tmp_path)
    assert code == 2
    assert is_one_sentence_for_people(error)


def test_a_port_in_use_gets_one_sentence(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, error = run("dashboard", "--port", port, "--no-browser", "--json")
    assert (code, out) == (2, "")
    assert f"port {port} is in use" in error
    assert is_one_sentence_for_people(error)


def test_ctrl_c_ends_with_130_and_keeps_what_is_finished(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Workspace, "make", interrupted)
    code, out, error = run("run", TASK)
    assert (code, out) == (130, "")
    assert error.strip() == "Stopped. What was finished is kept."


def test_a_mistake_in_edge_optim_itself_is_not_taken_for_wrong_input(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Workspace, "make", broken)
    with pytest.raises(ValueError, match="a bug"):
        run("run", TASK)


def test_the_workspace_is_named_by_command_group_or_environment(run: Run, tmp_path: Path) -> None:
    JobQueue(tmp_path / "other").submit(JobKind.MEASURE, "key", {}, "a job of the other one")
    assert "a job of the other one" in run("jobs", "--workspace", tmp_path / "other")[1]
    assert "a job of the other one" in run("--workspace", tmp_path / "other", "jobs")[1]
    assert "There is no job." in run("jobs")[1]
    assert (tmp_path / "workspace" / STORE_NAME).exists()
