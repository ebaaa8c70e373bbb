"""The child comes to its limits, and this process to no harm."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from optim import telemetry
from optim.errors import BrokenArtifactError, EngineError
from optim.intake.limits import Limits, tasks_of_this_user
from optim.intake.sandbox import Plain, Work, run_apart
from tests.intake import work
from tests.waiting import gone, wait_for

ROOT = Path(__file__).resolve().parents[2]
SHORT = Limits(silence_s=30, cpu_s=60)


def apart(function: Work, folder: Path, limits: Limits = SHORT, **argument: object) -> Plain:
    return run_apart(function, dict(argument), folder, name="model.onnx", limits=limits)


def test_an_answer_and_files_come_back_and_progress_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "of the user")
    told: list[tuple[float, str]] = []
    found = run_apart(
        work.surroundings, {"word": "ö"}, tmp_path, name="model.onnx", limits=SHORT,
        progress=lambda share, words: told.append((share, words)),
    )  # fmt: skip
    assert found["given"] == "ö"
    assert told == [(0.5, "half way \\x1b[31m")]
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "written by the child"
    assert Path(found["folder"]) == tmp_path
    assert "SECRET_TOKEN" not in found["environment"]
    assert found["environment"]["HOME"] == str(tmp_path)
    assert found["environment"].items() >= telemetry.VARIABLES.items()


def test_an_error_keeps_its_kind_and_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"^the engine says no\.$"):
        apart(work.raise_engine_error, tmp_path)


def test_an_unforeseen_error_is_one_sentence_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(BrokenArtifactError, match=r"KeyError in .*work.py, line \d+") as error:
        apart(work.raise_key_error, tmp_path)
    assert "\x1b" not in str(error.value)


def test_memory_has_a_limit(tmp_path: Path) -> None:
    limits = Limits(memory_bytes=2**30)
    assert apart(work.take_memory, tmp_path, limits, bytes=2**28) == {"bytes": 2**28}
    with pytest.raises(BrokenArtifactError, match="more memory than is allowed"):
        apart(work.take_memory, tmp_path, limits, bytes=2**30)


def test_processor_time_has_a_limit(tmp_path: Path) -> None:
    with pytest.raises(BrokenArtifactError, match="more than 1 seconds of the processor"):
        apart(work.spin, tmp_path, Limits(cpu_s=1), begun=str(tmp_path / "begun"))


def test_silence_has_a_limit(tmp_path: Path) -> None:
    with pytest.raises(BrokenArtifactError, match="takes too long: it was stopped after 2 seconds"):
        apart(work.spin, tmp_path, Limits(silence_s=2), begun=str(tmp_path / "begun"))
    wait_for(lambda: gone(int((tmp_path / "begun").read_text(encoding="utf-8"))), 10)


def test_files_have_a_limit(tmp_path: Path) -> None:
    with pytest.raises(BrokenArtifactError, match="File too large"):
        apart(work.write_much, tmp_path, Limits(file_bytes=2**20), bytes=2**21)
    assert (tmp_path / "much").stat().st_size <= 2**20


@pytest.mark.skipif(os.getuid() == 0, reason="the system binds no number of root's processes")
def test_processes_and_threads_have_a_limit(tmp_path: Path) -> None:
    here = tasks_of_this_user() or 0
    told = apart(work.start_threads, tmp_path, Limits(more_tasks=20), threads=here + 500)
    assert told["started"] < here + 400


@pytest.mark.parametrize(
    ("function", "words"), [(work.crash, "crashed .SIGABRT"), (work.leave, "exit code 3")]
)
def test_a_child_that_ends_by_itself_is_told(function: Work, words: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenArtifactError, match=words):
        apart(function, tmp_path)


def test_what_libraries_print_is_no_answer(tmp_path: Path) -> None:
    assert apart(work.print_a_lot, tmp_path) == {"forged": False}


def test_not_even_this_machine_can_be_reached(tmp_path: Path) -> None:
    allowed = subprocess.run(["unshare", "--map-root-user", "--net", "true"], capture_output=True)
    if allowed.returncode != 0:
        pytest.skip("this system lets nobody leave the network")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert apart(work.connect, tmp_path, port=server.getsockname()[1]) == {"reached": False}


# --- the parent's end -----------------------------------------------------------------------------
PARENT = """
import sys
from pathlib import Path
from optim.intake.limits import Limits, tasks_of_this_user
from optim.intake.sandbox import run_apart
from tests.intake import work
try:
    argument, folder = {{"begun": sys.argv[1]}}, Path(sys.argv[2])
    run_apart(work.{function}, argument, folder, name="m", limits=Limits())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("function", ["spin", "sleep_and_leave_a_child"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_child_ends_with_its_parent(
    function: str, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    begun = tmp_path / "begun"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(function=function), begun, tmp_path / "folder"],
        cwd=ROOT,
    )
    wait_for(lambda: begun.exists() and begun.read_text(encoding="utf-8") != "")
    parent.send_signal(number)
    code = parent.wait(10)
    assert code == (130 if number is signal.SIGINT else -number)
    for pid in map(int, begun.read_text(encoding="utf-8").split()):
        wait_for(partial(gone, pid), 10)


def test_two_files_can_be_worked_on_at_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with ThreadPoolExecutor(2) as threads:
        found = list(
            threads.map(lambda n: apart(work.surroundings, tmp_path / n, word=n), ("a", "b"))
        )
    assert [each["given"] for each in found] == ["a", "b"]
