"""How trainings went, epoch by epoch, as rows: written while they run, read by whoever looks on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from optim.store.schema import reading, writing


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of the training log.

    Attributes:
        epoch: counted from 1.
        loss: mean over the epoch's training batches, what is minimised: with a teacher its terms
            are in it, so losses of different recipes cannot be compared.
        accuracy: on validation, 0..1.
        seconds: of training and validating.
    """

    epoch: int
    loss: float
    accuracy: float
    seconds: float


class TrainingLog:
    """The training logs of a workspace. Any thread and any process may call at any time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, prefix: str, *epochs: Epoch) -> None:
        """Keep epochs; one that was trained before is replaced.

        Args:
            prefix: name of the candidate whose last step is the training.
        """
        with writing(self.folder) as store:
            store.executemany(
                "INSERT INTO epochs VALUES (:prefix, :epoch, :loss, :accuracy, :seconds) "
                "ON CONFLICT (prefix, epoch) DO UPDATE SET loss = excluded.loss, "
                "accuracy = excluded.accuracy, seconds = excluded.seconds",
                [{"prefix": prefix, **vars(epoch)} for epoch in epochs],
            )

    def get(self, prefix: str) -> tuple[Epoch, ...]:
        """The epochs of a training so far, in order; empty if there was none."""
        with reading(self.folder) as store:
            rows = store.execute(
                "SELECT epoch, loss, accuracy, seconds FROM epochs WHERE prefix = ? ORDER BY epoch",
                (prefix,),
            ).fetchall()
        return tuple(Epoch(**dict(row)) for row in rows)
