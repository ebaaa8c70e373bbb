"""The command line: figures of a real run, stable keys, and one sentence for whatever is wrong."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optim.cli import run_command_line
from optim.errors import Refusal, RefusedError
from optim.recipe import Recipe, recipe_of
from optim.store.job import JobKind
from optim.store.jobs import JobQueue
from optim.store.schema import SCHEMA_VERSION, STORE_NAME, connect
from optim.workspace import Workspace

TASK = "fashion-squeezenet"
RECORD_KEYS = {
    "id", "task", "words", "role", "recipe", "fingerprint", "starter", "created", "seconds",
    "file", "graph", "accuracy", "latency", "refusal",
}  # fmt: skip

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("EDGE_OPTIM_WORKSPACE", str(tmp_path / "workspace"))

    def command(*words: object) -> tuple[int, str, str]:
        code = run_command_line([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the shipped candidates of one task are really measured."""
    folder = tmp_path_factory.mktemp("measured")
    assert run_command_line(["--workspace", str(folder), "starters", TASK]) == 0
    return folder


@pytest.fixture
def no_making(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Nothing is made; the recipes that would have been are listed, and pruned ones refused."""
    asked: list[Recipe] = []

    def make(self: Workspace, task: str, recipe: Recipe, *, progress: object) -> object:
        from optim.pipeline import registered
        from optim.task import load_task

        asked.append(recipe)
        found = registered(self.results, load_task(task), recipe)
        if recipe.pruning_ratio:
            refusal = Refusal(reason="Nothing can be pruned here.", remedy="Leave prune out.")
            self.results.refuse(found.id, refusal)
            raise RefusedError(refusal)
        return found

    monkeypatch.setattr(Workspace, "make", make)
    return asked


def is_one_sentence_for_people(error: str) -> bool:
    return error.count("\n") == 1 and error.startswith("edge-optim: ") and "Traceback" not in error


# --- what it does ---------------------------------------------------------------------------------
def test_a_run_measures_and_gives_plain_data(run: Run) -> None:
    code, out, _ = run("run", TASK, "--quantize", "int8", "--json")
    record = json.loads(out)
    assert code == 0
    assert set(record) == RECORD_KEYS
    assert record["accuracy"]["recorded"] is False
    assert record["accuracy"]["n"] == 10_000
    low, high = record["accuracy"]["interval"]
    assert low < record["accuracy"]["value"] < high
    assert record["latency"]["p50_ms"] > 0
    assert record["latency"]["environment"]["engine"] == "onnxruntime"
    assert Path(record["file"]["path"]).stat().st_size == record["file"]["size_bytes"]


def test_a_run_prints_a_card_for_people(run: Run, measured: Path) -> None:
    code, out, _ = run("run", TASK, "--quantize", "int8", "--workspace", measured)
    assert code == 0
    for words in ("INT8", "95 % interval", "as fast as the original", "smaller", "1 thread"):
        assert words in out


def test_the_front_lists_who_is_not_beaten_and_keeps_the_limits(run: Run, measured: Path) -> None:
    _, out, _ = run("front", TASK, "--workspace", measured, "--json")
    everyone = json.loads(out)
    assert "original, FP32" in [c["words"] for c in everyone["front"] + everyone["tied"]]
    largest = max(c["file"]["size_bytes"] for c in everyone["front"])
    _, out, _ = run("front", TASK, "--workspace", measured, "--max-mb", largest / 2e6, "--json")
    limited = json.loads(out)
    assert limited["out_of_limits"]
    assert all(c["file"]["size_bytes"] <= largest / 2 for c in limited["front"])


def test_limits_that_nobody_keeps_are_answered_in_words(run: Run, measured: Path) -> None:
    code, out, _ = run("front", TASK, "--workspace", measured, "--max-mb", 0.000001)
    assert code == 0
    assert "No measured candidate keeps the limits. The nearest" in out


def test_an_empty_workspace_says_what_to_do(run: Run) -> None:
    for command in ("front", "candidates"):
        code, out, _ = run(command, TASK)
        assert code == 0
        assert f"edge-optim starters {TASK}" in out


def test_candidates_come_as_table_and_as_data(run: Run, measured: Path) -> None:
    _, table, _ = run("candidates", TASK, "--workspace", measured)
    _, out, _ = run("candidates", TASK, "--workspace", measured, "--json")
    records = json.loads(out)
    assert [set(record) for record in records] == [RECORD_KEYS] * len(records)
    assert records[0]["role"] == "baseline"
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [record["id"] for record in records]


def test_an_export_names_its_files(run: Run, measured: Path, tmp_path: Path) -> None:
    _, out, _ = run("candidates", TASK, "--workspace", measured, "--json")
    name = json.loads(out)[1]["id"]
    code, out, _ = run("--workspace", measured, "export", name, "--to", tmp_path / "new" / "model")
    assert code == 0
    assert [Path(line).name for line in out.splitlines()] == [
        "model.onnx", "recipe.yaml", "card.json", "README.txt",
    ]  # fmt: skip
    assert all(Path(line).exists() for line in out.splitlines())


def test_a_sweep_asks_for_each_pair_once_and_keeps_refusals(
    run: Run, no_making: list[Recipe]
) -> None:
    code, out, _ = run(
        "sweep", TASK, "--prune", "0,0.5,0.5", "--quantize", "int8,FP32", "--seed", 3, "--json"
    )
    assert code == 0
    assert [r.words() for r in no_making] == [
        "INT8", "original, FP32", "prune 50 % of channels, INT8", "prune 50 % of channels",
    ]  # fmt: skip
    assert {r.seed for r in no_making} == {3}
    refused = [record["refusal"] for record in json.loads(out)]
    assert [r is None for r in refused] == [True, True, False, False]


def test_options_and_recipe_file_mean_the_same(
    run: Run, no_making: list[Recipe], tmp_path: Path
) -> None:
    wanted = recipe_of(precision="int8", fuse=True, seed=7)
    file = tmp_path / "recipe.yaml"
    file.write_text(wanted.to_yaml())
    assert run("run", TASK, "--quantize", "int8", "--fuse", "--seed", 7)[0] == 0
    assert run("run", TASK, "--recipe", file)[0] == 0
    assert no_making == [wanted, wanted]


def test_a_refusal_is_one_sentence_and_exit_code_2(run: Run, no_making: list[Recipe]) -> None:
    code, out, error = run("run", TASK, "--prune", 0.5)
    assert (code, out) == (2, "")
    assert error == "edge-optim: Nothing can be pruned here. Leave prune out.\n"


def test_a_run_in_the_background_is_a_job_that_can_be_listed_and_cancelled(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workspace, "ensure_worker", lambda self: None)
    code, out, _ = run("run", TASK, "--prune", 0.5, "--background", "--json")
    job = json.loads(out)
    assert code == 0
    assert job["state"] == "queued"
    assert json.loads(run("jobs", "--json")[1])["jobs"][0]["id"] == job["id"]
    assert "prune 50 % of channels" in run("jobs")[1]
    assert json.loads(run("cancel", job["id"], "--json")[1])["state"] == "cancelled"
    assert "had ended already (cancelled)" in run("cancel", job["id"])[1]


def test_tasks_are_listed_with_data_and_licence(run: Run) -> None:
    _, out, _ = run("tasks", "--json")
    squeezenet = next(task for task in json.loads(out) if task["name"] == TASK)
    assert squeezenet["data"]["licence"] == "MIT"
    assert len(squeezenet["labels"]) == 10
    assert TASK in run("tasks")[1]


def test_a_worker_without_work_ends_when_told_to(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("worker", "--idle-exit", 0, "--json")
    assert code == 0
    assert json.loads(out) == {"workspace": str(tmp_path / "workspace"), "worked": True}


def test_a_worker_ends_politely_on_sigterm(tmp_path: Path) -> None:
    JobQueue(tmp_path).live()  # makes the store
    process = subprocess.Popen(
        [sys.executable, "-m", "optim", "--workspace", str(tmp_path), "worker"],
        stdout=subprocess.PIPE,
    )
    while not (tmp_path / "worker.lock").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process.communicate()


def test_the_progress_bar_is_one_line_that_reaches_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from optim.cli.output import progress_bar

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("4 candidates") as progress:
        progress(0.25, "INT8: quantizing")
        progress(0.1, "never backwards")
        progress(1.0, "INT8: done")
    text = terminal.getvalue()
    assert text.count("\n") == 1
    assert "4 candidates" in text
    assert "25%" in text
    assert "100%" in text


def test_version_and_module_agree_with_the_distribution() -> None:
    import optim

    process = subprocess.run(
        [sys.executable, "-m", "optim", "--version"], capture_output=True, text=True, check=True
    )
    assert process.stdout == f"edge-optim, version {optim.__version__}\n"
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    assert f'version = "{optim.__version__}"' in project


# --- any ONNX file --------------------------------------------------------------------------------
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
    (tmp_path / "words.onnx").write_text("not a model")
    constant_answer(tmp_path / "seven.onnx", classes=7)
    outside = constant_answer(tmp_path / "outside.onnx", classes=10)
    onnx.save(
        onnx.load(outside), outside, save_as_external_data=True, location="x.bin", size_threshold=0
    )
    for name, words in (
        ("words", "not a readable ONNX model"),
        ("seven", "one logit for each of the 10 classes"),
        ("outside", "keeps its weights in other files"),
    ):
        code, out, error = run(
            "measure", tmp_path / f"{name}.onnx", "--task", TASK, "--workspace", measured
        )
        assert (code, out) == (2, "")
        assert words in error
        assert is_one_sentence_for_people(error)


# --- wrong input ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "fashion-resnt"], "Did you mean 'fashion-resnet'?"),
        (["run", "x" * 5000], "there is no task"),
        (["run", TASK, "--prune", "1.0"], "at most 0.95, got 1.0. A layer needs"),
        (["run", TASK, "--prune", "nan"], "at most 0.95, got nan"),
        (["run", TASK, "--prune", "half"], "'half' is not a valid float"),
        (["run", TASK, "--quantize", "3"], "'3' is not one of 'fp32', 'fp16', 'int8', 'int4'"),
        (["run", TASK, "--prune", "0.5", "--epochs", "-1"], "epochs must be between 0 and 200"),
        (["run", TASK, "--seed", "-1"], "seed must be a whole number from 0"),
        (["run", TASK, "--recipe", "/nowhere/r.yaml"], "does not exist"),
        (["run", TASK, "--recipe", __file__, "--prune", "0.5"], "--prune may not stand beside"),
        (["run"], "Missing argument 'TASK'"),
        (["sweep", TASK, "--prune", "0,half"], "must be numbers such as 0.5; got 'half'"),
        (["sweep", TASK, "--prune", ","], "needs a pruning ratio"),
        (["sweep", TASK, "--quantize", "int3"], "precision must be one of fp32"),
        (["front", TASK, "--max-drop", "-1"], "'--max-drop'"),
        (["export", "nobody", "--to", "x"], "there is no candidate 'nobody'"),
        (["cancel", "nobody"], "there is no job 'nobody'"),
        (["measure", "/nowhere.onnx", "--task", TASK], "does not exist"),
        (["dashboard", "--port", "0"], "'--port'"),
        (["dashboard", "--host", "0.0.0.0"], "listens on this machine alone"),
        (["simplify"], "No such command 'simplify'"),
    ],
)
def test_wrong_input_gets_one_sentence_and_exit_code_2(
    run: Run, words: list[str], sentence: str
) -> None:
    code, out, error = run(*words)
    assert (code, out) == (2, "")
    assert sentence in error
    assert is_one_sentence_for_people(error)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("steps: [{step: prune, ratio: 0.5, magic: 1}]", "unknown key 'magic'"),
        ("steps: [{step: melt}]", "each step needs 'step: NAME'"),
        ("steps: [{step: prune, ratio: 1.0}]", "try 0.9"),
        ("!!python/object/apply:os.system ['true']", "not readable YAML"),
        ("a: &a [1]\nb: *a", "may not use YAML aliases"),
        ("just words", "must be a table"),
        ("x: " + "y" * 70_000, "may have 64 KB"),
        ("\udcff\udcfe", "not text in UTF-8"),
    ],
)
def test_a_broken_recipe_file_gets_one_sentence(
    run: Run, tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    code, out, error = run("run", TASK, "--recipe", file)
    assert (code, out) == (2, "")
    assert sentence in error
    assert is_one_sentence_for_people(error)


@pytest.mark.parametrize("command", [("candidates", TASK), ("run", TASK), ("jobs",), ("worker",)])
def test_a_read_only_workspace_gets_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, out, error = run(*command)
    assert (code, out) == (2, "")
    assert re.search(r"the folder \S+ cannot be written\. Choose another workspace", error)
    assert is_one_sentence_for_people(error)


def test_a_workspace_that_is_a_file_gets_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, error = run("candidates", TASK, "--workspace", tmp_path / "file")
    assert code == 2
    assert is_one_sentence_for_people(error)


def test_a_full_disk_gets_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, out, error = run("run", TASK, "--quantize", "int8")
    assert (code, out) == (2, "")
    assert "is full. Free some space, then try again" in error
    assert is_one_sentence_for_people(error)


def test_a_workspace_of_a_newer_version_gets_one_sentence(run: Run, tmp_path: Path) -> None:
    with closing(connect(tmp_path)) as store:
        store.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    code, out, error = run("jobs", "--workspace", tmp_path)
    assert (code, out) == (2, "")
    assert "was written by a newer version of edge-optim" in error
    assert is_one_sentence_for_people(error)


def test_a_damaged_store_gets_one_sentence(run: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / STORE_NAME)) as other:
        other.execute("CREATE TABLE notes (text)")
    code, _, error = run("candidates", TASK, "--workspace", tmp_path)
    assert code == 2
    assert is_one_sentence_for_people(error)


def test_a_port_in_use_gets_one_sentence(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, error = run("dashboard", "--port", port, "--no-browser", "--json")
    assert (code, out) == (2, "")
    assert f"port {port} is in use" in error
    assert is_one_sentence_for_people(error)


def test_ctrl_c_ends_with_130_and_keeps_what_is_finished(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Workspace, "make", interrupted)
    code, out, error = run("run", TASK)
    assert (code, out) == (130, "")
    assert error.strip() == "Stopped. What was finished is kept."


def test_a_mistake_in_edge_optim_itself_is_not_taken_for_wrong_input(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Workspace, "make", broken)
    with pytest.raises(ValueError, match="a bug"):
        run("run", TASK)


def test_the_workspace_is_named_by_command_group_or_environment(run: Run, tmp_path: Path) -> None:
    JobQueue(tmp_path / "other").submit(JobKind.MEASURE, "key", {}, "a job of the other one")
    assert "a job of the other one" in run("jobs", "--workspace", tmp_path / "other")[1]
    assert "a job of the other one" in run("--workspace", tmp_path / "other", "jobs")[1]
    assert "There is no job." in run("jobs")[1]
    assert (tmp_path / "workspace" / STORE_NAME).exists()
