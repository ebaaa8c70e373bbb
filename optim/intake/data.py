"""A user's own examples: arrays in an .npz, pictures in class folders, or none.

Whatever the form, it becomes arrays by input name and targets, and these become three splits that
share no example: calibration (ranges), validation (choices), test (what is reported). Where labels
are known every class is divided alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from optim.errors import BrokenDataError
from optim.intake.archive import unpack
from optim.intake.arrays import read_arrays
from optim.intake.fit import random_feeds
from optim.intake.look import Port
from optim.intake.pixels import NORMALIZATIONS
from optim.words import one_line

LABEL_KEYS = ("targets", "labels", "label", "y")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MOST_PIXELS = 50_000_000
"""Of one picture; more is taken for an attack on the memory."""
MOST_BYTES = 3 * 2**30
"""Of the examples as the network takes them; beyond it some are left out."""
SHARES = {"test": 0.5, "validation": 0.25, "calibration": 0.25}
MOST = {"test": 2000, "validation": 1000, "calibration": 512}
RANDOM_EXAMPLES = 96


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Examples as a network takes them.

    Attributes:
        feeds: arrays by input name, each (n, ...).
        targets: classes (n,) int64, numbers (n, ...), or (n, 0) without labels.
        labels: names of the classes.
        words: where they come from, for the card.
        preprocessing: what was done to a picture, in words; empty for arrays.
        random: True if nobody gave any.
    """

    feeds: Mapping[str, np.ndarray]
    targets: np.ndarray
    labels: tuple[str, ...] = ()
    words: str
    preprocessing: str = ""
    random: bool = False

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def labelled(self) -> bool:
        """True if each example has a class or a number."""
        return self.targets.size > 0

    def rows(self, rows: np.ndarray) -> Examples:
        """Return some of the examples."""
        feeds = {name: np.ascontiguousarray(values[rows]) for name, values in self.feeds.items()}
        return replace(self, feeds=feeds, targets=self.targets[rows])


def random_examples(inputs: tuple[Port, ...], *, seed: int = 0) -> Examples:
    """Return random inputs, for a user who has none at hand."""
    return Examples(
        feeds=random_feeds(inputs, RANDOM_EXAMPLES, seed=seed),
        targets=np.zeros((RANDOM_EXAMPLES, 0), np.float32),
        words="random inputs",
        random=True,
    )


def read_examples(path: Path, inputs: tuple[Port, ...], classes: int | None) -> Examples:
    """Read an .npz file, or a folder of class folders, or a zip of one.

    Args:
        inputs: of the fitted model.
        classes: of its output; None if its answer is no class.

    Raises:
        BrokenArtifactError: if an .npz holds no plain arrays.
        BrokenDataError: with one sentence that says what must hold.
    """
    if path.is_dir():
        return read_pictures(path, inputs, classes)
    if path.suffix == ".npz":
        return arrays_for(path, inputs)
    if path.suffix == ".zip":
        with TemporaryDirectory(dir=".") as folder:
            return read_pictures(unpack(path, Path(folder)), inputs, classes)
    raise BrokenDataError(
        f"{one_line(path.name)} must be a folder of class folders with pictures, a zip of one, or "
        "an .npz file with an array for each input."
    )


def arrays_for(path: Path, inputs: tuple[Port, ...]) -> Examples:
    """Return arrays by input name, and labels under ``targets``, ``labels``, ``label`` or ``y``.

    A model with one input takes the only other array, whatever its name.

    Raises:
        BrokenArtifactError: if it holds no plain arrays.
        BrokenDataError: as ``read_examples``.
    """
    name = one_line(path.name)
    arrays = read_arrays(path, at_most=MOST_BYTES)
    key = next((key for key in LABEL_KEYS if key in arrays), None)
    targets = None if key is None else arrays.pop(key)
    if len(inputs) == 1 and len(arrays) == 1:
        arrays = {inputs[0].name: next(iter(arrays.values()))}
    feeds = {port.name: _fitting(port, arrays.get(port.name), name) for port in inputs}
    n = len(next(iter(feeds.values())))
    if targets is None:
        targets = np.zeros((n, 0), np.float32)
    elif targets.dtype.kind in "iu" and targets.ndim == 1:
        targets = targets.astype(np.int64)
    lengths = {len(values) for values in (*feeds.values(), targets)}
    if len(lengths) > 1 or n < 4:
        raise BrokenDataError(
            f"every array of {name} must hold the same number of examples, at least 4; they hold "
            f"{', '.join(map(str, sorted(lengths)))}."
        )
    return Examples(feeds=feeds, targets=targets, words=f"arrays of {name}")


