"""ONNX Runtime on the CPU, the default engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optim.engines.onnxruntime.explainer import EXPLAINER
from optim.engines.onnxruntime.session import VERSION, OnnxSession, open_session
from optim.errors import EngineError, Refusal

if TYPE_CHECKING:
    from optim.engines.engine import Profiler


class OnnxRuntime:
    """The engine itself; holds no state."""

    name = "onnxruntime"
    explainer = EXPLAINER

    @property
    def version(self) -> str:
        """The installed version."""
        return VERSION

    @property
    def profiler(self) -> Profiler:
        """ONNX Runtime's own; it reads the file's graph, so ``onnx`` is loaded at first need."""
        from optim.engines.onnxruntime.profiler import PROFILER

        return PROFILER

    def supports(self, path: Path) -> Refusal | None:
        """Return None if the file can run here, else why not."""
        if path.suffix == ".onnx":
            return None
        return Refusal(
            reason=f"ONNX Runtime reads .onnx files, got {path.name}.",
            remedy="Export the network to ONNX first.",
        )

    def load(self, path: Path, *, threads: int) -> OnnxSession:
        """Load a file with a fixed number of threads.

        Raises:
            EngineError: if the file is missing, damaged, or holds what ONNX Runtime cannot run.
        """
        refusal = self.supports(path)
        if refusal is not None:
            raise EngineError(str(refusal))
        try:
            content = path.read_bytes()
        except OSError as error:
            raise EngineError(
                f"the model file {path.name} cannot be read: {error.strerror}. Make it again."
            ) from error
        return OnnxSession(open_session(content, threads=threads))


ONNX_RUNTIME = OnnxRuntime()
