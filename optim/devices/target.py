"""What a latency is measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optim.engines import engine_named

if TYPE_CHECKING:
    from optim.devices.environment import Environment


LATENCY_THREADS = 1


ENGINE = "onnxruntime"


def here() -> Environment:
    """The environment in which this machine measures latency."""
    from optim.devices.device import this_environment

    return this_environment(engine_named(ENGINE), threads=LATENCY_THREADS)
