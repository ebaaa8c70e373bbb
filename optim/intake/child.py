"""The child of ``optim.intake.sandbox``: it binds itself, calls the function, tells its answer.

    guard: waits for both ends, and ends the whole group when ours is gone
      worker: limits, the function

The guard does nothing else, so no code of an engine can keep it from its duty.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from optim.errors import OptimError
from optim.intake.limits import Limits, set_limits

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
EVERY_S = 0.05
"""Progress is told at most so often."""


def main(arguments: list[str]) -> None:
    """``python -m optim.intake.child MODULE:FUNCTION``; the argument and limits come as a line."""
    asked = json.loads(sys.stdin.buffer.readline())
    _leave_the_network()
    if worker := os.fork():
        _guard(worker)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print must not stand among our lines
    set_limits(Limits(**asked["limits"]))
    tell = _Teller(out)
    tell(_answer(arguments[0], asked["argument"], tell))
    out.flush()
    os._exit(0)  # threads of engines need no farewell


class _Teller:
    """Writes one message a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._told = 0.0

    def __call__(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def progress(self, share: float, words: str) -> None:
        """Send progress to the parent process."""
        if time.monotonic() - self._told >= EVERY_S:
            self({"progress": [share, words]})
            self._told = time.monotonic()


def _answer(where: str, argument: dict[str, Any], tell: _Teller) -> dict[str, Any]:
    module, _, function = where.partition(":")
    try:
        work = getattr(importlib.import_module(module), function)
        return {"result": work(argument, tell.progress)}
    except OptimError as error:
        return {"error": type(error).__name__, "sentence": str(error)}
    except MemoryError:
        return {
            "error": "BrokenArtifactError",
            "sentence": "the file needs more memory than is allowed for a file of its length.",
        }
    except Exception as error:
        return {"error": "BrokenArtifactError", "sentence": _unforeseen(error)}


def _unforeseen(error: Exception) -> str:
    """Return a sentence on an unforeseen error with its place, for a report."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((f for f in reversed(frames) if "site-packages" not in f.filename), frames[-1])
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return (
        f"the file breaks what an ONNX model must hold ({type(error).__name__} in {place}: "
        f"{str(error)[:200]}). If onnx.checker finds nothing wrong with it, please report it."
    )


def _guard(worker: int) -> NoReturn:
    """End as the worker ends; end it, and all that it has started, when our parent is gone."""
    os.close(1)  # else its end would not be seen
    threading.Thread(target=_end_with_input, name="lifeline", daemon=True).start()
    _, status = os.waitpid(worker, 0)
    if os.WIFSIGNALED(status):
        with suppress(OSError):  # SIGKILL needs none
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _end_with_input() -> None:
    """End with the input: it ends when the parent has died, however that was."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def _leave_the_network() -> None:
    """Go where only a loopback that is down exists, if this system lets us."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        if library.unshare(CLONE_NEWNET) != 0:
            library.unshare(CLONE_NEWUSER | CLONE_NEWNET)


if __name__ == "__main__":
    main(sys.argv[1:])
