"""Profile of a file on a target, as its engine tells it."""

from __future__ import annotations

from pathlib import Path

from optim.devices.target import Target
from optim.engines import engine_title
from optim.engines.engine import Feeds, Profiler
from optim.engines.profile import Profile
from optim.errors import Refusal, RefusedError
from optim.progress import Progress


def profile(
    path: Path,
    example: Feeds,
    target: Target,
    *,
    progress: Progress = lambda share, words: None,
) -> Profile:
    """Time every operator of a file.

    Args:
        path: the model file.
        example: float32, shape (N, ...); times are per example.

    Raises:
        RefusedError: if the target's engine cannot time operators.
        EngineError: if the engine cannot read, load or run the file.
    """
    return profiler_of(target).profile(path, example, threads=target.threads, progress=progress)


def profiler_of(target: Target) -> Profiler:
    """Return the profiler of a target's engine.

    Raises:
        RefusedError: if it has none.
    """
    profiler = target.load_engine().profiler
    if profiler is None:
        raise RefusedError(
            Refusal(
                reason=f"{engine_title(target.engine)} does not tell the times of operators.",
                remedy="Look inside on another engine.",
            )
        )
    return profiler
