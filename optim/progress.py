"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Progress = Callable[[float, str], None]
"""Called with the share done, 0..1, and a sentence."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Return the progress of a part of the work: its 0..1 is ``start`` to ``end`` of the whole."""
    return lambda share, words: progress(start + (end - start) * share, words)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of the training log.

    Attributes:
        epoch: counted from 1.
        loss: mean over the epoch's training batches, what is minimised: with a teacher its terms
            are in it, so losses of different recipes cannot be compared.
        score: on validation, 0..1.
        seconds: of training and validating.
    """

    epoch: int
    loss: float
    score: float
    seconds: float

    def to_dict(self) -> dict[str, float]:
        """Return plain data under the names of the training log."""
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            "accuracy": self.score,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Epoch:
        """Return the inverse of ``to_dict``."""
        return cls(
            epoch=data["epoch"],
            loss=data["loss"],
            score=data["accuracy"],
            seconds=data["seconds"],
        )
