"""A second, trivial engine: it wraps the first one and takes its time."""

from __future__ import annotations

import time
from dataclasses import replace

from optim.engines import EngineEntry
from optim.engines.explainer import Explainer
from optim.engines.onnxruntime.engine import ONNX_RUNTIME

PAUSE_S = 0.002


class SlowSession:
    """Answers like the session it wraps, but not before a pause."""

    def __init__(self, inner):
        self.inner = inner
        self.inputs, self.outputs = inner.inputs, inner.outputs

    def run(self, feeds):
        time.sleep(PAUSE_S)
        return self.inner.run(feeds)


class SlowProfiler:
    """The inner engine's times, and the pause as a kernel of its own."""

    def profile(self, path, example, *, threads, progress=lambda share, words: None):
        found = ONNX_RUNTIME.profiler.profile(path, example, threads=threads, progress=progress)
        pause = replace(
            found.operators[-1], kernel="Pause", layer="", operator="", precision="", reason="",
            code=None, overhead=True, time_ms=1000 * PAUSE_S,
        )  # fmt: skip
        return replace(
            found,
            operators=(*found.operators, pause),
            total_ms=found.total_ms + pause.time_ms,
        )

    def time_kernels(self, model, inputs, *, threads, runs, progress=lambda share, words: None):
        return ONNX_RUNTIME.profiler.time_kernels(model, inputs, threads=threads, runs=runs)


class SlowEngine:
    """The engine itself."""

    name, version = "slow", "0.1"
    profiler = SlowProfiler()
    explainer = Explainer(title="Slow Runtime", unsigned="Slow Runtime sleeps better with them.")

    def supports(self, path):
        return ONNX_RUNTIME.supports(path)

    def load(self, path, *, threads):
        return SlowSession(ONNX_RUNTIME.load(path, threads=threads))


SLOW = SlowEngine()
ENTRY = EngineEntry("Slow Runtime", lambda: SLOW)
"""Its line of the table of engines."""
