"""Engine: a value that loads a model file and runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from optim.engines.explainer import Explainer
from optim.engines.profile import KernelTimes, Profile
from optim.errors import EngineError, Refusal
from optim.progress import Progress


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """Name, type and shape of an input or output of a loaded model.

    Attributes:
        name: as in the file.
        dtype: NumPy's name of the element type, such as ``float32`` or ``int64``.
        shape: None for an axis of any length.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


Feeds = np.ndarray | Mapping[str, np.ndarray]
"""What a session takes: an array for its only input, or one for each by name."""


class Session(Protocol):
    """A loaded model."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The inputs, in the order of the file."""
        ...

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The outputs, in the order of the file."""
        ...

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model once.

        Args:
            feeds: one array for each input, by name; any element type.

        Returns:
            One array for each output, by name, in the order of ``outputs``.

        Raises:
            EngineError: if the arrays do not fit the model.
        """
        ...


class Profiler(Protocol):
    """Tells where the time of a file goes, kernel by kernel."""

    def profile(
        self,
        path: Path,
        example: Feeds,
        *,
        threads: int,
        progress: Progress = lambda share, words: None,
    ) -> Profile:
        """Time every operator of a file; times are per example.

        Raises:
            EngineError: if the engine cannot read, load or run the file.
        """
        ...

    def time_kernels(
        self,
        model: bytes,
        inputs: Feeds,
        *,
        threads: int,
        runs: int,
        progress: Progress = lambda share, words: None,
    ) -> tuple[KernelTimes, ...]:
        """Time each kernel of a model, in the order in which they run.

        Raises:
            EngineError: if the engine cannot load or run the model.
        """
        ...


class Engine(Protocol):
    """Loads model files on this machine."""

    name: str

    @property
    def profiler(self) -> Profiler | None:
        """Profiler of its kernels; None if it has none."""
        ...

    @property
    def explainer(self) -> Explainer | None:
        """Explainer of its profiles; None if it has none."""
        ...

    @property
    def version(self) -> str:
        """The installed version."""
        ...

    def supports(self, path: Path) -> Refusal | None:
        """Return None if the file can run here, else why not."""
        ...

    def load(self, path: Path, *, threads: int) -> Session:
        """Load a file with a fixed number of threads.

        Raises:
            EngineError: if the engine cannot load it.
        """
        ...


def feeds_for(session: Session, inputs: Feeds) -> Mapping[str, np.ndarray]:
    """Name an array after the session's only input; named arrays are returned as they are.

    Raises:
        EngineError: if the model has several inputs and they are not named.
    """
    if isinstance(inputs, Mapping):
        return inputs
    if len(session.inputs) != 1:
        names = ", ".join(each.name for each in session.inputs)
        raise EngineError(
            f"the model must have one input, it has {len(session.inputs)} ({names}). "
            "Give an array for each by name."
        )
    return {session.inputs[0].name: inputs}


def examples_in(inputs: Feeds) -> int:
    """Count the examples; several inputs have as many as the first."""
    return len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs)


def run_single(session: Session, inputs: Feeds) -> np.ndarray:
    """Run a model of which one output matters: the first.

    Args:
        inputs: as for ``feeds_for``.

    Raises:
        EngineError: as ``feeds_for`` and ``Session.run``.
    """
    return session.run(feeds_for(session, inputs))[session.outputs[0].name]
