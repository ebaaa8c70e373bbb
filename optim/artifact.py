"""An artifact: a model file, named by its content, never half written.

The ONNX file is the artifact. Accuracy, latency and size are all taken from the very file that the
user downloads.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from optim.errors import BrokenArtifactError, DiskFullError, WorkspaceError


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file in the workspace.

    Attributes:
        path: where it lies.
        sha256: its content, 64 hexadecimal digits.
        size_bytes: bytes on disk.
        compressed_bytes: the same after gzip; only there do repeated and zero weights count.
    """

    path: Path
    sha256: str
    size_bytes: int
    compressed_bytes: int

    def verify(self) -> None:
        """Read the file again and compare.

        Raises:
            BrokenArtifactError: if it is missing or changed.
        """
        if not self.path.exists():
            raise BrokenArtifactError(
                f"the model file {self.path.name} is gone from the workspace. Make it again."
            )
        if sha256_of(self.path.read_bytes()) != self.sha256:
            raise BrokenArtifactError(
                f"the model file {self.path.name} is not what was made: its hash differs. "
                "Delete it and make it again."
            )


def sha256_of(content: bytes) -> str:
    """Return 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def artifact_at(path: Path) -> Artifact:
    """Return the artifact that a file is, as it lies there."""
    return _artifact(path, path.read_bytes())


def store_artifact(content: bytes, folder: Path, *, suffix: str = ".onnx") -> Artifact:
    """Write a file under its content's name, all or nothing; an existing one is left as it is.

    Raises:
        WorkspaceError: if the disk is full or the folder cannot be written.
    """
    name = sha256_of(content)
    path = folder / name[:2] / f"{name}{suffix}"
    if not path.exists():
        write_atomically(path, content)
    return _artifact(path, content)


def _artifact(path: Path, content: bytes) -> Artifact:
    return Artifact(
        path=path,
        sha256=sha256_of(content),
        size_bytes=len(content),
        compressed_bytes=len(gzip.compress(content, compresslevel=6, mtime=0)),
    )


def check_writable_file(path: Path) -> Path:
    """Return the regular file that a path leads to, there or not yet there; links are followed.

    Raises:
        WorkspaceError: if what lies there is no regular file: replacing a device or a pipe would
            take it away from everybody.
    """
    try:
        target = Path(os.path.realpath(path, strict=False))
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return target
    except (OSError, ValueError) as error:
        raise workspace_error(as_os_error(error), path.parent) from error
    if not stat.S_ISREG(mode):
        raise WorkspaceError(
            f"the output must be a regular file, and {path} is a folder, device, pipe or broken "
            "link. Choose another name."
        )
    return target


def write_atomically(path: Path, content: bytes) -> None:
    """Write, flush to disk, then rename: a reader sees the whole file or none.

    A new file gets the rights that the user's umask leaves, one that is replaced keeps its own. A
    symbolic link stays, and its target is written. While it is written, the file is called
    ``*.part`` and locked, so that others can tell it from what a dead process has left.

    Raises:
        WorkspaceError: if the disk is full, the folder cannot be written, or what lies there is no
            regular file.
    """
    target, temporary = check_writable_file(path), None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{secrets.token_hex(8)}.part")
        with part.open("xb") as file:
            temporary = part
            with suppress(OSError):  # not every file system has locks
                fcntl.flock(file, fcntl.LOCK_EX)
            file.write(content)
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            file.flush()
            os.fsync(file.fileno())
            part.replace(target)
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise workspace_error(error, target.parent) from error


def as_os_error(error: OSError | ValueError | RuntimeError) -> OSError:
    """Return the system's error for a path that Python refused before any system call."""
    return error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))


def workspace_error(error: OSError, folder: Path) -> WorkspaceError:
    """Return the one sentence for a folder that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"the disk that holds {folder} is full. Free some space, then try again; "
            "nothing that was finished is lost."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WorkspaceError(
            f"the folder {folder} cannot be written. Choose another workspace with --workspace, "
            "or give this user the right to write there."
        )
    return WorkspaceError(f"the folder {folder} cannot be used: {error.strerror}.")


@dataclass(frozen=True, kw_only=True)
class GraphFacts:
    """Facts that are counted in the file itself.

    Attributes:
        parameters: numbers in weights and biases (scales and zero points are not counted).
        macs: multiply-accumulates for one example.
        float_operators: Conv, Gemm and MatMul that the engine still computes in floating point
            after its own optimization, by operator type.
        operators: all Conv, Gemm and MatMul in the optimized graph, in any number format.
        weights: numbers in the weights of Conv, Gemm and MatMul, biases left out; 0 if they were
            not counted, as in records of older versions.
        zero_weights: those of them that stand for zero.
    """

    parameters: int
    macs: int
    float_operators: dict[str, int]
    operators: int
    weights: int = 0
    zero_weights: int = 0

    @property
    def sparsity(self) -> float | None:
        """Share of zeros among the weights, 0..1; None if they were not counted."""
        return self.zero_weights / self.weights if self.weights else None

    @property
    def float_count(self) -> int:
        """Number of heavy operators that stayed in floating point."""
        return sum(self.float_operators.values())
