"""What the commands do: figures of a real run, stable keys, jobs."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from optim.jobs.queue import JobQueue
from optim.recipe import Prune, QuantizeAware, Recipe, recipe_of
from optim.task.task import load_task
from optim.workspace import Workspace
from tests.cli.conftest import TASK, Run

RECORD_KEYS = {
    "id", "task", "words", "role", "recipe", "fingerprint", "starter", "created", "seconds",
    "file", "graph", "accuracy", "latency", "refusal",
}  # fmt: skip


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
    known = json.loads(run("candidates", TASK, "--workspace", measured, "--json")[1])
    everyone = json.loads(run("front", TASK, "--workspace", measured, "--json")[1])
    sorted_ids = [c["id"] for c in everyone["front"] + everyone["tied"]] + everyone["dominated"]
    assert sorted(sorted_ids) == sorted(c["id"] for c in known)
    sizes = {c["id"]: c["file"]["size_bytes"] for c in known}
    least = min(sizes.values())
    smallest = {name for name, size in sizes.items() if size == least}
    assert smallest & {c["id"] for c in everyone["front"]}
    limit = (least + 1) / 1e6
    _, out, _ = run("front", TASK, "--workspace", measured, "--max-mb", limit, "--json")
    limited = json.loads(out)
    named = {c["id"] for c in limited["front"] + limited["tied"]} | set(limited["dominated"])
    assert named == smallest
    assert limited["front"]
    assert set(limited["out_of_limits"]) == set(sizes) - smallest


def test_limits_that_nobody_keeps_are_answered_in_words(run: Run, measured: Path) -> None:
    code, out, _ = run("front", TASK, "--workspace", measured, "--max-mb", 0.000001)
    assert code == 0
    assert "No measured candidate keeps the limits. The nearest" in out


def test_an_empty_workspace_says_what_to_do(run: Run) -> None:
    for command in ("front", "candidates"):
        code, out, _ = run(command, TASK)
        assert code == 0
        assert f"edge-optim prebuilt {TASK}" in out


def test_candidates_come_as_table_and_as_data(run: Run, measured: Path) -> None:
    _, table, _ = run("candidates", TASK, "--workspace", measured)
    _, out, _ = run("candidates", TASK, "--workspace", measured, "--json")
    records = json.loads(out)
    assert [set(record) for record in records] == [RECORD_KEYS] * len(records)
    assert records[0]["role"] == "baseline"
    *lines, last = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [record["id"] for record in records]
    assert last.startswith("Latency measured on ")
    assert last.endswith(", 1 thread.")


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
        "sweep",
        TASK,
        "--prune",
        "0,0.5,0.5",
        "--quantize",
        "int8,FP32",
        "--epochs",
        1,
        "--seed",
        3,
        "--json",
    )
    assert code == 0
    assert [r.words() for r in no_making] == [
        "INT8",
        "original, FP32",
        "prune 50 % of channels by Taylor, INT8",
        "prune 50 % of channels by Taylor",
    ]  # fmt: skip
    assert {r.seed for r in no_making} == {3}
    refused = [record["refusal"] for record in json.loads(out)]
    assert [r is None for r in refused] == [True, True, False, False]


def test_without_epochs_fine_tuning_takes_what_suits_the_task(
    run: Run, no_making: list[Recipe]
) -> None:
    run("sweep", "motion-cnn", "--prune", 0.5, "--quantize", "fp32")
    run("run", "motion-cnn", "--prune", 0.5, "--epochs", 2)
    steps = [recipe.step(Prune) for recipe in no_making]
    suits = load_task("motion-cnn").fine_tuning_epochs
    assert [step.epochs for step in steps if step is not None] == [suits, 2.0]


def test_options_and_recipe_file_mean_the_same(
    run: Run, no_making: list[Recipe], tmp_path: Path
) -> None:
    wanted = recipe_of(precision="int8", fuse=True, seed=7)
    file = tmp_path / "recipe.yaml"
    file.write_text(wanted.to_yaml(), encoding="utf-8")
    assert run("run", TASK, "--quantize", "int8", "--fuse", "--seed", 7)[0] == 0
    assert run("run", TASK, "--recipe", file)[0] == 0
    assert no_making == [wanted, wanted]


def test_training_on_the_grid_is_for_the_bits_of_the_file(
    run: Run, no_making: list[Recipe]
) -> None:
    run("run", TASK, "--quantize", "INT4", "--qat-epochs", 0.5, "--learned-scales")
    run("run", TASK, "--quantize", "int8", "--qat-epochs", 1, "--no-distill")
    four, eight = (recipe.step(QuantizeAware) for recipe in no_making)
    assert four == QuantizeAware(weight_bits=4, epochs=0.5, learned_scales=True)
    assert eight == QuantizeAware(weight_bits=8, distill=False)


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
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{optim.__version__}"' in project
