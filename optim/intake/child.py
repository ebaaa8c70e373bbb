"""The child's side of ``optim.intake.sandbox``: bind yourself, call the function, tell its answer."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from optim.errors import OptimError
from optim.intake.limits import Limits, set_limits

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """``python -m optim.intake.child MODULE:FUNCTION``; the argument and limits come as a line."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print must not stand among our lines
    _die_with_parent()
    _leave_the_network()
    asked = json.loads(sys.stdin.buffer.readline())
    set_limits(Limits(**asked["limits"]))
    threading.Thread(target=_die_at_end_of_input, name="lifeline", daemon=True).start()
    tell = _Teller(out)
    tell(_answer(arguments[0], asked["argument"], tell))
    out.flush()
    os._exit(0)  # threads of engines need no farewell


class _Teller:
    """Writes one message a line."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def __call__(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def progress(self, share: float, words: str) -> None:
        self({"progress": [share, words]})


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
    """For what nobody foresaw: where it happened, for a report, in one sentence."""
    here = [frame for frame in traceback.extract_tb(error.__traceback__) if "optim" in frame.filename]
    place = f"{Path(here[-1].filename).name}, line {here[-1].lineno}" if here else "a library"
    return (
        f"the file breaks what an ONNX model must hold ({type(error).__name__} in {place}: "
        f"{str(error)[:200]}). If onnx.checker finds nothing wrong with it, please report it."
    )


def _die_with_parent() -> None:
    """Ask the system to kill this process when the parent dies, whatever it is doing then."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _die_at_end_of_input() -> None:
    """The same where the system knows no such wish: input ends when the parent is gone."""
    sys.stdin.buffer.read(1)
    os.killpg(0, signal.SIGKILL)


def _leave_the_network() -> None:
    """Go where only a loopback that is down exists, if this system lets us."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        if library.unshare(CLONE_NEWNET) != 0:
            library.unshare(CLONE_NEWUSER | CLONE_NEWNET)


if __name__ == "__main__":
    main(sys.argv[1:])
