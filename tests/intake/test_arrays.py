"""Arrays from strangers: numbers or a sentence, and nothing runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from optim.errors import BrokenArtifactError
from optim.intake.arrays import read_arrays


class Marker:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_arrays_come_back_by_name(tmp_path: Path) -> None:
    a, b = np.arange(6, dtype=np.uint8).reshape(2, 3), np.float32(3.5)
    np.savez_compressed(tmp_path / "x.npz", a=a, b=b)
    np.save(tmp_path / "y.npy", a)
    found = read_arrays(tmp_path / "x.npz")
    np.testing.assert_array_equal(found["a"], a)
    assert found["b"] == b
    np.testing.assert_array_equal(read_arrays(tmp_path / "y.npy")[""], a)


def test_objects_are_refused_and_never_built(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    array = np.array([Marker(marker)], dtype=object)
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    np.savez(tmp_path / "x.npz", a=array)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(BrokenArtifactError, match="holds objects"):
            read_arrays(tmp_path / name)
    assert not marker.exists()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(50_000_000))
    with pytest.raises(BrokenArtifactError, match="once unpacked"):
        read_arrays(path, at_most=1_000_000)


def test_a_thousand_and_one_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(1001):
            archive.writestr(f"{i}.npy", b"")
    with pytest.raises(BrokenArtifactError, match="holds 1,001 arrays"):
        read_arrays(path)


@pytest.mark.parametrize("shape", ["(1099511627776,1099511627776)", "(-4,)", "(7,)", "(5"])
def test_a_header_that_promises_what_is_not_there_is_refused(shape: str, tmp_path: Path) -> None:
    content = npy(np.zeros(5, np.float32)).replace(b"(5,)", shape.encode()[:4].ljust(4))
    if len(shape) > 4:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
        padded = header.ljust(118 - 1) + "\n"
        content = b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(BrokenArtifactError, match=r"promises other arrays|must hold arrays"):
        read_arrays(tmp_path / "x.npy")


@pytest.mark.parametrize("content", [b"PK", b"PK\x03\x04" + bytes(40), b"hello", b"\x93NUMPY"])
def test_what_holds_no_arrays_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(BrokenArtifactError, match="must hold arrays of numbers"):
        read_arrays(tmp_path / "x.npz")
