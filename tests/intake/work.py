"""What children of the sandbox do in the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from optim.errors import EngineError
from optim.progress import Progress

Plain = dict[str, Any]


def surroundings(argument: Plain, progress: Progress) -> Plain:
    Path("mine.txt").write_text("written by the child", encoding="utf-8")
    progress(0.5, "half\nway \x1b[31m")
    return {"given": argument["word"], "environment": dict(os.environ), "folder": os.getcwd()}


def raise_engine_error(argument: Plain, progress: Progress) -> Plain:
    raise EngineError("the engine says no.")


def raise_key_error(argument: Plain, progress: Progress) -> Plain:
    raise KeyError("x\x1b[31m")


def take_memory(argument: Plain, progress: Progress) -> Plain:
    return {"bytes": len(bytearray(argument["bytes"]))}


def spin(argument: Plain, progress: Progress) -> Plain:
    Path(argument["begun"]).write_text(str(os.getpid()), encoding="utf-8")
    while True:
        pass


def sleep_and_leave_a_child(argument: Plain, progress: Progress) -> Plain:
    code = "import time; time.sleep(600)"
    grandchild = subprocess.Popen([sys.executable, "-c", code])
    Path(argument["begun"]).write_text(f"{os.getpid()} {grandchild.pid}", encoding="utf-8")
    time.sleep(600)
    return {}


def write_much(argument: Plain, progress: Progress) -> Plain:
    Path("much").write_bytes(bytes(argument["bytes"]))
    return {}


def crash(argument: Plain, progress: Progress) -> Plain:
    os.abort()


def leave(argument: Plain, progress: Progress) -> Plain:
    os._exit(3)


def print_a_lot(argument: Plain, progress: Progress) -> Plain:
    print('{"result": {"forged": true}}', flush=True)
    os.write(1, b"noise of a library\n")
    return {"forged": False}


def connect(argument: Plain, progress: Progress) -> Plain:
    try:
        with socket.create_connection(("127.0.0.1", argument["port"]), timeout=2):
            return {"reached": True}
    except OSError:
        return {"reached": False}


def start_threads(argument: Plain, progress: Progress) -> Plain:
    import threading

    started = 0
    try:
        for _ in range(argument["threads"]):
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    return {"started": started}
