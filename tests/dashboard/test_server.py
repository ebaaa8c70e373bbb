"""The real server: who may speak to it, who may frame it, and when it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.waiting import gone, wait_for

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(folder: Path, port: int, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "optim", "--workspace", str(folder), "dashboard",
         "--port", str(port), "--no-browser"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip


def runs(process: subprocess.Popen[str]) -> bool:
    """Wait for the sentence that it runs; False if it ended instead."""
    assert process.stderr is not None
    return any("runs at" in line for line in process.stderr)


def ended(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server whose user's own settings would let everybody in."""
    number = free_port()
    process = started(
        tmp_path_factory.mktemp("server"), number,
        STREAMLIT_SERVER_ALLOWED_HOSTS="*", STREAMLIT_SERVER_ADDRESS="0.0.0.0",
        STREAMLIT_SERVER_ENABLE_CORS="false",
    )  # fmt: skip
    assert runs(process)
    yield number
    ended(process)


def opened(port: int, **headers: str) -> ClientConnection:
    return connect(
        f"ws://{headers.pop('host', '127.0.0.1')}:{port}/_stcore/stream",
        sock=socket.create_connection(("127.0.0.1", port)), max_size=None,
        subprotocols=["streamlit"], proxy=None, **headers,
    )  # fmt: skip


def test_no_other_site_may_frame_a_page(port: int) -> None:
    for path in ("", "/compare", "/_stcore/health"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"


def test_the_pages_are_drawn(port: int) -> None:
    with opened(port) as browser:
        message = BackMsg()
        message.rerun_script.query_string = "model=motion-cnn"
        browser.send(message.SerializeToString())
        kind, received = "", ForwardMsg()
        while kind != "script_finished":
            received.ParseFromString(browser.recv(timeout=60))
            kind = received.WhichOneof("type")
            assert not received.delta.new_element.HasField("exception"), received


def test_foreign_hosts_and_origins_are_refused_whatever_the_users_settings(port: int) -> None:
    for refused in (
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"origin": "http://evil.example"},
    ):
        with pytest.raises(InvalidStatus, match="403"), opened(port, **refused):
            pass
    for allowed in ({"host": "localhost"}, {"origin": f"http://127.0.0.1:{port}"}):
        with opened(port, **allowed):
            pass


def test_the_server_ends_with_its_launcher_however_that_dies(tmp_path: Path) -> None:
    for number in (signal.SIGKILL, signal.SIGHUP):
        process = started(tmp_path, free_port())
        assert runs(process)
        below = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        assert below
        process.send_signal(number)
        process.communicate(timeout=30)
        for pid in below:
            wait_for(partial(gone_or_worker, pid), 20)


def gone_or_worker(pid: int) -> bool:
    """The worker outlives the dashboard on purpose."""
    with suppress(psutil.Error):
        return gone(pid) or "optim.jobs.worker" in psutil.Process(pid).cmdline()
    return True


def test_of_two_that_start_at_once_on_one_port_one_runs_and_one_says_why_not(
    tmp_path: Path,
) -> None:
    number = free_port()
    both = [started(tmp_path / name, number) for name in ("a", "b")]
    told = [runs(process) for process in both]
    assert sorted(told) == [False, True]
    loser, winner = sorted(both, key=lambda process: told[both.index(process)])
    assert loser.wait(30) == 2
    assert winner.poll() is None
    ended(winner)
    assert loser.stderr is not None
    loser.stderr.close()
