"""In a child of the sandbox: thousands of mutated files, each in a process of its own.

The processes are forked from one that has everything loaded, so that a file costs milliseconds.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from optim.errors import OptimError
from optim.progress import Progress
from tests.faults.mutations import mutated, restructured

DONE, REFUSED, UNFORESEEN = 0, 2, 3
LONGEST_S = 60
MEMORY_BYTES = 4 * 2**30


def fuzz(argument: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Mutate a file from ``first`` to ``last`` and count how the work on each ends, by words."""
    content = Path(argument["path"]).read_bytes()
    work = WORK[argument["kind"]]
    with suppress(OptimError):
        work(Path(argument["path"]))  # loads what it needs
    mutate = restructured if argument["kind"] == "fields" else mutated
    ends: dict[str, list[int]] = {}
    for seed in range(argument["first"], argument["last"]):
        progress(seed / argument["last"], f"file {seed}")
        ends.setdefault(_one(work, mutate(content, seed), argument["path"]), []).append(seed)
    return {"ends": ends}


def run_it(argument: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run a model once."""
    import numpy as np

    from optim.engines import engine_named
    from optim.engines.engine import run_single

    session = engine_named("onnxruntime").load(Path(argument["path"]), threads=1)
    run_single(session, np.zeros((1, 4), np.float32))
    return {}


def _one(work: Callable[[Path], object], content: bytes, original: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        path = Path(folder) / Path(original).name
        path.write_bytes(content)
        if pid := os.fork():
            _, status = os.waitpid(pid, 0)
            if os.WIFSIGNALED(status):
                return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
            code = os.waitstatus_to_exitcode(status)
            words = said.read_text(encoding="utf-8") if said.exists() else ""
            return {DONE: "done", REFUSED: "refused"}.get(code, f"unforeseen: {words}")
        os._exit(_in_fork(work, path, said))


def _in_fork(work: Callable[[Path], object], path: Path, said: Path) -> int:
    signal.alarm(LONGEST_S)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        work(path)
    except OptimError as error:
        if "\n" in str(error) or "\x1b" in str(error):
            said.write_text(f"not one sentence: {error!r}", encoding="utf-8")
            return UNFORESEEN
        return REFUSED
    except BaseException as error:
        frame = sys.exc_info()[2]
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        assert frame is not None
        place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
        said.write_text(f"{type(error).__name__} at {place}", encoding="utf-8")
        return UNFORESEEN
    return DONE


def _onnx(path: Path) -> object:
    from optim.graph.fuse import fuse_report
    from optim.graph.inspect import graph_facts
    from optim.intake.gate import admit

    content = admit(path).content
    fuse_report(content)
    return graph_facts(content)


def _npz(path: Path) -> object:
    from optim.intake.arrays import read_arrays

    return read_arrays(path)


def _safetensors(path: Path) -> object:
    from optim.task.task import load_task

    task = load_task("motion-cnn")
    (path.parent / "weights.safetensors").write_bytes(path.read_bytes())
    return type(task)(**{**vars(task), "folder": path.parent}).network()


def _recipe(path: Path) -> object:
    from optim.cli.run import read_recipe

    return read_recipe(path)


WORK = {"onnx": _onnx, "fields": _onnx, "npz": _npz, "safetensors": _safetensors, "recipe": _recipe}
