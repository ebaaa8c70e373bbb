"""Arrays in a ``.npz`` or ``.npy`` file that somebody else may have made.

No objects, for reading them runs what the file says; no archive that grows beyond its bound,
whatever its headers promise.
"""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from math import prod
from pathlib import Path

import numpy as np

from optim.errors import BrokenArtifactError
from optim.intake.reading import read_regular
from optim.words import count, one_line

MAX_ARRAYS_BYTES = 2**30
MAX_MEMBERS = 1000
ZIP = b"PK"


def read_arrays(path: Path, *, at_most: int = MAX_ARRAYS_BYTES) -> dict[str, np.ndarray]:
    """Read every array of a ``.npz`` by its name; that of a ``.npy`` is called "".

    Args:
        at_most: bytes of the file, and of all arrays together.

    Raises:
        BrokenArtifactError: it is no such file, damaged, too large, or holds objects.
    """
    name = one_line(path.name)
    content = read_regular(path, at_most=at_most)
    try:
        if not content.startswith(ZIP):
            return {"": _array(content, name)}
        return dict(_members(content, name, at_most))
    except BrokenArtifactError:
        raise
    except (
        ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError,
        OSError, RuntimeError, SyntaxError, TypeError, ValueError, tokenize.TokenError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise BrokenArtifactError(
            f"{name} must hold arrays of numbers, written by numpy: "
            f"{one_line(str(error))[:150] or type(error).__name__}."
        ) from error


def _members(content: bytes, name: str, at_most: int) -> list[tuple[str, np.ndarray]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > at_most:
            raise BrokenArtifactError(
                f"{name} holds {count(len(members))} arrays or more than {count(at_most)} bytes "
                "once unpacked, which is refused."
            )
        if len({member.filename for member in members}) < len(members):
            raise BrokenArtifactError(f"{name} holds two arrays of one name.")
        arrays = []
        for member in members:
            with archive.open(member) as file:
                unpacked = file.read(member.file_size + 1)
            arrays.append((member.filename.removesuffix(".npy"), _array(unpacked, name)))
    return arrays


def _array(content: bytes, name: str) -> np.ndarray:
    """Return one array; its header may promise neither objects nor more than there is."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise BrokenArtifactError(
            f"{name} is written in a version of numpy's format not known here."
        )
    shape, _, kind = read[version](file)
    if kind.hasobject:
        raise BrokenArtifactError(
            f"{name} holds objects, and reading them would run what the file says. Save numbers "
            "alone."
        )
    if prod(shape) * kind.itemsize != len(content) - file.tell():
        raise BrokenArtifactError(f"{name} promises other arrays than it holds.")
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array
