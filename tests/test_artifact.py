"""Files named by their content, whole or not there."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from optim.artifact import sha256_of, store_artifact, workspace_error, write_atomically
from optim.errors import BrokenArtifactError, WorkspaceError


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_file_is_named_by_its_content(tmp_path: Path) -> None:
    artifact = store_artifact(b"weights", tmp_path)
    assert artifact.path == tmp_path / artifact.sha256[:2] / f"{artifact.sha256}.onnx"
    assert artifact.sha256 == sha256_of(b"weights")
    assert artifact.path.read_bytes() == b"weights"
    assert artifact.size_bytes == 7


def test_compressed_bytes_are_those_of_gzip_and_do_not_depend_on_the_time(tmp_path: Path) -> None:
    content = bytes(100_000)
    artifact = store_artifact(content, tmp_path)
    assert artifact.compressed_bytes == len(gzip.compress(content, 6, mtime=12345))
    assert artifact.compressed_bytes < 500


def test_the_same_content_is_stored_once_and_left_alone(tmp_path: Path) -> None:
    first = store_artifact(b"weights", tmp_path)
    os.utime(first.path, (1, 1))
    assert store_artifact(b"weights", tmp_path) == first
    assert first.path.stat().st_mtime == 1
    assert len(files_below(tmp_path)) == 1


def test_the_suffix_says_what_it_is(tmp_path: Path) -> None:
    assert store_artifact(b"x", tmp_path, suffix=".safetensors").path.suffix == ".safetensors"


def test_a_changed_or_missing_file_is_noticed(tmp_path: Path) -> None:
    artifact = store_artifact(b"weights", tmp_path)
    artifact.verify()
    artifact.path.write_bytes(b"weightz")
    with pytest.raises(BrokenArtifactError, match=r"its hash differs\. Delete it and make"):
        artifact.verify()
    artifact.path.unlink()
    with pytest.raises(BrokenArtifactError, match=r"is gone from the workspace\. Make it again"):
        artifact.verify()


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), full)
    with pytest.raises(WorkspaceError, match=r"is full\. Free some space"):
        store_artifact(b"weights", tmp_path)
    assert files_below(tmp_path) == []


def test_a_failed_write_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "card.json"
    write_atomically(path, b"old")

    def broken(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(WorkspaceError, match="cannot be used: Input/output error"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert files_below(tmp_path) == ["card.json"]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.ENOTDIR, "cannot be used"),
    ],
)
def test_each_error_of_the_disk_gets_its_sentence(code: int, sentence: str) -> None:
    error = workspace_error(OSError(code, os.strerror(code)), Path("/work"))
    assert sentence in str(error)
    assert "/work" in str(error)
