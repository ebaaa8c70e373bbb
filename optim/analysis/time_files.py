"""Two ONNX files against each other by the clock, on random numbers: is one really faster?"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from optim.artifact import store_artifact
from optim.devices.target import Target
from optim.errors import EngineError
from optim.graph.onnx_file import read_model
from optim.measure.latency import measure
from optim.measure.measurement import Latency


def time_interleaved(before: bytes, after: bytes, target: Target) -> Latency:
    """Time single examples of two files, interleaved; ``speedup`` is that of the second.

    Args:
        before, after: ONNX files with the same float32 input.
        target: at batch 1.

    Raises:
        EngineError: if the input is not one float32 tensor whose sizes, but for the batch, are
            fixed; or if the engine cannot run a file.
    """
    example = _random_example(before)
    with TemporaryDirectory() as folder:
        first, second = (store_artifact(content, Path(folder)) for content in (before, after))
        return measure(second, first, target, example=example, max_restarts=1)


def _random_example(model: bytes) -> np.ndarray:
    """Return one example, float32, shape (1, ...), from a fixed seed."""
    graph = read_model(model).graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    sizes = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim[1:]] if inputs else []
    is_float = bool(inputs) and inputs[0].type.tensor_type.elem_type == 1
    if len(inputs) != 1 or not is_float or not sizes or not all(sizes):
        raise EngineError(
            "timing needs a file with one float32 input of fixed size, the batch aside. Export it "
            "with a fixed input size."
        )
    return np.random.default_rng(0).normal(size=(1, *sizes)).astype(np.float32)
