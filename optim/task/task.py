"""A task: a network, the data it was made for, and the metric that judges it there.

A task is a folder with a card, wherever it lies: among the samples, or in ``tasks`` of a workspace.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optim.engines.engine import Feeds
from optim.errors import BrokenArtifactError, BrokenTaskError, Refusal, UnknownTaskError
from optim.recipe import Prune, SparsifyMethod
from optim.task.card import CARD_NAME, Card, Training, read_card
from optim.task.datasets import SAMPLES, Dataset, Split, SplitName, load_split
from optim.task.metric import ACCURACY, Metric
from optim.task.own_data import own_split
from optim.task.source import WEIGHTS_NAME, OnnxSource, Source, TorchSource

if TYPE_CHECKING:
    from torch import nn

SAMPLE_ORDER = (
    "fashion-resnet",
    "fashion-mobilenetv2",
    "fashion-efficientnet-lite0",
    "fashion-squeezenet",
    "motion-cnn",
)
"""The samples as a page lists them; a workspace's own tasks follow."""
SHORT = 3
"""A training of fewer epochs is short: weights can neither move far nor be averaged."""
OWN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
"""What the folder of a user's own task may be called."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trained network with its data.

    Attributes:
        name: what the command line calls it.
        folder: where card, network and prebuilt candidates lie.
        card: what is said of the network, its training and its results.
    """

    name: str
    folder: Path
    card: Card

    @property
    def title(self) -> str:
        """Title on pages."""
        return self.card.title

    @property
    def summary(self) -> str:
        """A sentence on it."""
        return self.card.summary

    @property
    def dataset(self) -> Dataset:
        """Labels, shape and licence of the data."""
        return self.card.dataset

    @property
    def metric(self) -> Metric:
        """Metric that scores its examples."""
        return self.card.metric

    @property
    def architecture(self) -> str | None:
        """The network's architecture; None where it is an ONNX file."""
        return self.card.architecture

    @cached_property
    def source(self) -> Source:
        """Source of the network."""
        if self.card.model is not None:
            return OnnxSource(path=self.folder / self.card.model)
        assert self.card.architecture is not None  # a card names one of the two
        return TorchSource(
            architecture=self.card.architecture,
            path=self.folder / WEIGHTS_NAME,
            in_channels=self.input_shape[0],
            classes=len(self.labels),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names; none where an answer is no class."""
        return self.dataset.labels

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, without the batch."""
        return self.dataset.input_shape

    @property
    def parameters(self) -> int | None:
        """Trainable numbers of the original network; None if the card does not say."""
        known = self.card.results.get("parameters")
        return None if known is None else int(known)

    @property
    def fine_tuning_epochs(self) -> float:
        """Epochs after pruning that suit this task: small data sets need more passes."""
        return self.card.fine_tuning_epochs

    @property
    def short_rate_share(self) -> float:
        """Learning rate of a short fine-tuning, as a share of the original's peak rate."""
        return self.card.short_rate_share

    @property
    def validation_score(self) -> float:
        """Score of the original on validation as its training left it, 0..1.

        Raises:
            KeyError: for a network that did not come with an architecture (``untrainable``).
        """
        return float(self.card.results["validation_accuracy"])

    @property
    def test_score(self) -> float | None:
        """Score of the original on test, as the card has it, 0..1; None if it does not say."""
        return self.card.results.get("test_accuracy")

    @property
    def training(self) -> Training:
        """Training of the original.

        Raises:
            BrokenTaskError: if the card does not say.
        """
        if self.card.training is None:
            raise BrokenTaskError(
                f"the card of {self.name} must say under training how the network was trained, for "
                "it is trained on like that; it says nothing. Add a schedule."
            )
        return self.card.training

    @cached_property
    def untrainable(self) -> Refusal | None:
        """Why steps that train or prune cannot be done; None if they can."""
        if isinstance(self.source, OnnxSource):
            return self.source.refusal(self.title)
        if self.metric.of_classes and self.metric.needs_labels:
            return None
        return Refusal(
            reason=f"training learns classes from labels, and {self.title} is judged by "
            f"{self.metric.title.lower()}.",
            remedy="Fuse or quantize it.",
        )

    @property
    def pruning_is_found(self) -> bool:
        """True if the card records pruning settings tuned on validation."""
        return self.card.pruning is not None

    @property
    def pruning(self) -> Prune:
        """Pruning settings of this network by default; ratio and unit say nothing.

        The best that was found on validation, as the card tells it, else what suits every network.
        """
        return self.card.pruning or Prune(ratio=0.5, epochs=self.fine_tuning_epochs)

    def epochs_with_zeros(self, method: SparsifyMethod) -> float:
        """Return the epochs after weights became zero; none for SparseGPT, which needs none."""
        return 0.0 if method is SparsifyMethod.SPARSEGPT else self.pruning.epochs

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever network, data set or metric do; 16 hexadecimal digits.

        Raises:
            BrokenArtifactError: if the network's file is missing.
        """
        digest = hashlib.sha256(_content(self.weights_path, self.name))
        digest.update(self.dataset.name.encode())
        if self.dataset.folder is not None:
            for path in sorted(self.dataset.folder.glob("*.npz")):
                digest.update(hashlib.sha256(_content(path, self.name)).digest())
        if self.metric is not ACCURACY:
            digest.update(self.metric.name.encode())
        return digest.hexdigest()[:16]

    @property
    def weights_path(self) -> Path:
        """The trained weights, safetensors, or the ONNX file that holds them."""
        return self.source.path

    @property
    def prebuilt_folder(self) -> Path:
        """Folder of the prebuilt candidates: ``starters.json`` and the ONNX files it names."""
        return self.folder / "starters"

    def split(self, name: SplitName) -> Split:
        """Return a split of the data, disjoint from the others but for calibration, part of train.

        Raises:
            BrokenTaskError: if a user's own data is missing or does not fit the card.
        """
        folder = self.dataset.folder
        if folder is None:
            return load_split(self.dataset.name, name)
        return own_split(self.dataset, folder, name)

    def example(self, batch: int = 1) -> Feeds:
        """Return examples as a session takes them: an array of this batch, or several by name."""
        feeds = self.split("calibration").first(batch).feeds
        if isinstance(feeds, Mapping):
            return {name: np.ascontiguousarray(values) for name, values in feeds.items()}
        return np.ascontiguousarray(feeds)

    def network(self) -> nn.Module:
        """Return the trained network, on the CPU, in evaluation mode.

        Raises:
            BrokenArtifactError: if the weights are missing or do not fit.
            RefusedError: if the task came as a file without a network.
        """
        return self.source.network(self.name)


def load_task(name: str, workspace: Path | None = None) -> Task:
    """Find a task by its name: a sample, or one of a workspace's own.

    Raises:
        UnknownTaskError: naming the tasks there are, and the nearest one.
        BrokenTaskError: if its card cannot be read.
    """
    if name in SAMPLE_ORDER:
        return _task_in(SAMPLES / name, 0)
    folder = _own_folder(workspace, name)
    if folder is not None:
        return _task_in(folder, (folder / CARD_NAME).stat().st_mtime_ns)
    known = (*SAMPLE_ORDER, *(path.name for path in _own_folders(workspace)))
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownTaskError(
        f"there is no task {name!r:.60}.{hint} The tasks are: {', '.join(known)}."
    )


@lru_cache(maxsize=64)
def _task_in(folder: Path, changed_ns: int) -> Task:
    """Return the task of a folder, read again when its card has changed."""
    return Task(name=folder.name, folder=folder, card=read_card(folder))


def sample_tasks() -> tuple[Task, ...]:
    """Return every sample task whose weights are there, in the order a page lists them."""
    tasks = map(load_task, SAMPLE_ORDER)
    return tuple(task for task in tasks if task.weights_path.exists())


def own_tasks(workspace: Path) -> tuple[Task, ...]:
    """Return a workspace's own tasks by name; those whose card is broken are left out."""
    return tuple(each for each in _own(workspace) if isinstance(each, Task))


def broken_tasks(workspace: Path) -> tuple[str, ...]:
    """What is wrong with the tasks that ``own_tasks`` leaves out, a sentence each."""
    return tuple(str(each) for each in _own(workspace) if isinstance(each, BrokenTaskError))


def _own(workspace: Path) -> Iterator[Task | BrokenTaskError]:
    for folder in _own_folders(workspace):
        try:
            yield load_task(folder.name, workspace)
        except BrokenTaskError as error:
            yield error


def _own_folders(workspace: Path | None) -> tuple[Path, ...]:
    """Return the folders with a card in ``tasks`` of a workspace, by name."""
    if workspace is None or not (workspace / "tasks").is_dir():
        return ()
    found = sorted((workspace / "tasks").iterdir())
    return tuple(path for path in found if _own_folder(workspace, path.name) is not None)


def _own_folder(workspace: Path | None, name: str) -> Path | None:
    """Return the folder of a user's own task; None if there is none of this name."""
    if workspace is None or not OWN_NAME.fullmatch(name) or name in SAMPLE_ORDER:
        return None
    folder = workspace / "tasks" / name
    return folder if (folder / CARD_NAME).is_file() else None


def _content(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenArtifactError(
            f"the {'weights' if path.name == WEIGHTS_NAME else 'files'} of {name} cannot be read: "
            f"{error.strerror}. Restore {path.name}, for example with `git checkout`."
        ) from error


def same_question(task: Task, other: Task) -> bool:
    """True if both answer with the same classes to inputs of the same shape."""
    return task.labels == other.labels and task.input_shape == other.input_shape


def teachers(task: Task) -> tuple[str, ...]:
    """Return the tasks whose networks know the task's data, the task itself first."""
    others = (other for other in sample_tasks() if other.name != task.name)
    return (task.name, *(other.name for other in others if same_question(task, other)))
