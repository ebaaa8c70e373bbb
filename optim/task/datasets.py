"""The two data sets that ship with the samples, with fixed and disjoint splits.

Fashion-MNIST (Xiao et al. 2017, MIT): 55,000 training, 5,000 validation and 10,000 test images.
Motion (seglearn's watch data, Burns et al. 2018, BSD-3): windows of six-axis wrist-sensor readings,
split by *subject*, because windows of one person in two splits would leak. Calibration images are
drawn from the training split.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from optim.engines.engine import Feeds

Kind = Literal["image", "series", "other"]
"""The family of augmentations that makes sense; of other data nothing is known."""
SplitName = Literal["train", "calibration", "validation", "test"]

SAMPLES = Path(__file__).resolve().parents[2] / "sample_models"
CALIBRATION_EXAMPLES = 512
WINDOW = 128
STEP = 32
MOTION_TEST_SUBJECTS = (3, 7, 10)
MOTION_VALIDATION_SUBJECTS = (2, 5)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Examples of one split.

    Attributes:
        inputs: what the network takes, shape (n, ...), prepared as it expects; of a network with
            several inputs the first one.
        targets: the label of each example: its class, int64 (n,), or numbers (n, ...). Without
            labels an array of shape (n, 0).
        more: the other inputs by name, each (n, ...) of any element type; none for most networks.
        name: of the first input; only needed beside others.
    """

    inputs: np.ndarray
    targets: np.ndarray
    more: Mapping[str, np.ndarray] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise ValueError(
                f"a split needs as many targets as inputs; got {len(self.inputs)} inputs and "
                f"{len(self.targets)} targets."
            )
        for name, values in self.more.items():
            if len(values) != len(self.inputs):
                raise ValueError(
                    f"every input must have as many examples as the first, {len(self.inputs)}; "
                    f"{name} has {len(values)}."
                )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def feeds(self) -> Feeds:
        """Input of a session: the only array, or several by name."""
        return {self.name: self.inputs, **self.more} if self.more else self.inputs

    def rows(self, rows: slice | np.ndarray) -> Split:
        """Return some of the examples."""
        return replace(
            self,
            inputs=self.inputs[rows],
            targets=self.targets[rows],
            more={name: values[rows] for name, values in self.more.items()},
        )

    def first(self, n: int) -> Split:
        """Return the first ``n`` examples, in their order."""
        return self.rows(slice(n))

    def take(self, n: int, *, seed: int = 0) -> Split:
        """Draw ``n`` examples without replacement (all, if there are fewer), in a fixed order."""
        return self.rows(np.random.default_rng(seed).permutation(len(self))[:n])


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Description of a data set beside its examples.

    Attributes:
        labels: names of the classes; empty where an answer is no class.
        input_shape: of one example, without the batch; of several inputs the first one's.
        folder: where the files of a user's own data lie; None for what ships.
    """

    name: str
    title: str
    licence: str
    source: str
    labels: tuple[str, ...]
    input_shape: tuple[int, ...]
    input_names: str
    preprocessing: str
    kind: Kind
    folder: Path | None = None


FASHION = Dataset(
    name="fashion-mnist",
    title="Fashion-MNIST",
    licence="MIT",
    source="Xiao, Rasul and Vollgraf 2017, https://github.com/zalandoresearch/fashion-mnist",
    labels=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    input_shape=(1, 28, 28),
    input_names="channel, row, column",
    preprocessing="(pixel / 255 - 0.2860) / 0.3530",
    kind="image",
)  # fmt: skip

MOTION = Dataset(
    name="motion",
    title="Motion (wrist sensor)",
    licence="BSD-3-Clause",
    source="Burns and Whyne 2018, seglearn watch data, https://github.com/dmbee/seglearn",
    labels=(
        "Pendulum", "Abduction", "Forward elevation", "Internal rotation",
        "External rotation", "Trapezius extension", "Upright row",
    ),
    input_shape=(6, WINDOW),
    input_names="sensor axis, time step",
    preprocessing="(reading - axis mean) / axis deviation of the training subjects, 128 steps",
    kind="series",
)  # fmt: skip

DATASETS = {data.name: data for data in (FASHION, MOTION)}


def load_split(dataset: str, name: SplitName) -> Split:
    """Read one split of a shipped data set.

    Raises:
        ValueError: if the data set is unknown.
        FileNotFoundError: if its files are missing from ``sample_models/data``.
    """
    match dataset:
        case "fashion-mnist":
            return _fashion(name)
        case "motion":
            return _motion(name)
        case _:
            raise ValueError(f"dataset must be one of {', '.join(DATASETS)}; got {dataset!r}.")


def normalisation(dataset: str) -> dict[str, list[float]]:
    """Return mean and deviation of ``Dataset.preprocessing``: (reading - mean) / deviation.

    A device that runs the network needs them. For images, a reading is a pixel of 0..255.

    Raises:
        ValueError: if the data set is unknown.
    """
    match dataset:
        case "fashion-mnist":
            mean, deviation = np.array([0.2860 * 255]), np.array([0.3530 * 255])
        case "motion":
            mean, deviation = _motion_scale()
        case _:
            raise ValueError(f"dataset must be one of {', '.join(DATASETS)}; got {dataset!r}.")
    return {"mean": mean.tolist(), "deviation": deviation.tolist()}


def _fashion(name: SplitName) -> Split:
    images, labels = _fashion_raw("t10k" if name == "test" else "train")
    if name != "test":
        order = np.random.default_rng(0).permutation(len(labels))
        rows = {
            "train": order[:55_000],
            "calibration": order[:CALIBRATION_EXAMPLES],
            "validation": order[55_000:],
        }[name]
        images, labels = images[rows], labels[rows]
    inputs = (images[:, None].astype(np.float32) / 255.0 - 0.2860) / 0.3530
    return Split(inputs=inputs, targets=labels.astype(np.int64))


@functools.cache
def _fashion_raw(prefix: str) -> tuple[np.ndarray, np.ndarray]:
    folder = SAMPLES / "data" / "fashion-mnist"
    with gzip.open(folder / f"{prefix}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{prefix}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return images, labels


@functools.cache
def _motion(name: SplitName) -> Split:
    recordings, labels, subjects = _motion_raw()
    mean, deviation = _motion_scale()
    held_out = MOTION_TEST_SUBJECTS + MOTION_VALIDATION_SUBJECTS
    chosen = {
        "test": MOTION_TEST_SUBJECTS,
        "validation": MOTION_VALIDATION_SUBJECTS,
    }.get(name, tuple(set(subjects.tolist()) - set(held_out)))
    windows, targets = [], []
    for recording, label, subject in zip(recordings, labels, subjects, strict=True):
        if subject in chosen:
            for start in range(0, len(recording) - WINDOW + 1, STEP):
                windows.append((recording[start : start + WINDOW] - mean) / deviation)
                targets.append(label)
    inputs = np.stack(windows).transpose(0, 2, 1).astype(np.float32)  # (n, L, C) -> (n, C, L)
    split = Split(inputs=inputs, targets=np.array(targets, np.int64))
    return split.take(CALIBRATION_EXAMPLES) if name == "calibration" else split


@functools.cache
def _motion_raw() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return recordings, each (L, C); the exercise and the person of each."""
    with np.load(SAMPLES / "data" / "motion" / "recordings.npz", allow_pickle=False) as file:
        recordings = np.split(file["readings"], np.cumsum(file["lengths"])[:-1])
        return recordings, file["labels"], file["subjects"]


@functools.cache
def _motion_scale() -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each axis, (C,), over the training subjects alone."""
    recordings, _, subjects = _motion_raw()
    held_out = MOTION_TEST_SUBJECTS + MOTION_VALIDATION_SUBJECTS
    training = np.concatenate(
        [r for r, subject in zip(recordings, subjects, strict=True) if subject not in held_out]
    )
    return training.mean(0), training.std(0)
