"""A task: a network, the data it was made for, and how well it does there."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optim.errors import BrokenArtifactError, UnknownTaskError
from optim.recipe import Prune, SparsifyMethod
from optim.recipe.fields import FIELDS
from optim.task.datasets import DATASETS, SAMPLES, Dataset, Split, SplitName, load_split

if TYPE_CHECKING:
    from torch import nn

SAMPLE_ORDER = (
    "fashion-resnet",
    "fashion-mobilenetv2",
    "fashion-efficientnet-lite0",
    "fashion-squeezenet",
    "motion-cnn",
)


SHORT = 3
"""A training of fewer epochs is short: weights can neither move far nor be averaged."""
USUAL_RATE_SHARE = 0.25
"""Of the peak rate of its own training, what fine-tuning takes under SGD."""
FOUND_FIELDS = tuple(each.name for each in FIELDS["prune"] if each.suits)
"""What of pruning a card may say to be best for its network."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trained network with its data.

    Attributes:
        name: what the command line calls it.
        title: what a page calls it.
        architecture: one of ``optim.task.architectures.ARCHITECTURES``.
        dataset: labels, shape, licence of the data.
        folder: where card and weights lie.
        card: the card as read: licence, source, seed, schedule, results.
    """

    name: str
    title: str
    summary: str
    architecture: str
    dataset: Dataset
    folder: Path
    card: dict[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names."""
        return self.dataset.labels

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, without the batch."""
        return self.dataset.input_shape

    @property
    def parameters(self) -> int:
        """Trainable numbers of the original network."""
        return int(self.card["results"]["parameters"])

    @property
    def fine_tuning_epochs(self) -> float:
        """Epochs after pruning that suit this task: small data sets need more passes."""
        return float(self.card["fine_tuning_epochs"])

    @property
    def short_rate_share(self) -> float:
        """As ``USUAL_RATE_SHARE``, for a short fine-tuning."""
        return float(self.card.get("short_rate_share", USUAL_RATE_SHARE))

    @property
    def pruning_is_found(self) -> bool:
        """True if somebody has looked, on validation, how this network is pruned best."""
        return "pruning" in self.card

    @cached_property
    def pruning(self) -> Prune:
        """How this network is pruned unless somebody says otherwise; ratio and unit say nothing.

        The best that was found on validation, as the card tells it, else what suits every network.

        Raises:
            BrokenArtifactError: if the card tells something else than ``FOUND_FIELDS``.
        """
        found = self.card.get("pruning", {})
        try:
            if unknown := set(found) - set(FOUND_FIELDS):
                raise ValueError(f"unknown key {min(unknown)!r:.40}")
            return Prune(ratio=0.5, **{"epochs": self.fine_tuning_epochs, **found})
        except (TypeError, ValueError) as error:
            raise BrokenArtifactError(
                f"card.json of {self.name} says of pruning what cannot be: {error}. Known are "
                f"{', '.join(FOUND_FIELDS)}; restore the file, for example with `git checkout`."
            ) from error

    def epochs_with_zeros(self, method: SparsifyMethod) -> float:
        """Training after weights became zero; repairing is for those who cannot train."""
        return 0.0 if method is SparsifyMethod.SPARSEGPT else self.pruning.epochs

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever weights or data set do; 16 hexadecimal digits.

        Raises:
            BrokenArtifactError: if the weights are missing.
        """
        try:
            digest = hashlib.sha256(self.weights_path.read_bytes())
        except OSError as error:
            raise BrokenArtifactError(
                f"the weights of {self.name} cannot be read: {error.strerror}. Restore "
                f"{self.weights_path.name}, for example with `git checkout`."
            ) from error
        digest.update(self.dataset.name.encode())
        return digest.hexdigest()[:16]

    @property
    def weights_path(self) -> Path:
        """The trained weights, safetensors."""
        return self.folder / "weights.safetensors"

    @property
    def starters_folder(self) -> Path:
        """Ready artifacts of this task: ``starters.json`` and the ONNX files it names."""
        return self.folder / "starters"

    def split(self, name: SplitName) -> Split:
        """One split of the data; disjoint from the others, but calibration lies inside train."""
        return load_split(self.dataset.name, name)

    def network(self) -> nn.Module:
        """The trained network, on the CPU, in evaluation mode.

        Raises:
            BrokenArtifactError: if the weights are missing or do not fit.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from optim.task.architectures import build

        network = build(
            self.architecture, in_channels=self.input_shape[0], classes=len(self.labels)
        )
        try:
            network.load_state_dict(load_file(self.weights_path))
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise BrokenArtifactError(
                f"the weights of {self.name} cannot be read from {self.weights_path.name}: "
                f"{error}. Restore the file, for example with `git checkout`."
            ) from error
        return network.eval()


@lru_cache(maxsize=64)
def load_task(name: str) -> Task:
    """Find a sample task by its name.

    Raises:
        UnknownTaskError: naming the tasks there are, and the nearest one.
    """
    if name not in SAMPLE_ORDER:
        near = difflib.get_close_matches(name, SAMPLE_ORDER, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownTaskError(
            f"there is no task {name!r:.60}.{hint} The tasks are: {', '.join(SAMPLE_ORDER)}."
        )
    folder = SAMPLES / name
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return Task(
        name=name,
        title=card["title"],
        summary=card["summary"],
        architecture=card["architecture"],
        dataset=DATASETS[card["dataset"]],
        folder=folder,
        card=card,
    )


def sample_tasks() -> tuple[Task, ...]:
    """Every sample task whose weights are there, in the order a page lists them."""
    tasks = map(load_task, SAMPLE_ORDER)
    return tuple(task for task in tasks if task.weights_path.exists())


def same_question(task: Task, other: Task) -> bool:
    """True if both answer with the same classes to inputs of the same shape."""
    return task.labels == other.labels and task.input_shape == other.input_shape


def teachers(task: Task) -> tuple[str, ...]:
    """The tasks whose networks know the task's data, the task itself first."""
    others = (other for other in sample_tasks() if other.name != task.name)
    return (task.name, *(other.name for other in others if same_question(task, other)))
