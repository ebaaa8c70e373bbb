"""Training log, epoch by epoch, as rows: written while trainings run, read by whoever looks on."""

from __future__ import annotations

from pathlib import Path

from optim.progress import Epoch
from optim.store.schema import reading, writing


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
                [{"prefix": prefix, **epoch.to_dict()} for epoch in epochs],
            )

    def get(self, prefix: str) -> tuple[Epoch, ...]:
        """Return the epochs of a training so far, in order; empty if there was none."""
        with reading(self.folder) as store:
            rows = store.execute(
                "SELECT epoch, loss, accuracy, seconds FROM epochs WHERE prefix = ? ORDER BY epoch",
                (prefix,),
            ).fetchall()
        return tuple(Epoch.from_dict(dict(row)) for row in rows)
