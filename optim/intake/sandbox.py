"""Work on a stranger's bytes in a process of its own, so that ours cannot come to harm.

    this process --function's name, JSON--> child: limits, no environment, own folder, no network
    this process <--lines of JSON, files in the folder-- child

Nothing that comes back can run anything: the answer is plain data, and files are read as bytes.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optim import errors, telemetry
from optim.intake.limits import Limits
from optim.progress import Progress
from optim.words import one_line

Plain = dict[str, Any]
"""What JSON can hold."""
Work = Callable[[Plain, Progress], Plain]
"""A function of a module, by its name. It runs in the child, whose current folder is its own."""

LONGEST_LINE = 16 * 2**20
LONGEST_SENTENCE = 600
STDERR_NAME = "stderr.txt"
PASSED_ON = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""The variables without which Python might not find what it runs."""
FAMILY = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, errors.OptimError)
    and kind is not errors.RefusedError
}
"""The errors that a child may report, by name."""


def run_apart(
    work: Work,
    argument: Plain,
    folder: Path,
    *,
    name: str,
    limits: Limits,
    progress: Progress = lambda share, words: None,
) -> Plain:
    """Call a function in a process with limits and return its answer.

    Args:
        work: a function at the top of its module.
        argument: paths in it must be absolute.
        folder: empty, of nobody else; the child writes its files there.
        name: of the file that is worked on, for sentences.
        limits: the process is killed, with all that it started, when it takes more.
        progress: what the function reports is passed on.

    Raises:
        OptimError: of the kind that the function raised, with its sentence.
        BrokenArtifactError: it crashed, took more than its limits, or raised what it should not.
    """
    with _child(work, folder) as child:
        try:
            _send(child, {"argument": argument, "limits": asdict(limits)})
            answer = _listen(child, name, limits, progress)
        except _EndedError:
            raise _why_it_ended(child, name, limits, folder) from None
    if "error" in answer:
        kind = FAMILY.get(str(answer["error"]), errors.BrokenArtifactError)
        raise kind(one_line(str(answer.get("sentence", "")))[:LONGEST_SENTENCE])
    result = answer.get("result")
    if not isinstance(result, dict):
        raise errors.BrokenArtifactError(f"{name} cannot be worked on: it gave no answer.")
    return result


class _EndedError(Exception):
    """The child ended, or closed its pipe, without an answer."""


@contextmanager
def _child(work: Work, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a child that is gone, with its whole group, when the block is left."""
    where = f"{work.__module__}:{work.__qualname__}"
    with (folder / STDERR_NAME).open("wb") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "optim.intake.child", where],
            stdin=subprocess.PIPE,  # also its lifeline: it closes when we die
            stdout=subprocess.PIPE,
            stderr=said,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,  # Ctrl-C reaches us alone, and we pass it on as a kill
        )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment without the user's, but for where Python finds its libraries."""
    passed = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    root = str(Path(errors.__file__).resolve().parents[1])
    paths = [root, *filter(None, [passed.get("PYTHONPATH")])]
    return {
        **passed,
        **telemetry.VARIABLES,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MALLOC_ARENA_MAX": "2",  # else each thread takes 64 MB of the address space
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _send(child: subprocess.Popen[bytes], message: Plain) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(message).encode() + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        raise _EndedError from None


def _listen(child: subprocess.Popen[bytes], name: str, limits: Limits, progress: Progress) -> Plain:
    """Pass progress on until the answer comes.

    Raises:
        _EndedError: the child is gone.
        BrokenArtifactError: it took too long.
    """
    begun = time.monotonic()
    heard = begun
    for message in _messages(child):
        now = time.monotonic()
        if message is None:
            if now - heard > limits.silence_s or now - begun > limits.wall_s:
                patience = limits.silence_s if now - begun <= limits.wall_s else limits.wall_s
                raise errors.BrokenArtifactError(
                    f"{name} takes too long: it was stopped after {patience:.0f} seconds without "
                    "an end in sight. Is there a loop in it that never ends?"
                )
            continue
        heard = now
        match message:
            case {"progress": [float() | int() as share, str() as words]}:
                progress(min(1.0, max(0.0, float(share))), one_line(words)[:LONGEST_SENTENCE])
            case {"result": _} | {"error": _}:
                return message
            case _:
                raise _EndedError
    raise _EndedError


def _messages(child: subprocess.Popen[bytes]) -> Iterator[Plain | None]:
    """Yield the child's messages line by line; None about twice a second while it is silent."""
    assert child.stdout is not None
    pipe, waiting = child.stdout.fileno(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while len(waiting) <= LONGEST_LINE:
            if not selector.select(0.5):
                yield None
                continue
            if not (piece := os.read(pipe, 2**16)):
                return
            *lines, waiting = (waiting + piece).split(b"\n")
            for line in lines:
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    return
                yield message if isinstance(message, dict) else {}


def _why_it_ended(
    child: subprocess.Popen[bytes], name: str, limits: Limits, folder: Path
) -> errors.OptimError:
    """Return the sentence for a child that ended without an answer."""
    with suppress(subprocess.TimeoutExpired):
        child.wait(5)
    code = child.returncode
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        why = f"it used more than {limits.cpu_s:.0f} seconds of the processor, or was killed"
    elif code is not None and code < 0:
        allowed = f"{limits.memory_bytes / 2**30:.0f} GB of memory allowed"
        why = f"the process that worked on it crashed ({signal.Signals(-code).name}; {allowed})"
    else:
        said = (folder / STDERR_NAME).read_bytes()[-2000:].decode(errors="replace").strip()
        last = one_line(said.splitlines()[-1])[:LONGEST_SENTENCE] if said else "no word"
        why = f"the process that worked on it ended with exit code {code}: {last}"
    return errors.BrokenArtifactError(f"{name} cannot be worked on: {why}.")
