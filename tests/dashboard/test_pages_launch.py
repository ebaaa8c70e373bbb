"""Starting the dashboard: what is refused, and with which words."""

from __future__ import annotations

import socket
import sys
import tomllib
from pathlib import Path

import pytest

from dashboard import launch as starting
from dashboard.launch import SERVER, check_host, check_port, command, launch
from optim.errors import OptimError, WorkspaceError


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "example.org", "::", ""])
def test_other_machines_are_not_let_in(host: str) -> None:
    with pytest.raises(OptimError, match=r"ssh -L 8501:127\.0\.0\.1:8501.*TLS and a login"):
        check_host(host, 8501)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1"])
def test_this_machine_is_let_in(host: str) -> None:
    check_host(host, 8501)


def test_a_port_in_use_names_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OptimError, match=rf"port {port} is in use.*Try --port \d+\.") as error:
            check_port("127.0.0.1", port)
        proposed = int(str(error.value).split("--port ")[1].rstrip("."))
        assert starting.port_is_free("127.0.0.1", proposed)


def test_a_workspace_that_cannot_be_used_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "command", lambda host, port: [sys.executable, "-c", ""])
    file = tmp_path / "file"
    file.write_text("not a folder", encoding="utf-8")
    with pytest.raises(WorkspaceError):
        launch(file / "workspace", open_browser=False)


def test_the_exit_code_of_a_server_that_fails_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr(starting, "command", lambda host, port: fails)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert launch(tmp_path, port=port, open_browser=False) == 3


def test_the_server_stays_on_this_machine_and_asks_nobody() -> None:
    options = dict(flag[2:].split("=", 1) for flag in command("127.0.0.1", 8600)[5:])
    assert options["server.address"] == "127.0.0.1"
    assert options["browser.gatherUsageStats"] == "false"
    assert options["client.showErrorDetails"] == "type"
    names = [flag for flag in command("127.0.0.1", 8600) if "allowedHosts" in flag]
    assert [name.split("=")[1] for name in names] == ["127.0.0.1", "::1", "[::1]", "localhost"]
    settings = tomllib.loads(
        (SERVER.parent / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    )
    assert "127.0.0.1" in settings["server"]["allowedHosts"]
    assert settings["server"]["enableCORS"] is True
    assert {"light", "dark"} <= settings["theme"].keys()
