"""The environment of a measurement: processor, engine, threads, governor."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where a measurement was made. Two of them compare only if they are equal.

    Attributes:
        cpu: the processor's name.
        instructions: the vector instructions that matter for INT8, such as ``avx512_vnni``.
        cores: logical processors that the process may use.
        threads: threads the engine was given.
        engine, engine_version: such as ``onnxruntime`` and ``1.32.0``.
        governor: the kernel's frequency governor, or ``unknown``.
    """

    cpu: str
    instructions: tuple[str, ...]
    cores: int
    threads: int
    engine: str
    engine_version: str
    governor: str = "unknown"

    @cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def words(self) -> str:
        """One line for a caption."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        vector = (
            f" ({self.instructions[-1].upper().replace('_', '-')})" if self.instructions else ""
        )
        return f"{self.cpu}{vector}, {self.engine} {self.engine_version}, {threads}"
