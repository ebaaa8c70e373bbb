"""Nothing leaves the machine: no process of ours resolves a name or connects beyond loopback.

The commands run in a network namespace of their own, where nothing but loopback exists, and every
system call about the network is looked at, those of the engines' own threads included.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from optim import telemetry

ROOT = Path(__file__).resolve().parent.parent
TASK = "motion-cnn"
NAMESPACE = ("unshare", "--map-root-user", "--net")
OUTSIDE = re.compile(r"sa_family=AF_INET6?,.*?(?:inet_addr\(|inet_pton\(AF_INET6, )\"([^\"]+)\"")
LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.|0\.0\.0\.0$|::$")

QUICK = """
    from optim.cli import run_command_line
    from optim.workspace import Workspace

    def edge_optim(*words):
        assert run_command_line(["--workspace", "w", *words]) == 0, words

    edge_optim("tasks")
    edge_optim("prebuilt", "motion-cnn")
    found = Workspace("w").candidates("motion-cnn")[1]
    edge_optim("candidates", "motion-cnn")
    edge_optim("front", "motion-cnn")
    edge_optim("presets")
    edge_optim("export", found.id, "--to", "model")
    edge_optim("fuse", "model/model.onnx", "--output", "fused.onnx")
    edge_optim("measure", "fused.onnx", "--task", "motion-cnn")
    edge_optim("profile", found.id)
    edge_optim("run", "motion-cnn", "--quantize", "fp16")
    edge_optim("sweep", "motion-cnn", "--prune", "0", "--quantize", "fp32,int8")
    job = Workspace("w").queue.submit("measure", "key", {"task": "motion-cnn",
                                      "candidate": found.id}, "a job")
    edge_optim("worker", "--idle-exit", "0.1")
    edge_optim("jobs")
    edge_optim("cancel", job.id)
    assert str(Workspace("w").job(job.id).state) == "done"
"""
INSIDE = """
    from optim.cli import run_command_line
    from optim.workspace import Workspace

    def edge_optim(*words):
        assert run_command_line(["--workspace", "w", *words]) == 0, words

    edge_optim("prebuilt", "motion-cnn")
    found = Workspace("w").candidates("motion-cnn")[1]
    edge_optim("sensitivity", "motion-cnn")
    edge_optim("waterfall", found.id)
    edge_optim("mixed", "motion-cnn", "--max-kb", "500")
    edge_optim("pruning-curves", "motion-cnn")
    edge_optim("plan", "motion-cnn", "--macs", "0.5")
"""
PAGES = """
    import socket, subprocess, sys, time, urllib.request
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect
    from optim.workspace import Workspace

    assert subprocess.run([sys.executable, "-m", "optim", "--workspace", "w", "prebuilt",
                           "motion-cnn"]).returncode == 0
    server = subprocess.Popen([sys.executable, "-m", "optim", "--workspace", "w", "dashboard",
                               "--port", "8501", "--no-browser"])
    while True:
        try:
            urllib.request.urlopen("http://127.0.0.1:8501/_stcore/health", timeout=2)
            break
        except OSError:
            assert server.poll() is None
            time.sleep(0.1)
    for page in ("", "compare", "layers", "train", "jobs"):
        with connect("ws://127.0.0.1:8501/_stcore/stream", max_size=None,
                     subprotocols=["streamlit"]) as browser:
            message = BackMsg()
            message.rerun_script.query_string = "model=motion-cnn"
            message.rerun_script.page_name = page
            browser.send(message.SerializeToString())
            kind = ""
            while kind != "script_finished":
                received = ForwardMsg()
                received.ParseFromString(browser.recv(timeout=60))
                kind = received.WhichOneof("type")
                assert not received.delta.new_element.HasField("exception"), received
    server.terminate()
    assert server.wait(30) == 0
"""


def traced(script: str, folder: Path, *, setup: Sequence[str] = ()) -> str:
    """Run a script where only loopback is, and return every network system call of its processes.

    The pages are drawn and the engines load inside; ``HOME`` is empty and stays that way.
    """
    (folder / "script.py").write_text(textwrap.dedent(script), encoding="utf-8")
    (folder / "home").mkdir()
    inherited = {name: v for name, v in os.environ.items() if name not in telemetry.VARIABLES}
    loopback_up = 'ip link set lo up; exec "$@"'
    trace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=network", "-o", "trace"]
    process = subprocess.run(
        [*NAMESPACE, "sh", "-c", loopback_up, "sh", *trace, sys.executable, "script.py"],
        cwd=folder, capture_output=True, text=True,
        env={**inherited, "HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2000:]
    return (folder / "trace").read_text(encoding="utf-8", errors="replace")


def outside(trace: str) -> list[str]:
    """The lines that reach for an address which is not this machine's own."""
    return [
        line
        for line in trace.splitlines()
        for address in OUTSIDE.findall(line)
        if not LOOPBACK.match(address)
    ]


@pytest.fixture(scope="session")
def namespace() -> None:
    """Skip where the system cannot show what a process asks of the network."""
    for name in ("unshare", "strace", "ip"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    allowed = subprocess.run(
        [*NAMESPACE, "strace", "-f", "--seccomp-bpf", "-o", os.devnull, "true"], capture_output=True
    )
    if allowed.returncode != 0:
        pytest.skip("this system lets nobody make a network namespace and trace in it")


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(QUICK, id="commands"),
        pytest.param(PAGES, id="pages"),
        pytest.param(INSIDE, id="inside", marks=pytest.mark.slow),
    ],
)
def test_no_command_and_no_page_reaches_beyond_loopback(script: str, tmp_path: Path) -> None:
    assert outside(traced(script, tmp_path)) == []
    assert not (tmp_path / "home" / ".cache" / "Microsoft").exists()


@pytest.mark.usefixtures("namespace")
def test_a_process_that_asks_for_a_host_would_be_seen(tmp_path: Path) -> None:
    script = """
        import socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.connect(("192.0.2.1", 53))
        except OSError:
            pass
    """
    assert "192.0.2.1" in outside(traced(script, tmp_path))[0]


def test_importing_optim_sets_the_variables_whatever_they_were() -> None:
    code = "import optim, os; print(*[os.environ[n] for n in %r])" % list(telemetry.VARIABLES)  # noqa: UP031
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "0"},
    )  # fmt: skip
    assert process.stdout.split() == list(telemetry.VARIABLES.values())


def test_openvino_is_loaded_without_its_reporter() -> None:
    with pytest.raises(ImportError):
        import openvino_telemetry  # noqa: F401  # type: ignore[import-not-found]


def test_the_engine_leaves_no_file_of_its_own_in_the_users_home(tmp_path: Path) -> None:
    """Seen everywhere, also where no namespace can be made."""
    code = "import optim.engines.onnxruntime.engine as e; print(e.ONNX_RUNTIME.version)"
    inherited = {name: v for name, v in os.environ.items() if name not in telemetry.VARIABLES}
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True,
        env={**inherited, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert list(tmp_path.rglob("*onnxruntime*")) == []
