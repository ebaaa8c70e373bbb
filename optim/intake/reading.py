"""Read a file that somebody else may have made: regular, of bounded length, and once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from optim.errors import BrokenArtifactError
from optim.words import one_line

MAX_FILE_BYTES = 2 * 1024**3
"""An ONNX file in one piece cannot be longer: protobuf's own limit."""
PIECE_BYTES = 16 * 2**20


def read_regular(
    path: Path, *, at_most: int = MAX_FILE_BYTES, follow: bool = True, alone: bool = False
) -> bytes:
    """Return the content of a regular file; pipes and devices are refused without waiting.

    Args:
        at_most: bytes; not more than one beyond is read, whatever the file says of its length.
        follow: go through symbolic links.
        alone: refuse a file that has a second name (a hard link).

    Raises:
        BrokenArtifactError: it is no regular file, is empty, too long, or cannot be read.
    """
    name = one_line(path.name)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name holds what no path may hold"
        raise BrokenArtifactError(
            f"the file {name} cannot be read: {reason}. Check its path and permissions."
        ) from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise BrokenArtifactError(
                f"{name} must be a regular file, not a folder, pipe or device. Save it as a file "
                "first."
            )
        if alone and found.st_nlink > 1:
            raise BrokenArtifactError(
                f"{name} must have one name; it is hard linked to another. Copy it instead."
            )
        if found.st_size > at_most:
            raise _too_long(name, at_most)
        content = _content(handle, name, at_most)
    except OSError as error:
        raise BrokenArtifactError(f"the file {name} cannot be read: {error.strerror}.") from error
    finally:
        os.close(handle)
    if not content:
        raise BrokenArtifactError(f"{name} is empty. Was it copied in full?")
    return content


def _content(handle: int, name: str, at_most: int) -> bytes:
    """Read at most ``at_most`` bytes; a file that grows, or lies about its length, is refused."""
    content = bytearray()
    while piece := os.read(handle, min(PIECE_BYTES, at_most + 1 - len(content))):
        content += piece
        if len(content) > at_most:
            raise _too_long(name, at_most)
    return bytes(content)


def _too_long(name: str, at_most: int) -> BrokenArtifactError:
    size = f"{at_most / 1024**3:g} GB" if at_most >= 1024**3 else f"{at_most / 1024:g} KB"
    return BrokenArtifactError(f"{name} has more than {size}. Is it really the right file?")
