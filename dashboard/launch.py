"""Starts the dashboard: streamlit in a child process, with our options whatever the folder.

launch(workspace) -> checks -> `streamlit run dashboard/server.py` below `dashboard/.streamlit`
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from optim.errors import OptimError
from optim.workspace import FOLDER_VARIABLE, Workspace

SERVER = Path(__file__).resolve().parent / "server.py"
START_PATIENCE_S = 60.0
STOP_PATIENCE_S = 5.0
PORTS_TO_TRY = 200
ALLOWED_HOSTS = ("localhost", "127.0.0.1", "::1", "[::1]")
"""What a browser on this machine calls it; a page that calls it otherwise comes from elsewhere."""
LIFELINE = "EDGE_OPTIM_LIFELINE"
"""Environment variable: tells ``dashboard.server`` that its standard input is a lifeline."""


def launch(
    workspace: Path, *, host: str = "127.0.0.1", port: int = 8501, open_browser: bool = True
) -> int:
    """Serve the dashboard until it is stopped with Ctrl-C or SIGTERM.

    Args:
        workspace: its folder; made if missing.
        host: a loopback address.
        port: must be free.
        open_browser: show the page in the user's browser, where there is a screen.

    Returns:
        The exit code: 0 if it was stopped, else that of streamlit.

    Raises:
        WorkspaceError: if the workspace cannot be used.
        OptimError: if the port is in use, or the host is not this machine alone.
    """
    check_host(host, port)
    opened = Workspace(workspace)
    opened.version()  # opens the store, so that an unusable one is told here and not on the page
    check_port(host, port)
    environment = _environment(opened.path)
    process = subprocess.Popen(
        command(host, port),
        env=environment,
        cwd=SERVER.parent,
        stdin=subprocess.PIPE,  # its lifeline: nobody writes there, and it closes when we die
        stdout=subprocess.DEVNULL,
    )
    url = f"http://{'localhost' if host == '::1' else host}:{port}"
    with _terminated_by_sigterm():
        try:
            if _wait_until_ready(process, url, port):
                print(f"Edge Optimizer runs at {url} (Ctrl-C stops it).", file=sys.stderr)
                if open_browser and _has_screen():
                    _open(url)
            elif process.poll() is not None:
                check_port(host, port)  # another program may have been quicker
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _stop(process)


def command(host: str, port: int) -> list[str]:
    """Return the command line of streamlit; it overrides a user's own streamlit settings."""
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "type",
        "logger.level": "warning",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    flags += [f"--server.allowedHosts={name}" for name in sorted({host, *ALLOWED_HOSTS})]
    return [sys.executable, "-m", "streamlit", "run", str(SERVER), *flags]


def check_host(host: str, port: int) -> None:
    """Refuse every address that others could reach.

    Raises:
        OptimError: saying how it is done properly.
    """
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if host == "localhost":
        return
    raise OptimError(
        f"the dashboard listens on this machine alone, and {host!r:.60} would let others in "
        "without a login. From another computer, use an SSH tunnel: "
        f"ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE; for several people, put a proxy with "
        "TLS and a login (OpenID Connect) in front of 127.0.0.1."
    )


def check_port(host: str, port: int) -> None:
    """Make sure that nobody listens there.

    Raises:
        OptimError: naming the next port that is free.
    """
    if port_is_free(host, port):
        return
    last = min(port + PORTS_TO_TRY, 65535)
    free = next((p for p in range(port + 1, last + 1) if port_is_free(host, p)), None)
    remedy = f"Try --port {free}." if free else "Choose another with --port."
    raise OptimError(
        f"port {port} is in use, perhaps by a dashboard that runs already "
        f"(http://{host}:{port}). {remedy}"
    )


def port_is_free(host: str, port: int) -> bool:
    """True if a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _environment(folder: Path) -> dict[str, str]:
    """Return variables that name the workspace and let the app import this package anywhere."""
    paths = [str(SERVER.parent.parent), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        FOLDER_VARIABLE: str(folder),
        LIFELINE: "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, port: int) -> bool:
    """True once our own server answers; False if it ended or took too long."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), opener.open(f"{url}/_stcore/health", timeout=2):
            if _listens(process.pid, port):
                return True
        time.sleep(0.1)
    return False


def _listens(pid: int, port: int) -> bool:
    """True if this process serves the port; what answers there may be somebody else's server."""
    import psutil

    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.AccessDenied:  # a system that tells nobody: the answer has to do
        return True
    except psutil.Error:
        return False
    return any(s.status == psutil.CONN_LISTEN and s.laddr.port == port for s in sockets)


def _has_screen() -> bool:
    known = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return not sys.platform.startswith("linux") or bool(known)


def _open(url: str) -> None:
    import webbrowser

    webbrowser.open(url)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask politely, then end it."""
    if process.stdin is not None:
        process.stdin.close()
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _terminated_by_sigterm() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that the child is never left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
