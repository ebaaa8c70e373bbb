"""What the gate refuses, each with a real file, and what it lets through."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from optim.errors import BrokenArtifactError
from optim.intake.gate import MAX_DEPTH, MAX_OPERATORS, admit
from optim.intake.reading import MAX_FILE_BYTES, read_regular
from tests.intake import hostile

ELSEWHERE = (
    "above", "absolute", "symlink", "folder", "hardlink", "missing", "short", "pipe",
)  # fmt: skip
SECRET = np.arange(16, dtype=np.float32)


def refused(path: Path, words: str) -> None:
    with pytest.raises(BrokenArtifactError, match=words) as error:
        admit(path)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_sound_model_passes_byte_for_byte(tmp_path: Path) -> None:
    path = hostile.saved(hostile.harmless(), tmp_path / "model.onnx")
    admitted = admit(path)
    assert admitted.content == path.read_bytes()
    assert admitted.embedded == ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: hostile.nested(MAX_DEPTH), "deeper than 20 levels"),
        (lambda: hostile.doubling_functions(25), r"has 33,554,432 operators; up to 50,000"),
        (lambda: hostile.doubling_functions(200), "operators; up to 50,000"),
        (hostile.function_that_calls_itself, "calls itself"),
        (lambda: hostile.long_chain(MAX_OPERATORS + 1), "has 50,001 operators"),
        (hostile.huge_input, "declares a tensor of 1099511627776 x 1099511627776 numbers"),
        (hostile.huge_weight, "declares a tensor of 1099511627776 x 1099511627776 numbers"),
        (hostile.short_weight, "61 bytes whose shape needs 64"),
        (hostile.negative_size, "declares a tensor of -4 x -4"),
        (hostile.unknown_element_type, r"ONNX does not know \(9999\)"),
        (lambda: hostile.declared_type(99), r"ONNX does not know \(99\)"),
        (lambda: hostile.declared_type(0), r"ONNX does not know \(0\)"),
        (hostile.escape_codes, "breaks the ONNX standard: .*x1b"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    make: Callable[[], ModelProto], words: str, tmp_path: Path
) -> None:
    refused(hostile.saved(make(), tmp_path / "model.onnx"), words)


def test_twenty_levels_and_small_functions_pass(tmp_path: Path) -> None:
    admit(hostile.saved(hostile.nested(MAX_DEPTH - 1), tmp_path / "nested.onnx"))
    admit(hostile.saved(hostile.doubling_functions(5), tmp_path / "functions.onnx"))


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"not a model", bytes(range(256)) * 40])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    refused(path, "is empty|not a readable ONNX model|holds no operators")


def test_a_model_that_was_cut_short_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    whole = hostile.harmless().SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(1, len(whole) - 30, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenArtifactError):
            admit(path)


# --- files ----------------------------------------------------------------------------------------
def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path / "pipe.onnx", Path("/dev/zero"), Path("/dev/null"), tmp_path):
        refused(path, "must be a regular file")


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    refused(hostile.sparse_file(tmp_path / "long.onnx", MAX_FILE_BYTES + 1), "more than 2 GB")


def test_a_file_that_lies_about_its_length_is_read_no_further_than_allowed() -> None:
    lying = Path("/proc/self/environ")  # says that it has no bytes
    if not lying.exists():
        pytest.skip("this system has no such file")
    with pytest.raises(BrokenArtifactError, match=r"more than 0\.00"):
        read_regular(lying, at_most=5)


def test_a_missing_file_and_a_name_with_nul_are_told(tmp_path: Path) -> None:
    refused(tmp_path / "no.onnx", "cannot be read: No such file")
    refused(tmp_path / "a\0b.onnx", "cannot be read: its name holds")


# --- weights in other files -----------------------------------------------------------------------
@pytest.mark.parametrize("where", hostile.OUTSIDE)
def test_weights_beside_the_model_are_taken_in_wherever_they_are_named(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = hostile.saved(hostile.outside("weights.bin", where), folder / "model.onnx")
    (folder / "weights.bin").write_bytes(SECRET.tobytes())
    (tmp_path / "weights.bin").write_bytes(b"\xff" * 64)
    monkeypatch.chdir(tmp_path)  # what lies in the current folder is nobody's weights
    admitted = admit(path)
    assert admitted.embedded == ("weights.bin",)
    assert SECRET.tobytes() in admitted.content
    assert b"weights.bin" not in admitted.content


@pytest.mark.parametrize("where", hostile.OUTSIDE)
@pytest.mark.parametrize("how", ELSEWHERE)
def test_weights_that_lie_elsewhere_are_never_read(how: str, where: str, tmp_path: Path) -> None:
    folder, secret = tmp_path / "model", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(SECRET.tobytes())
    inside, location = folder / "weights.bin", "weights.bin"
    match how:
        case "above":
            location = "../secret"
        case "absolute":
            location = str(secret)
        case "symlink":
            inside.symlink_to(secret)
        case "folder":
            (folder / "sub").symlink_to(tmp_path)
            location = "sub/secret"
        case "hardlink":
            inside.hardlink_to(secret)
        case "short":
            inside.write_bytes(SECRET.tobytes()[:60])
        case "pipe":
            os.mkfifo(inside)
    path = hostile.saved(hostile.outside(location, where), folder / "model.onnx")
    refused(path, "in its own folder|hard linked|No such file|shape needs|must be a regular file")


def test_a_piece_beyond_the_end_of_the_file_is_told(tmp_path: Path) -> None:
    made = hostile.outside("weights.bin")
    made.graph.initializer[0].external_data.add(key="offset", value="8")
    made.graph.initializer[0].external_data.add(key="length", value="64")
    path = hostile.saved(made, tmp_path / "model.onnx")
    (tmp_path / "weights.bin").write_bytes(SECRET.tobytes())
    refused(path, "asks for bytes that weights.bin does not have")


def test_two_pieces_of_one_file_are_read_from_their_places(tmp_path: Path) -> None:
    made = hostile.harmless()
    made.graph.initializer.append(numpy_helper.from_array(np.ones((4, 4), np.float32), "v"))
    made.graph.node[1].CopyFrom(hostile.node("MatMul", ["m", "v"], ["output"]))
    onnx.save(
        made, tmp_path / "model.onnx", save_as_external_data=True, location="model.onnx.data",
        size_threshold=0,
    )  # fmt: skip
    found = onnx.load_model_from_string(admit(tmp_path / "model.onnx").content)
    w, v = (numpy_helper.to_array(tensor) for tensor in found.graph.initializer)
    np.testing.assert_array_equal(w, np.eye(4))
    np.testing.assert_array_equal(v, np.ones((4, 4)))
