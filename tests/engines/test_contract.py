"""What every engine promises, run on each of them."""

import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from optim.engines import ENGINES, engine_named
from optim.engines.engine import TensorInfo, run_single
from optim.errors import EngineError, Refusal
from tests.graph.test_fuse import model_of

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(4, 3)).astype(np.float32)
BIAS = RNG.normal(size=3).astype(np.float32)
INPUTS = RNG.normal(size=(5, 4)).astype(np.float32)


@pytest.fixture(params=list(ENGINES))
def engine(request):
    return engine_named(request.param)


@pytest.fixture
def path(tmp_path):
    nodes = [
        helper.make_node("Gemm", ["input", "w", "b"], ["h"]),
        helper.make_node("Relu", ["h"], ["logits"]),
    ]
    file = tmp_path / "model.onnx"
    file.write_bytes(model_of(nodes, {"w": WEIGHT, "b": BIAS}, shape=("N", 4)))
    return file


@pytest.mark.parametrize("threads", [1, 2])
def test_it_answers_in_float32_for_any_batch(engine, path, threads):
    session = engine.load(path, threads=threads)
    expected = np.maximum(INPUTS @ WEIGHT + BIAS, 0)
    for n in (1, 5):
        logits = run_single(session, INPUTS[:n])
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected[:n], rtol=1e-5, atol=1e-6)


@pytest.fixture
def two_of_each(tmp_path):
    """Two inputs of different types, two outputs of different types."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Add", ["rows", "shift"], ["moved"]),
        helper.make_node("ArgMax", ["moved"], ["best"], axis=1, keepdims=0),
    ]
    info = helper.make_tensor_value_info
    table = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "table")
    graph = helper.make_graph(
        nodes,
        "two of each",
        [info("ids", TensorProto.INT64, ["N"]), info("shift", TensorProto.FLOAT, ["N", 4])],
        [info("moved", TensorProto.FLOAT, ["N", 4]), info("best", TensorProto.INT64, ["N"])],
        [table],
    )
    file = tmp_path / "two.onnx"
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    file.write_bytes(model.SerializeToString())
    return file


def test_it_takes_and_gives_named_arrays_of_any_type(engine, two_of_each):
    session = engine.load(two_of_each, threads=1)
    assert session.inputs == (
        TensorInfo(name="ids", dtype="int64", shape=(None,)),
        TensorInfo(name="shift", dtype="float32", shape=(None, 4)),
    )
    assert [(each.name, each.dtype) for each in session.outputs] == [
        ("moved", "float32"),
        ("best", "int64"),
    ]
    shift = np.zeros((2, 4), np.float32)
    found = session.run({"ids": np.array([2, 0]), "shift": shift})
    assert list(found) == ["moved", "best"]
    np.testing.assert_array_equal(found["moved"], [[8, 9, 10, 11], [0, 1, 2, 3]])
    assert found["best"].tolist() == [3, 3]
    assert found["best"].dtype == np.int64


def test_arrays_without_a_name_or_missing_ones_give_one_sentence(engine, two_of_each):
    session = engine.load(two_of_each, threads=1)
    with pytest.raises(EngineError, match=r"must have one input, it has 2 \(ids, shift\)"):
        run_single(session, INPUTS)
    with pytest.raises(EngineError, match="shift"):
        session.run({"ids": np.array([1])})


def test_it_names_itself_and_its_version(engine):
    assert ENGINES[engine.name].get() is engine
    assert engine.version[0].isdigit()


def test_it_supports_onnx_files_and_says_why_not_others(engine, path):
    assert engine.supports(path) is None
    refusal = engine.supports(path.with_suffix(".txt"))
    assert isinstance(refusal, Refusal)
    assert "model.txt" in refusal.reason
    assert refusal.remedy


@pytest.mark.parametrize("content", [None, b"", b"random bytes, no model", b"\x08\x07"], ids=repr)
def test_a_file_that_cannot_be_loaded_gives_one_sentence(engine, path, content):
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(EngineError) as caught:
        engine.load(path, threads=1)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_truncated_file_gives_one_sentence(engine, path):
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(EngineError):
        engine.load(path, threads=1)


def test_inputs_of_the_wrong_shape_give_one_sentence(engine, path):
    session = engine.load(path, threads=1)
    with pytest.raises(EngineError, match=r"\(2, 9\)") as caught:
        run_single(session, np.zeros((2, 9), np.float32))
    assert "\n" not in str(caught.value)


def test_it_needs_a_thread_at_least(engine, path):
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        engine.load(path, threads=0)


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(EngineError, match="onnxruntime"):
        engine_named("tensorflow")


def test_looking_at_the_table_loads_no_engine():
    code = (
        "import sys, optim.engines, optim.measure.latency, optim.devices.device;"
        "sys.exit(bool({'onnxruntime', 'torch', 'onnx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
