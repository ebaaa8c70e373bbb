"""Sessions of ONNX Runtime for measuring: settings, and what it tells of itself.

Every file is loaded with all of the engine's own optimizations, the baseline as well: a baseline
without them would fake a speed-up.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from optim.engines.engine import Feeds, TensorInfo, feeds_for
from optim.engines.onnxruntime.kernels import read_kernel_times
from optim.engines.onnxruntime.sentences import plain_reason
from optim.engines.profile import KernelTimes
from optim.errors import EngineError
from optim.progress import Progress

try:
    import onnxruntime as ort
except ImportError as error:  # pragma: no cover - a dependency of the package
    raise EngineError(
        'ONNX Runtime is not installed. Run: pip install "onnxruntime>=1.24".'
    ) from error


PROVIDERS = ("CPUExecutionProvider",)
VERSION = str(ort.__version__)
ELEMENT_TYPES = {"float": "float32", "double": "float64", "string": "str"}
"""ONNX Runtime's names of element types where NumPy has another."""


class OnnxSession:
    """A loaded model."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self.inputs = tuple(map(_tensor_info, session.get_inputs()))
        self.outputs = tuple(map(_tensor_info, session.get_outputs()))
        self._output_names = [each.name for each in self.outputs]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model once; see ``optim.engines.engine.Session.run``.

        Raises:
            EngineError: if the arrays do not fit the model.
        """
        try:
            found = self._session.run(self._output_names, feeds)
        except Exception as error:  # ONNX Runtime's exceptions share no narrower base
            given = ", ".join(f"{name} {each.shape} {each.dtype}" for name, each in feeds.items())
            raise EngineError(
                f"ONNX Runtime cannot run inputs of shape {given}: {plain_reason(error)}"
            ) from error
        return dict(zip(self._output_names, found, strict=True))


def _tensor_info(argument: ort.NodeArg) -> TensorInfo:
    """Read ONNX Runtime's element types, ``tensor(float)``, and free axes, written as names."""
    kind = argument.type.removeprefix("tensor(").removesuffix(")")
    return TensorInfo(
        name=argument.name,
        dtype=ELEMENT_TYPES.get(kind, kind),
        shape=tuple(axis if isinstance(axis, int) else None for axis in argument.shape),
    )


def open_session(
    content: bytes, *, threads: int, optimized: Path | None = None, profile: Path | None = None
) -> ort.InferenceSession:
    """Load a model as for a measurement.

    Args:
        content: an ONNX file.
        optimized: where to write the graph that ONNX Runtime makes of it.
        profile: prefix of the file in which its profiler writes.

    Raises:
        EngineError: if it cannot be loaded.
        ValueError: if threads is below 1.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}.")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle threads must sleep: a spinning one takes a core from the next measurement.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        if _only_weights_are_quantized(content):
            # Else the weights would be unpacked again in every single run (4-5x slower).
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        if optimized is not None:
            options.optimized_model_filepath = str(optimized)
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        return ort.InferenceSession(content, options, providers=list(PROVIDERS))
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base
        raise EngineError(f"ONNX Runtime cannot load the model: {plain_reason(error)}") from error


def optimized_graph(model: bytes) -> bytes:
    """Return the graph that ONNX Runtime really runs, after its own optimization, as an ONNX file.

    It may hold operators that only this processor has; it is for reading, not for shipping.

    Raises:
        EngineError: if ONNX Runtime cannot load the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        open_session(model, threads=1, optimized=path)
        return path.read_bytes()


def time_kernels(
    model: bytes,
    inputs: Feeds,
    *,
    threads: int,
    runs: int,
    progress: Progress = lambda share, words: None,
) -> tuple[KernelTimes, ...]:
    """Time each kernel with ONNX Runtime's own profiler, in the order in which they run.

    Args:
        model: an ONNX file, loaded as for a measurement.
        inputs: shape (N, ...), or an array for each input by name.
        runs: how many are timed; a fifth as many run before.

    Raises:
        EngineError: if ONNX Runtime cannot load the model or run the inputs.
    """
    warm_up = runs // 5
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(model, threads=threads, profile=Path(folder) / "profile")
        loaded = OnnxSession(session)
        feeds = feeds_for(loaded, inputs)
        for done in range(warm_up + runs):
            loaded.run(feeds)
            progress(done / (warm_up + runs), "timing each operator")
        events = json.loads(Path(session.end_profiling()).read_bytes())
    return read_kernel_times(events, runs=runs)


def _only_weights_are_quantized(content: bytes) -> bool:
    """True if the file holds DequantizeLinear but never quantizes an activation."""
    import onnx

    kinds = {node.op_type for node in onnx.load_model_from_string(content).graph.node}
    return "DequantizeLinear" in kinds and "QuantizeLinear" not in kinds
