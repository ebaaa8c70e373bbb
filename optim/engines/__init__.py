"""Engines run model files. The table is written out, so that a reader can click through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optim.engines.engine import Engine
from optim.errors import EngineError


@dataclass(frozen=True)
class EngineEntry:
    """A line of the table.

    Attributes:
        title: the engine as its makers write it.
        get: loads the engine; the table itself loads none.
    """

    title: str
    get: Callable[[], Engine]


def _onnxruntime() -> Engine:
    from optim.engines.onnxruntime.engine import ONNX_RUNTIME

    return ONNX_RUNTIME


DEFAULT_ENGINE = "onnxruntime"

ENGINES: dict[str, EngineEntry] = {
    DEFAULT_ENGINE: EngineEntry("ONNX Runtime", _onnxruntime),
}
"""The engines by name, as files and addresses name them."""


def engine_named(name: str) -> Engine:
    """Find an engine.

    Raises:
        EngineError: naming the engines there are, or how to install this one.
    """
    check_engine(name)
    return ENGINES[name].get()


def check_engine(name: str) -> None:
    """Look whether there is an engine of this name, and load none.

    Raises:
        EngineError: naming the engines there are.
    """
    if name not in ENGINES:
        raise EngineError(
            f"there is no engine {name!r:.60}. The engines are: {', '.join(ENGINES)}. "
            "A newer version of edge-optim may know more."
        )


def engine_title(name: str) -> str:
    """Return the engine as its makers write it; an unknown one by its name."""
    entry = ENGINES.get(name)
    return name if entry is None else entry.title