def _fitting(port: Port, values: np.ndarray | None, file: str) -> np.ndarray:
    """Return an array in the shape and type of an input."""
    if values is None:
        raise BrokenDataError(f"{file} must hold an array named {port.name!r:.40}.")
    if values.shape[1:] != port.shape[1:]:
        raise BrokenDataError(
            f"examples of {port.name!r:.40} must have the shape {port.shape[1:]}; in {file} they "
            f"have {values.shape[1:]}."
        )
    wanted = np.dtype(port.dtype)
    if wanted.kind != "f" and values.dtype.kind == "f":
        raise BrokenDataError(
            f"{port.name!r:.40} takes {port.dtype}; in {file} it is {values.dtype}. Convert it."
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BrokenDataError(f"{port.name!r:.40} in {file} must be finite; it holds nan or inf.")
    return values.astype(wanted, copy=False)


# --- pictures -------------------------------------------------------------------------------------
def read_pictures(folder: Path, inputs: tuple[Port, ...], classes: int | None) -> Examples:
    """Return pictures in one folder a class, resized to the input, pixels in 0..1.

    Raises:
        BrokenDataError: as ``read_examples``.
    """
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise BrokenDataError(
            "pictures need a network with one input (N, channels, height, width) or (N, height, "
            f"width, channels); this one takes {'; '.join(port.words() for port in inputs)}."
        )
    port = inputs[0]
    channels_first = port.shape[1] in (1, 3)
    channels, height, width = _picture_shape(port, channels_first=channels_first)
    names, paths = _listed(folder)
    if classes is not None and len(names) != classes:
        raise BrokenDataError(
            f"the model tells {classes} classes apart; {one_line(folder.name)} holds {len(names)} "
            "class folders. Give one folder for each class, named so that they sort in its order."
        )
    most = max(4, MOST_BYTES // (4 * channels * height * width))
    chosen = _spread(paths, most)
    pixels = np.empty((len(chosen), height, width, channels), np.float32)
    for i, (path, _) in enumerate(chosen):
        pixels[i] = _picture(path, channels, height, width)
    if channels_first:
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    left_out = "" if len(chosen) == len(paths) else f", {len(paths) - len(chosen)} left out"
    return Examples(
        feeds={port.name: pixels.astype(np.dtype(port.dtype), copy=False)},
        targets=np.array([label for _, label in chosen], np.int64),
        labels=names,
        words=f"{len(chosen)} pictures of {one_line(folder.name)}{left_out}",
        preprocessing=f"resized to {width} x {height}, pixel / 255",
    )


def normalized(examples: Examples, way: str) -> Examples:
    """Return pictures with another normalization of their pixels.

    Args:
        way: a key of ``NORMALIZATIONS``.
    """
    ((name, pixels),) = examples.feeds.items()
    mean, deviation = (np.array(each, np.float32) for each in NORMALIZATIONS[way])
    if pixels.shape[1] in (1, 3):
        mean, deviation = mean.reshape(-1, 1, 1), deviation.reshape(-1, 1, 1)
    scaled = (pixels - mean) / deviation
    return replace(
        examples,
        feeds={name: scaled.astype(pixels.dtype, copy=False)},
        preprocessing=f"{examples.preprocessing}, normalised as {way}",
    )


def _picture_shape(port: Port, *, channels_first: bool) -> tuple[int, int, int]:
    sizes = tuple(size for size in port.shape[1:] if isinstance(size, int))
    channels, height, width = sizes if channels_first else (sizes[2], *sizes[:2])
    if channels not in (1, 3) or np.dtype(port.dtype).kind != "f":
        raise BrokenDataError(
            f"pictures have one or three channels of floats; this network takes {port.words()}."
        )
    return channels, height, width


def _listed(folder: Path) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """Return the class folders in order of their names, and each picture with its class."""
    found = sorted(each for each in folder.iterdir() if each.is_dir() and not each.is_symlink())
    classes = [each for each in found if any(_pictures(each))]
    if len(classes) < 2:
        raise BrokenDataError(
            f"{one_line(folder.name)} must hold a folder of pictures for each class, at least "
            f"two; it holds {len(classes)}. Pictures end in {', '.join(SUFFIXES)}."
        )
    paths = [(path, i) for i, each in enumerate(classes) for path in _pictures(each)]
    return tuple(one_line(each.name)[:60] for each in classes), paths


def _pictures(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.is_symlink():
            yield path


def _spread(paths: list[tuple[Path, int]], most: int) -> list[tuple[Path, int]]:
    """Choose at most so many by the hash of their names, so that a rerun takes the same."""
    if len(paths) <= most:
        return paths
    key = {
        path: hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).digest()
        for path, _ in paths
    }
    return sorted(sorted(paths, key=lambda each: key[each[0]])[:most])


def _picture(path: Path, channels: int, height: int, width: int) -> np.ndarray:
    """Return a picture as pixels 0..1, (H, W, C), cropped to its middle for square networks."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BrokenDataError(
                    f"{one_line(path.name)} has more than {MOST_PIXELS:,} pixels, which is refused."
                )
            image.draft("RGB" if channels == 3 else "L", (2 * width, 2 * height))
            plain = image.convert("RGB" if channels == 3 else "L")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        raise BrokenDataError(f"{one_line(path.name)} is no picture that can be read.") from error
    box = None
    if height == width and plain.width != plain.height:
        side = min(plain.size)
        left, top = (plain.width - side) // 2, (plain.height - side) // 2
        box = (left, top, left + side, top + side)
    small = plain.resize((width, height), Image.Resampling.BILINEAR, box=box)
    pixels = np.asarray(small, np.float32) / 255
    return pixels.reshape(height, width, channels)


# --- splits ---------------------------------------------------------------------------------------
def divided(examples: Examples, *, seed: int = 0) -> dict[str, Examples]:
    """Return test, validation and calibration, disjoint, every class divided alike.

    What is equal to the last digit goes into one split, so that no picture is tested that was
    calibrated on.
    """
    order = np.random.default_rng(seed).permutation(len(examples))
    groups = np.zeros(len(examples), np.int64)
    if examples.labelled and examples.targets.ndim == 1 and examples.targets.dtype.kind in "iu":
        groups = examples.targets
    first = _first_alike(examples)
    rows: dict[str, list[int]] = {name: [] for name in SHARES}
    for group in np.unique(groups):
        members = [int(i) for i in order if groups[i] == group and first[i] == i]
        start = 0
        for name, share in SHARES.items():
            end = len(members) if name == "calibration" else start + round(share * len(members))
            rows[name] += members[start:end]
            start = end
    if min(map(len, rows.values())) == 0:
        raise BrokenDataError(
            f"{len(examples)} examples are too few to divide into calibration, validation and "
            "test. Give at least 4 of each class."
        )
    kept = {name: np.array(sorted(found[: MOST[name]])) for name, found in rows.items()}
    return {name: examples.rows(found) for name, found in kept.items()}


def _first_alike(examples: Examples) -> np.ndarray:
    """Return for each example the first one with the same bytes."""
    seen: dict[bytes, int] = {}
    found = np.empty(len(examples), np.int64)
    for i in range(len(examples)):
        digest = hashlib.sha256()
        for values in examples.feeds.values():
            digest.update(np.ascontiguousarray(values[i]).tobytes())
        found[i] = seen.setdefault(digest.digest(), i)
    return found
