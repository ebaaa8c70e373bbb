"""Files named by their content, whole or not there."""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import stat
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


# --- files for others -----------------------------------------------------------------------------
def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_rights_that_the_umask_leaves(
    tmp_path: Path, umask: int, expected: int
) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "new", b"content")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") == expected


def test_a_file_that_is_replaced_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o640)


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "far").symlink_to("link")
    write_atomically(tmp_path / "far", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "link", "real"]


def test_a_link_into_a_folder_that_is_there_makes_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("later")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "later").read_bytes() == b"new"


def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to("/dev/null")
    before = os.stat("/dev/null")
    for name in ("pipe", "folder", "loop", "device"):
        with pytest.raises(WorkspaceError):
            write_atomically(tmp_path / name, b"new")
        assert not (tmp_path / name).is_file()
    after = os.stat("/dev/null")
    assert (before.st_ino, before.st_rdev) == (after.st_ino, after.st_rdev)
    assert not list(tmp_path.glob(".*.part"))


def test_a_file_is_locked_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def look(handle: int) -> None:
        for path in tmp_path.glob(".*.part"):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    seen.append(True)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(tmp_path / "new", b"content")
    assert seen == [True]
