"""The environment of a measurement: processor, engine, threads, governor."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Place of a measurement. Two measurements compare only if theirs are equal.

    Attributes:
        cpu: the processor's name.
        instructions: the vector instructions that matter for INT8, such as ``avx512_vnni``.
        cores: logical processors that the process may use.
        threads: threads the engine was given.
        engine, engine_version: such as ``onnxruntime`` and ``1.32.0``.
        governor: the kernel's frequency governor, or ``unknown``.
        batch: examples per run.
    """

    cpu: str
    instructions: tuple[str, ...]
    cores: int
    threads: int
    engine: str
    engine_version: str
    governor: str = "unknown"
    batch: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON; a batch of 1 is left out, as it always was."""
        facts = asdict(self)
        if self.batch == 1:
            del facts["batch"]
        return facts

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Environment:
        """Return the inverse of ``to_dict``."""
        return cls(**{**facts, "instructions": tuple(facts["instructions"])})

    @cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def words(self) -> str:
        """Return one line for a caption."""
        vector = (
            f" ({self.instructions[-1].upper().replace('_', '-')})" if self.instructions else ""
        )
        batch = "" if self.batch == 1 else f", batch {self.batch}"
        return (
            f"{self.cpu}{vector}, {self.engine} {self.engine_version}, "
            f"{thread_words(self.threads)}{batch}"
        )


def thread_words(threads: int) -> str:
    """Return a number of threads in words."""
    return "1 thread" if threads == 1 else f"{threads} threads"
