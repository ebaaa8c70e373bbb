"""Any ONNX file becomes a task: looked at, made fit, divided, judged, kept in the workspace."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from optim.errors import BrokenArtifactError, BrokenDataError, OptimError, WorkspaceError
from optim.intake.archive import unpack
from optim.intake.bring import bring, look_apart
from optim.intake.data import Examples, arrays_for, divided
from optim.intake.fit import make_fit
from optim.intake.look import Port, look_at
from optim.task.task import load_task

N = helper.make_node


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * 0.3).astype(np.float32)


def classifier(size: object = 16, *, batch: object = "N", opset: int = 17) -> onnx.ModelProto:
    """Pictures (N, 3, size, size) to three classes by a convolution and a mean."""
    nodes = [
        N("Conv", ["pixels", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        N("Relu", ["c"], ["r"]),
        N("GlobalAveragePool", ["r"], ["p"]),
        N("Flatten", ["p"], ["f"]),
        N("Gemm", ["f", "m"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 3])],
        [
            numpy_helper.from_array(random(8, 3, 3, 3), "w"),
            numpy_helper.from_array(random(3, 8, seed=1), "m"),
        ],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


def with_rate() -> onnx.ModelProto:
    """Sound (N, samples) with its rate as a scalar that decides between two branches."""

    def branch(factor: float) -> onnx.GraphProto:
        return helper.make_graph(
            [N("Mul", ["sound", "k"], ["out"])], "branch", [],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", "samples"])],
            [numpy_helper.from_array(np.float32(factor), "k")],
        )  # fmt: skip

    nodes = [
        N("Equal", ["rate", "wide"], ["is_wide"]),
        N("If", ["is_wide"], ["y"], then_branch=branch(2.0), else_branch=branch(3.0)),
    ]
    graph = helper.make_graph(
        nodes,
        "voice",
        [
            helper.make_tensor_value_info("sound", TensorProto.FLOAT, ["N", "samples"]),
            helper.make_tensor_value_info("rate", TensorProto.INT64, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "samples"])],
        [numpy_helper.from_array(np.int64(16000), "wide")],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "My Net.onnx"
    path.write_bytes(classifier().SerializeToString())
    return path


def pictures(folder: Path, *, each: int = 12) -> Path:
    """Three classes of pictures that differ in colour."""
    draw = np.random.default_rng(0)
    for i, name in enumerate(("blue", "green", "red")):
        (folder / name).mkdir(parents=True)
        for k in range(each):
            pixels = draw.integers(0, 80, (20, 24, 3), dtype=np.uint8)
            pixels[..., 2 - i] += 120
            Image.fromarray(pixels).save(folder / name / f"{k}.png")
    return folder


# --- looking --------------------------------------------------------------------------------------
def test_a_file_says_what_it_takes_and_gives(file: Path) -> None:
    look = look_apart(file)
    assert look.inputs == (Port(name="pixels", dtype="float32", shape=("N", 3, 16, 16)),)
    assert look.outputs[0].shape == ("N", 3)
    assert look.parameters == 8 * 3 * 9 + 24
    assert look.operators["Conv"] == 1
    assert look == type(look).from_dict(look.to_dict())


def test_sizes_without_a_name_get_one_from_their_place() -> None:
    model = classifier("?")
    port = look_at(model.SerializeToString()).inputs[0]
    assert port.free == ("pixels_2", "pixels_3")


# --- making fit -----------------------------------------------------------------------------------
def test_free_sizes_are_asked_for_by_name() -> None:
    content = classifier("side").SerializeToString()
    with pytest.raises(BrokenArtifactError, match="--size side=320"):
        make_fit(content, sizes={}, frozen={})
    with pytest.raises(BrokenArtifactError, match="The free sizes are: side"):
        make_fit(content, sizes={"width": 3}, frozen={})
    fitted = make_fit(content, sizes={"side": 24}, frozen={})
    assert fitted.look.inputs[0].shape == ("N", 3, 24, 24)
    assert fitted.free_batch


def test_a_file_for_one_example_at_a_time_takes_many_if_each_keeps_its_answer() -> None:
    fitted = make_fit(classifier(batch=1).SerializeToString(), sizes={}, frozen={})
    assert fitted.free_batch
    assert fitted.look.inputs[0].shape[0] == "N"


def test_an_old_opset_is_raised() -> None:
    fitted = make_fit(classifier(opset=11).SerializeToString(), sizes={}, frozen={})
    assert fitted.look.opset >= 13
    assert any("opset" in step for step in fitted.steps)


def test_a_wrong_declared_shape_is_dropped() -> None:
    model = classifier()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    make_fit(model.SerializeToString(), sizes={}, frozen={})


def test_a_frozen_input_decides_its_branch() -> None:
    content = with_rate().SerializeToString()
    with pytest.raises(BrokenArtifactError, match="--freeze rate=VALUE"):
        make_fit(content, sizes={"samples": 8}, frozen={})
    fitted = make_fit(content, sizes={"samples": 8}, frozen={"rate": 16000})
    assert "If" not in fitted.look.operators
    assert [port.name for port in fitted.look.inputs] == ["sound"]


# --- bringing -------------------------------------------------------------------------------------
def test_without_data_a_task_is_judged_by_its_noise_on_random_inputs(
    file: Path, tmp_path: Path
) -> None:
    made = bring(file, tmp_path)
    assert (made.name, made.metric, made.data) == ("my-net", "sqnr", "random inputs")
    task = load_task("my-net", tmp_path)
    assert task.input_shape == (3, 16, 16)
    assert len(task.split("test")) == made.examples["test"]
    assert task.untrainable is not None


def test_pictures_in_class_folders_are_read_divided_and_normalised(
    file: Path, tmp_path: Path
) -> None:
    made = bring(file, tmp_path, data=pictures(tmp_path / "pictures"), name="colours")
    assert made.metric == "accuracy"
    assert made.examples == {"test": 18, "validation": 9, "calibration": 9}
    assert set(made.guesses) == {"0 to 1", "ImageNet", "-1 to 1", "0 to 255"}
    task = load_task("colours", tmp_path)
    assert task.labels == ("blue", "green", "red")
    classes = [np.bincount(task.split(name).targets) for name in ("test", "validation")]
    assert [each.tolist() for each in classes] == [[6, 6, 6], [3, 3, 3]]
    assert task.split("test").inputs.shape == (18, 3, 16, 16)


def test_a_zip_of_class_folders_is_the_same_as_the_folder(file: Path, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    with ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path))
    one = bring(file, tmp_path, data=folder, name="one")
    other = bring(file, tmp_path, data=tmp_path / "pictures.zip", name="other")
    assert one.guesses == other.guesses
    first, second = (load_task(name, tmp_path).split("test") for name in ("one", "other"))
    np.testing.assert_array_equal(first.inputs, second.inputs)


def test_arrays_with_labels_and_without(file: Path, tmp_path: Path) -> None:
    inputs = random(40, 3, 16, 16)
    np.savez(tmp_path / "some.npz", x=inputs)
    np.savez(tmp_path / "all.npz", pixels=inputs, labels=np.arange(40) % 3)
    assert bring(file, tmp_path, data=tmp_path / "some.npz", name="some").metric == "agreement"
    assert bring(file, tmp_path, data=tmp_path / "all.npz", name="all").metric == "accuracy"


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pixels": random(40, 3, 8, 8)}, "must have the shape (3, 16, 16)"),
        ({"a": random(4, 3), "b": random(4, 3)}, "must hold an array named 'pixels'"),
        ({"pixels": random(40, 3, 16, 16), "y": np.arange(40)}, "labels go up to 39"),
        ({"pixels": random(40, 3, 16, 16), "y": np.zeros(7, int)}, "same number of examples"),
        ({"pixels": np.full((40, 3, 16, 16), np.nan, np.float32)}, "must be finite"),
        ({"pixels": np.array([{}], object)}, "objects"),
    ],
)
def test_data_that_does_not_fit_gets_one_sentence_and_leaves_nothing(
    file: Path, tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str
) -> None:
    np.savez(tmp_path / "data.npz", allow_pickle=True, **arrays)
    with pytest.raises(OptimError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        bring(file, tmp_path, data=tmp_path / "data.npz", name="mine")
    assert not (tmp_path / "tasks" / "mine").exists()


def test_a_name_is_taken_once(file: Path, tmp_path: Path) -> None:
    bring(file, tmp_path, name="mine")
    with pytest.raises(WorkspaceError, match="--name mine-2"):
        bring(file, tmp_path, name="mine")
    with pytest.raises(WorkspaceError, match="small letters"):
        bring(file, tmp_path, name="../../etc")


# --- dividing -------------------------------------------------------------------------------------
def test_equal_examples_go_into_one_split() -> None:
    inputs = random(60, 4)
    inputs[30:] = inputs[:30]
    examples = Examples(feeds={"x": inputs}, targets=np.zeros((60, 0)), words="twice")
    rows = [split.feeds["x"].tobytes() for split in divided(examples).values()]
    seen = [
        inputs[i].tobytes()
        for i in range(30)
        if sum(inputs[i].tobytes() in row for row in rows) > 1
    ]
    assert seen == []
    assert sum(len(split) for split in divided(examples).values()) == 30


def test_integers_are_not_made_of_floats(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=random(8, 5))
    port = Port(name="ids", dtype="int64", shape=("N", 5))
    with pytest.raises(BrokenDataError, match="takes int64"):
        arrays_for(tmp_path / "x.npz", (port,))


# --- hostile zips ---------------------------------------------------------------------------------
def _zip(path: Path, entries: dict[str, bytes], *, link: bool = False) -> Path:
    with ZipFile(path, "w", compression=8) as archive:
        for name, content in entries.items():
            info = ZipInfo(name)
            info.compress_type = 8
            if link:
                info.external_attr = 0o120777 << 16
            archive.writestr(info, content)
    return path


@pytest.mark.parametrize(
    ("entries", "link", "sentence"),
    [
        ({"../out.png": b"x"}, False, "outside its folder"),
        ({"/etc/out.png": b"x"}, False, "outside its folder"),
        ({"a\\..\\..\\out.png": b"x"}, False, "outside its folder"),
        ({"a/link.png": b"/etc/passwd"}, True, "links are refused"),
        ({"a/more.zip": b"x"}, False, "unpack it first"),
        ({"a/0.png": bytes(50_000_000)}, False, "swells too much"),
    ],
)
def test_a_hostile_zip_is_refused_before_anything_is_written(
    tmp_path: Path, entries: dict[str, bytes], link: bool, sentence: str
) -> None:
    path = _zip(tmp_path / "data.zip", entries, link=link)
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(BrokenDataError, match=sentence):
        unpack(path, folder)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "out.png").exists()


def test_what_is_no_zip_is_said(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    path.write_bytes(b"no zip at all")
    with pytest.raises(BrokenDataError, match="read whole"):
        unpack(path, tmp_path)
