"""Target of a latency: an engine on a device, with so many threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from optim.devices.device import this_environment, usable_cores
from optim.devices.environment import Environment, thread_words
from optim.engines import DEFAULT_ENGINE, check_engine, engine_named, engine_title
from optim.engines.engine import Engine
from optim.errors import TargetError

THIS_MACHINE = "here"
"""The only device there is so far."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Engine, device, threads and batch; figures of two targets never mix.

    Attributes:
        engine: its name in ``optim.engines.ENGINES``; it is loaded at first need.
        device: the machine.
        threads: of the engine, at most the cores that this process may use.
        batch: examples per run.

    Raises:
        EngineError: if there is no such engine.
        TargetError: if the device is unknown, or has not that many cores; if a number is below 1.
    """

    engine: str = DEFAULT_ENGINE
    device: str = THIS_MACHINE
    threads: int = 1
    batch: int = 1

    def __post_init__(self) -> None:
        check_engine(self.engine)
        if self.device != THIS_MACHINE:
            raise TargetError(
                f"the device must be {THIS_MACHINE!r}, got {self.device!r:.60}. "
                "A newer version of edge-optim may know more."
            )
        cores = usable_cores()
        if not 1 <= self.threads <= cores:
            raise TargetError(
                f"threads must be 1 to {cores}, the cores that may be used here; got "
                f"{self.threads}. Choose {cores} for all of them."
            )
        if self.batch < 1:
            raise TargetError(f"batch must be at least 1, got {self.batch}.")

    @cached_property
    def environment(self) -> Environment:
        """Environment of a measurement on this target."""
        return this_environment(self.load_engine(), threads=self.threads, batch=self.batch)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the environment: figures are kept under it."""
        return self.environment.fingerprint

    def load_engine(self) -> Engine:
        """Return the engine itself.

        Raises:
            EngineError: if it is not installed.
        """
        return engine_named(self.engine)

    def words(self) -> str:
        """Return engine and threads, such as ``ONNX Runtime, 2 threads``."""
        batch = "" if self.batch == 1 else f", batch {self.batch}"
        return f"{engine_title(self.engine)}, {thread_words(self.threads)}{batch}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> Target:
        """Return the inverse of ``to_dict``; None, as older jobs have it, is the default target.

        Raises:
            EngineError, TargetError: as for any target; also for what only a newer version writes.
        """
        if data is None:
            return cls()
        known = isinstance(data, Mapping) and all(
            type(value) is KINDS.get(name) for name, value in data.items()
        )
        if not known:
            raise TargetError(
                f"a target has {', '.join(KINDS)}, got {data!r:.120}. "
                "A newer version of edge-optim may have written it; update edge-optim."
            )
        return cls(**data)


KINDS = {"engine": str, "device": str, "threads": int, "batch": int}
"""The fields of a target as JSON has them."""


def thread_choices() -> tuple[int, ...]:
    """Return the numbers of threads to choose from: one, two, all cores."""
    cores = usable_cores()
    return tuple(sorted({1, min(2, cores), cores}))
