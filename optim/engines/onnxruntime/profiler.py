"""Profiler: the time of a file, operator by operator, as the engine itself reports it.

Times are those of ONNX Runtime's own profiler, in whole microseconds, and the profiler costs some
itself: they tell where the time goes. How fast a file is, ``optim.measure.latency`` tells.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median_grouped

import numpy as np
from onnx import NodeProto

from optim.engines.engine import Feeds, examples_in
from optim.engines.onnxruntime.origins import (
    CONVERSIONS,
    LAYERS,
    FileGraph,
    activation_name,
    read_graph,
)
from optim.engines.onnxruntime.reasons import why_float
from optim.engines.onnxruntime.session import time_kernels
from optim.engines.profile import KernelTimes, OperatorTime, Profile
from optim.errors import EngineError
from optim.progress import Progress

RUNS = 60
"""At the least; quick files get more, up to ``MAX_RUNS``, for as long as ``BUDGET_S``."""
MAX_RUNS = 200
BUDGET_S = 1.0
OVERHEAD = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Transpose", "Cast")
MOVERS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "Split", "Pad")
INTEGERS = ("uint8", "int8")


def profile(
    path: Path,
    example: Feeds,
    *,
    threads: int,
    progress: Progress = lambda share, words: None,
) -> Profile:
    """Time every operator of a file with ONNX Runtime's profiler.

    Args:
        path: the ONNX file.
        example: shape (N, ...), or an array for each input by name; times are per example.
        threads: of the engine.

    Raises:
        EngineError: if the engine cannot read, load or run the file.
    """
    try:
        graph = read_graph(path.read_bytes())
    except Exception as error:  # protobuf's own, and OSError
        raise EngineError(
            f"the model file {path.name} cannot be read: {str(error)[:200]}. Make it again."
        ) from error
    numbered = graph.numbered()
    first = time_kernels(numbered, example, threads=threads, runs=5)
    seconds = sum(float(np.median(kernel.microseconds)) for kernel in first) * 1e-6
    runs = int(np.clip(BUDGET_S / max(seconds, 1e-6), RUNS, MAX_RUNS))
    kernels = time_kernels(numbered, example, threads=threads, runs=runs, progress=progress)
    operators = tuple(_operator_time(graph, kernel, examples_in(example)) for kernel in kernels)
    return Profile(operators=operators, total_ms=sum(o.time_ms for o in operators), runs=runs)


def _operator_time(graph: FileGraph, kernel: KernelTimes, examples: int) -> OperatorTime:
    node = graph.origin(kernel.name)
    if node is not None and any(kind in kernel.kernel for kind in LAYERS):
        node = graph.layer_node(node)  # named after the ReLU that was merged into it
    overhead = kernel.kernel in OVERHEAD or kernel.kernel.startswith("Reorder")
    precision = "" if overhead else _precision(kernel)
    why = why_float(graph, node) if node is not None and precision == "fp32" else None
    return OperatorTime(
        kernel=kernel.kernel,
        layer="" if overhead or node is None else graph.layer_of(node),
        precision=precision,
        time_ms=_median_ms(kernel.microseconds) / examples,
        overhead=overhead,
        reason="" if why is None else why.words,
        code=None if why is None else why.code,
        operator="" if node is None else _operator(graph, node),
    )


def _precision(kernel: KernelTimes) -> str:
    if "QLinear" in kernel.kernel or "Integer" in kernel.kernel or kernel.kernel[:2] == "QG":
        return "int8"
    if kernel.kernel in MOVERS or not kernel.types:
        return ""
    return "int8" if kernel.types[0] in INTEGERS else "fp32"


def _operator(graph: FileGraph, node: NodeProto) -> str:
    """Return the operator that a node is part of; for a conversion, the one that needs it."""
    if node.op_type not in CONVERSIONS:
        return activation_name(graph, node)
    if node.op_type == "QuantizeLinear":
        served = graph.before(node.input[0])
    else:
        served = next(iter(graph.after(node)), None)
    return "" if served is None else activation_name(graph, served)


def _median_ms(microseconds: np.ndarray) -> float:
    """Return the median in milliseconds; a time cut off to 3 lies anywhere between 3 and 4."""
    return float(median_grouped(microseconds + 0.5, interval=1.0)) / 1000


class OnnxProfiler:
    """ONNX Runtime's own profiler, as ``optim.engines.engine.Profiler`` asks for it."""

    def profile(
        self,
        path: Path,
        example: Feeds,
        *,
        threads: int,
        progress: Progress = lambda share, words: None,
    ) -> Profile:
        """Time every operator of a file; see ``profile``."""
        return profile(path, example, threads=threads, progress=progress)

    def time_kernels(
        self,
        model: bytes,
        inputs: Feeds,
        *,
        threads: int,
        runs: int,
        progress: Progress = lambda share, words: None,
    ) -> tuple[KernelTimes, ...]:
        """Time each kernel of a model; see ``session.time_kernels``."""
        return time_kernels(model, inputs, threads=threads, runs=runs, progress=progress)


PROFILER = OnnxProfiler()
