"""What the commands write: to a pipe that closes, to a full disk, to a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from optim.cli.output import Finite, print_json, print_table, say
from tests.cli.conftest import Run, is_one_sentence_for_people

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "optim"]


@pytest.mark.parametrize("words", [["tasks", "--json"], ["presets"], ["--help"]])
def test_a_reader_who_has_seen_enough_is_no_mistake(words: list[str]) -> None:
    with subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize("words", [["tasks", "--json"], ["tasks"], ["--help"]])
def test_a_disk_that_is_full_is_told_in_one_sentence(words: list[str]) -> None:
    if not Path("/dev/full").is_char_device():
        pytest.skip("this system has no device that is full")
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.returncode == 2
    error = process.stderr.decode()
    assert "standard output cannot be written: No space left on device" in error
    assert is_one_sentence_for_people(error)


def test_a_closed_standard_output_is_no_mistake() -> None:
    process = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m optim tasks >&-"], cwd=ROOT, capture_output=True
    )
    assert b"Traceback" not in process.stderr


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_the_users_encoding_decides_nothing(locale: str) -> None:
    process = subprocess.run(
        [*COMMAND, "tasks"], cwd=ROOT, capture_output=True,
        env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()


def test_what_a_terminal_would_obey_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb\nc\x9bd\u202ee")
    print_table([{"na\x1bme": "x\ny\x07"}], empty="")
    print_json({"n\x1b": "a\x9b\u202e\udcff", "ö": "日本"})
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\x9b\u202e\x07\x7f")
    assert out.startswith("a\\x1b[31mb\nc\\x9bd\\u202ee\nna\\x1bme\nx y\\x07\n")
    assert json.loads(out[out.index("{") :]) == {"n\x1b": "a\x9b\u202e\udcff", "ö": "日本"}
    assert "日本" in out


def test_the_name_of_a_file_reaches_no_terminal_as_a_command(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "\x1b]0;title\x07\nx.onnx"
    path.write_bytes(b"no model")
    code, _, error = run("fuse", path, "--output", tmp_path / "out.onnx")
    assert code == 2
    assert "\x1b" not in error
    assert is_one_sentence_for_people(error)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_an_option_takes_no_number_that_is_not_finite(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Finite(min=0).convert(text, None, None)
    assert Finite(min=0).convert("2.5", None, None) == 2.5


@pytest.mark.parametrize(
    "words",
    [
        ["front", "motion-cnn", "--max-drop", "nan"],
        ["mixed", "motion-cnn", "--max-kb", "nan"],
        ["mixed", "motion-cnn", "--max-ms", "inf"],
        ["worker", "--idle-exit", "nan"],
        ["plan", "motion-cnn", "--macs", "nan"],
        ["plan", "motion-cnn", "--macs", "0.5", "--epochs", "-3"],
        ["plan", "motion-cnn", "--macs", "0.5", "--epochs", "nan"],
        ["run", "motion-cnn", "--prune", "0.5", "--epochs", "nan"],
        ["sweep", "motion-cnn", "--prune", "nan"],
        ["sweep", "motion-cnn", "--epochs", "inf"],
    ],
)
def test_wrong_numbers_are_refused_before_any_work(run: Run, words: list[str]) -> None:
    code, out, error = run(*words)
    assert (code, out) == (2, "")
    assert is_one_sentence_for_people(error)
    assert not (Path(os.environ["EDGE_OPTIM_WORKSPACE"]) / "store.sqlite").exists()
