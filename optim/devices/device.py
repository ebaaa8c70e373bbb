"""This machine: processor, vector instructions, cores, governor."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path

from optim.devices.environment import Environment
from optim.engines.engine import Engine

TELLING_FLAGS = (
    "asimd", "avx2", "avx512f", "asimddp", "i8mm", "avx_vnni", "avx512_vnni", "amx_int8"
)  # fmt: skip
"""Instructions that matter for INT8, the most telling last; names as in /proc/cpuinfo."""

CPUINFO = Path("/proc/cpuinfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def this_environment(engine: Engine, *, threads: int, batch: int = 1) -> Environment:
    """Return the environment of a measurement made now, in this process.

    Args:
        threads: how many the engine is given.
        batch: examples per run.
    """
    cpu, instructions = processor(_read(CPUINFO))
    return Environment(
        cpu=cpu,
        instructions=instructions,
        cores=usable_cores(),
        threads=threads,
        engine=engine.name,
        engine_version=engine.version,
        governor=_read(GOVERNOR).strip() or "unknown",
        batch=batch,
    )


@lru_cache(maxsize=2)
def processor(cpuinfo: str) -> tuple[str, tuple[str, ...]]:
    """Name and telling instructions, from the text of /proc/cpuinfo.

    >>> processor("model name : AMD EPYC\\nflags : fpu avx2 avx512_vnni avx512f")
    ('AMD EPYC', ('avx2', 'avx512f', 'avx512_vnni'))
    """
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or fields.get("Model") or fields.get("Hardware")
    flags = set(f"{fields.get('flags', '')} {fields.get('Features', '')}".split())
    return (
        name or platform.processor() or platform.machine() or "unknown processor",
        tuple(flag for flag in TELLING_FLAGS if flag in flags),
    )


def usable_cores() -> int:
    """Return the number of logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=2)
def _read(path: Path) -> str:
    """Return the text of a small system file, read once; empty where the system has none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
