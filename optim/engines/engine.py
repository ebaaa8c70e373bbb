"""What an engine is: something that loads a model file and answers."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from optim.errors import Refusal


class Session(Protocol):
    """A loaded model."""

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Logits (N, classes) float32 for inputs (N, ...) float32."""
        ...


class Engine(Protocol):
    """Loads model files on this machine."""

    name: str

    @property
    def version(self) -> str:
        """The installed version."""
        ...

    def supports(self, path: Path) -> Refusal | None:
        """None if the file can run here, else why not."""
        ...

    def load(self, path: Path, *, threads: int) -> Session:
        """Load a file with a fixed number of threads.

        Raises:
            EngineError: if the engine cannot load it.
        """
        ...
