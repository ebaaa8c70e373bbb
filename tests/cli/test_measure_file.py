"""Any ONNX file can be measured on a task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.cli.conftest import TASK, Run, is_one_sentence_for_people


def constant_answer(path: Path, *, classes: int) -> Path:
    """A network that always answers class 0, whatever it sees."""
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]),
    ]
    weight = numpy_helper.from_array(np.zeros((784, classes), np.float32), "weight")
    bias = numpy_helper.from_array(np.eye(1, classes, dtype=np.float32)[0], "bias")
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
        [weight, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)
    return path


def test_any_onnx_file_is_measured_on_a_tasks_test_split(
    run: Run, measured: Path, tmp_path: Path
) -> None:
    file = constant_answer(tmp_path / "constant.onnx", classes=10)
    code, out, _ = run("measure", file, "--task", TASK, "--workspace", measured, "--json")
    record = json.loads(out)
    assert code == 0
    assert record["accuracy"]["correct"] == 1000  # each class has a thousand test images
    assert record["file"]["path"] == str(file)
    assert record["file"]["size_bytes"] == file.stat().st_size
    assert record["graph"]["macs"] == 7840
    assert record["latency"]["speedup"] > 1
    assert "10.00 %" in run("measure", file, "--task", TASK, "--workspace", measured)[1]


def test_files_that_are_no_fitting_model_get_one_sentence(
    run: Run, measured: Path, tmp_path: Path
) -> None:
    (tmp_path / "words.onnx").write_text("not a model", encoding="utf-8")
    constant_answer(tmp_path / "seven.onnx", classes=7)
    outside = constant_answer(tmp_path / "outside.onnx", classes=10)
    onnx.save(
        onnx.load(outside), outside, save_as_external_data=True, location="x.bin", size_threshold=0
    )
    (tmp_path / "x.bin").rename(tmp_path / "elsewhere.bin")
    for name, words in (
        ("words", "not a readable ONNX model"),
        ("seven", "one logit for each of the 10 classes"),
        ("outside", "keeps its weights in another file"),
    ):
        code, out, error = run(
            "measure", tmp_path / f"{name}.onnx", "--task", TASK, "--workspace", measured
        )
        assert (code, out) == (2, "")
        assert words in error
        assert is_one_sentence_for_people(error)
