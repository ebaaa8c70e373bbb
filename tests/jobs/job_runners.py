"""What the children of the worker's tests do: the job's payload says it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from optim.artifact import workspace_error
from optim.errors import WorkspaceError
from optim.jobs.job import Job


def run(folder: Path, job: Job, progress: Callable[[float, str], None]) -> None:
    """Do what ``job.payload["do"]`` says; each begun attempt leaves a line in ``KEY.begun``."""
    begun = folder / f"{job.key}.begun"
    with begun.open("a", encoding="utf-8") as file:
        file.write("begun\n")
    match job.payload["do"]:
        case "finish":
            progress(0.5, "half way")
        case "wait":
            wait(folder, job, progress)
        case "die":
            if len(begun.read_text(encoding="utf-8").splitlines()) <= job.payload["times"]:
                os.kill(os.getpid(), signal.SIGKILL)
        case "refuse":
            raise ValueError("pruning_ratio must be below 1, got 1.0. Try 0.9.")
        case "stumble":
            raise RuntimeError("a secret of the inside")
        case "fill the disk":
            raise disk_full(folder)
        case "ignore SIGTERM":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            wait(folder, job, progress)
    with (folder / "results").open("a", encoding="utf-8") as file:
        file.write(f"{job.key}\n")


def wait(folder: Path, job: Job, progress: Callable[[float, str], None]) -> None:
    """Start a grandchild, write both process numbers down, and wait for the file ``go``."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    grandchild = subprocess.Popen(command)
    partial = folder / f"{job.key}.pids.new"
    partial.write_text(f"{os.getpid()} {grandchild.pid}", encoding="utf-8")
    partial.replace(folder / f"{job.key}.pids")
    while not (folder / "go").exists():
        progress(0.3, "waiting")
        time.sleep(0.02)
    grandchild.kill()
    grandchild.wait()


def disk_full(folder: Path) -> WorkspaceError:
    """The error that a full disk leads to."""
    error = workspace_error(OSError(errno.ENOSPC, "No space left on device"), folder)
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error
