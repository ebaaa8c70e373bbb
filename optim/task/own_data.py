"""The data of a user's own task: one .npz file a split in the folder ``data`` beside the card.

    calibration.npz   ranges of activations are read from it; else drawn from train
    validation.npz    what is chosen is chosen on it
    test.npz          what is reported is measured on it
    train.npz         only for steps that train

Each holds an array per input, under the input's name and in the order of the network, and
``targets`` where there are labels.
"""

from __future__ import annotations

import functools
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from optim.errors import BrokenTaskError
from optim.task.datasets import CALIBRATION_EXAMPLES, Dataset, Split, SplitName

TARGETS = "targets"


def own_split(dataset: Dataset, folder: Path, name: SplitName) -> Split:
    """Read one split.

    Args:
        folder: where the files lie.

    Raises:
        BrokenTaskError: if a file is missing, no .npz, or does not fit the card.
    """
    path = folder / f"{name}.npz"
    if not path.exists():
        match name:
            case "train":
                return own_split(dataset, folder, "test").first(0)
            case "calibration" if (folder / "train.npz").exists():
                return own_split(dataset, folder, "train").take(CALIBRATION_EXAMPLES)
            case _:
                raise _broken(path, "it is missing")
    return _read(dataset, path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read(dataset: Dataset, path: Path, changed_ns: int) -> Split:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, EOFError, ValueError, BadZipFile) as error:
        raise _broken(path, "it must be an .npz file of plain arrays") from error
    targets = arrays.pop(TARGETS, None)
    if not arrays:
        raise _broken(path, "it must hold an array for each input of the network, under its name")
    first, *more = arrays
    inputs = arrays[first]
    if inputs.shape[1:] != dataset.input_shape:
        raise _broken(
            path,
            f"examples of {first} must have the shape {dataset.input_shape} that the card says, "
            f"and have {inputs.shape[1:]}",
        )
    if targets is None:
        targets = np.zeros((len(inputs), 0), np.float32)
    try:
        return Split(
            inputs=inputs, targets=targets, more={key: arrays[key] for key in more}, name=first
        )
    except ValueError as error:
        raise _broken(path, str(error)) from error


def _broken(path: Path, fault: str) -> BrokenTaskError:
    where = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
    return BrokenTaskError(f"the data {where} cannot be used: {fault.rstrip('.')}. Mend the file.")
