"""The one way in which graph code runs an ONNX model to calculate with it: ONNX Runtime.

Engines run files to be measured, with the settings that are measured. Here numbers are wanted:
ranges for a calibration, a layer's answer in a simulation, folded constants. All of it uses the
same settings, so that one calculation equals another wherever it is asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from optim.engines.onnxruntime.sentences import plain_reason
from optim.errors import BrokenArtifactError, EngineError

THREADS = 2
"""The results are the same with any number; only few machines have a single core."""
PROVIDERS = ("CPUExecutionProvider",)
NOTHING_SHARED: Mapping[str, ort.OrtValue] = {}


class Runner:
    """A loaded model.

    Args:
        model: an ONNX model; every tensor that is asked for must be an output of it.
        shared: constants that the model only names, of ``share``; they are not copied.
        fuse_quantizers: False to calculate every Quantize- and DequantizeLinear as it stands.
        optimize: False to calculate every operator as it stands.

    Raises:
        BrokenArtifactError: if ONNX Runtime cannot load the model.
    """

    def __init__(
        self,
        model: ModelProto,
        *,
        shared: Mapping[str, ort.OrtValue] = NOTHING_SHARED,
        fuse_quantizers: bool = True,
        optimize: bool = True,
    ) -> None:
        options = _options()
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if not fuse_quantizers:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        if shared:
            options.add_external_initializers(list(shared), list(shared.values()))
        self._session = _session(model.SerializeToString(), options)

    def run(self, outputs: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return the wanted outputs, in their order.

        Raises:
            EngineError: if the model cannot run with these inputs.
        """
        try:
            found: list[np.ndarray] = self._session.run(list(outputs), dict(feeds))
        except Exception as error:  # ONNX Runtime's exceptions share no narrower base
            raise EngineError(
                f"ONNX Runtime cannot run the model: {plain_reason(error):.200}"
            ) from error
        return found


def share(array: np.ndarray) -> ort.OrtValue:
    """Return a constant in the form in which several models can use it without a copy each."""
    return ort.OrtValue.ortvalue_from_numpy(array)


def basic_optimizations(model: bytes) -> bytes:
    """Return the model after ONNX Runtime's optimizations of level BASIC: standard operators only.

    Raises:
        BrokenArtifactError: if ONNX Runtime cannot load the model.
    """
    options = _options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(path)
        _session(model, options)
        return path.read_bytes()


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = THREADS
    # Idle threads must sleep: a spinning one takes a core from whatever is measured next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _session(model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(model, options, providers=list(PROVIDERS))
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base
        raise BrokenArtifactError(
            f"ONNX Runtime cannot read the model: {plain_reason(error)}"
        ) from error
