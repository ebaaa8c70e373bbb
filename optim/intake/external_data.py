"""Weights that an ONNX file keeps in files beside itself: taken in, if they really lie there.

A model says where each tensor's bytes are. Whatever it says, only regular files in the model's own
folder are read: no path that leaves it, no symbolic link and no hard link, which would let a
stranger's model carry a file of the user's away in its own weights.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from onnx import TensorProto

from optim.errors import BrokenArtifactError
from optim.intake.reading import read_regular
from optim.words import one_line

REMEDY = "Save the model in one piece: onnx.save(model, path, save_as_external_data=False)."


def embed(tensors: Sequence[TensorProto], model: Path, at_most: int) -> tuple[str, ...]:
    """Write the bytes of these tensors into them.

    Args:
        tensors: those whose data lies outside; changed in place.
        model: the file that they came from.
        at_most: bytes that they may have together.

    Returns:
        The names of the files, as the model gives them.

    Raises:
        BrokenArtifactError: a file lies elsewhere, is missing, too short, or too much.
    """
    files: dict[str, bytes] = {}
    for tensor in tensors:
        told = {entry.key: entry.value for entry in tensor.external_data}
        where = told.get("location", "")
        if where not in files:
            files[where] = _read_beside(where, model)
        piece = _piece(files[where], told, where, model)
        at_most -= len(piece)
        if at_most < 0:
            raise BrokenArtifactError(
                f"{one_line(model.name)} and its weights have more than 2 GB together, which an "
                "ONNX file in one piece cannot hold."
            )
        tensor.raw_data = piece
        tensor.ClearField("external_data")
        tensor.data_location = TensorProto.DEFAULT
    return tuple(files)


def _read_beside(where: str, model: Path) -> bytes:
    name, folder = one_line(model.name), Path(os.path.realpath(model.parent))
    if not where or "\0" in where or Path(where).is_absolute():
        raise _leaves(name)
    path = folder / os.path.normpath(where)
    if os.path.realpath(path) != str(path) or not path.is_relative_to(folder):
        raise _leaves(name)
    try:
        return read_regular(path, follow=False, alone=True)
    except BrokenArtifactError as error:
        raise BrokenArtifactError(
            f"{name} keeps its weights in another file, and {error} {REMEDY}"
        ) from error


def _piece(content: bytes, told: dict[str, str], where: str, model: Path) -> bytes:
    try:
        start = int(told.get("offset", "0") or 0)
        length = int(told["length"]) if told.get("length") else len(content) - start
    except ValueError:
        start = length = -1
    if start < 0 or length < 0 or start + length > len(content):
        raise BrokenArtifactError(
            f"{one_line(model.name)} asks for bytes that {one_line(where)} does not have. Were "
            "both copied in full?"
        )
    return content[start : start + length]


def _leaves(name: str) -> BrokenArtifactError:
    return BrokenArtifactError(
        f"{name} keeps its weights in another file, which must lie in its own folder and be no "
        f"link. {REMEDY}"
    )
