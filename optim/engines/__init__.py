"""Engines run model files. The table is written out, so that a reader can click through it."""

from __future__ import annotations

from collections.abc import Callable

from optim.engines.engine import Engine
from optim.errors import EngineError


def _onnxruntime() -> Engine:
    from optim.engines.onnxruntime.engine import ONNX_RUNTIME

    return ONNX_RUNTIME


ENGINES: dict[str, Callable[[], Engine]] = {"onnxruntime": _onnxruntime}
"""How to get each engine; importing this package loads none of them."""

DEFAULT_ENGINE = "onnxruntime"


def engine_named(name: str) -> Engine:
    """Find an engine.

    Raises:
        EngineError: naming the engines there are, or how to install this one.
    """
    if name not in ENGINES:
        raise EngineError(
            f"there is no engine {name!r:.60}. The engines are: {', '.join(ENGINES)}."
        )
    return ENGINES[name]()
