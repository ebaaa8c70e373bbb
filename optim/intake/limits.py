"""Limits of a process that works on a stranger's file."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

GIB = 2**30
MEMORY_BYTES = 4 * GIB
MEMORY_PER_BYTE = 4
"""Copies of the file that reading, rewriting and running it need at the same time."""
SILENCE_S = 45.0
SILENCE_PER_GIB_S = 60.0
WALL_S = 2 * 3600.0
CPU_S = 4 * 3600.0
FILE_BYTES = 4 * GIB
MORE_TASKS = 256
"""Processes and threads, beside those that this user has already."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a process; beyond them it is ended.

    Attributes:
        memory_bytes: of address space.
        silence_s: seconds without a word of progress.
        wall_s: seconds in all.
        cpu_s: seconds of processor time, all threads together.
        file_bytes: length of any file that it writes.
        more_tasks: processes and threads.
    """

    memory_bytes: int = field(default_factory=lambda: MEMORY_BYTES)
    silence_s: float = field(default_factory=lambda: SILENCE_S)
    wall_s: float = WALL_S
    cpu_s: float = CPU_S
    file_bytes: int = FILE_BYTES
    more_tasks: int = MORE_TASKS


def limits_for(path: Path) -> Limits:
    """Return the limits of the work on a model file: a longer one gets more memory and time.

    Files beside it whose names begin alike count as its weights.
    """
    size = 0
    with suppress(OSError, ValueError):  # what cannot be read is told by who reads it
        alike = [path, *(p for p in path.parent.iterdir() if p.name.startswith(path.stem))]
        on_disk = sum(512 * p.stat().st_blocks for p in set(alike) if p.is_file())
        size = min(on_disk, 2 * GIB)
    return Limits(
        memory_bytes=MEMORY_BYTES + MEMORY_PER_BYTE * size,
        silence_s=SILENCE_S + SILENCE_PER_GIB_S * size / GIB,
    )


def set_limits(limits: Limits) -> None:
    """Bind this process to its limits for good; a system that knows one not goes without it."""
    wanted = [
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, round(limits.cpu_s)),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ]
    if (tasks := tasks_of_this_user()) is not None:
        wanted.append((resource.RLIMIT_NPROC, tasks + limits.more_tasks))
    for kind, most in wanted:
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))


def tasks_of_this_user() -> int | None:
    """Count processes and threads as the system does for its limit; None where unknown."""
    proc, mine = Path("/proc"), os.getuid()
    if not (proc / "self" / "task").is_dir():
        return None
    count = 0
    for folder in proc.iterdir():
        with suppress(OSError):  # it ended meanwhile
            if folder.name.isdigit() and folder.stat().st_uid == mine:
                count += sum(1 for _ in (folder / "task").iterdir())
    return count
