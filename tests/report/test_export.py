"""A folder to take away: whole, true, and enough to run the model without us."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import optim
from optim.artifact import Artifact, sha256_of, store_artifact
from optim.candidate import Candidate
from optim.errors import BrokenArtifactError, OptimError, Refusal
from optim.recipe import Activations, Precision, Quantize, Recipe, recipe_of
from optim.report.export import export_candidate
from optim.task.datasets import load_split
from optim.task.task import Task, load_task
from tests.dashboard.factories import candidate

FILES = ("model.onnx", "recipe.yaml", "card.json", "README.txt")


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("fashion-squeezenet")


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """A linear network that answers the class of the brightest of ten pixels."""
    weight = np.zeros((784, 10), np.float32)
    weight[range(10), range(10)] = 1.0
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return store_artifact(model.SerializeToString(), tmp_path / "artifacts")


@pytest.fixture
def made(artifact: Artifact) -> Candidate:
    recipe = recipe_of(pruning_ratio=0.5, precision="int8")
    return replace(candidate(recipe, speedup=10.9, lost=69, better=62), artifact=artifact)


def test_the_folder_holds_four_files(made: Candidate, task: Task, tmp_path: Path) -> None:
    written = export_candidate(made, task, tmp_path / "new" / "model")
    assert tuple(path.name for path in written) == FILES
    assert sorted(p.name for p in (tmp_path / "new" / "model").iterdir()) == sorted(FILES)
    assert made.artifact is not None
    assert written[0].read_bytes() == made.artifact.path.read_bytes()
    assert Recipe.from_text(written[1].read_text(encoding="utf-8")) == made.recipe


def test_the_card_holds_hashes_figures_and_what_a_device_needs(
    made: Candidate, task: Task, tmp_path: Path
) -> None:
    model, recipe, card, _ = export_candidate(made, task, tmp_path / "model")
    said = json.loads(card.read_text(encoding="utf-8"))
    for path in (model, recipe):
        assert said["files"][path.name]["sha256"] == sha256_of(path.read_bytes())
    assert made.score is not None
    assert made.latency is not None
    assert said["accuracy"]["value"] == made.score.value
    assert said["accuracy"]["difference_interval"] == list(made.score.difference_interval)
    assert said["latency"]["speedup_interval"] == list(made.latency.speedup_interval)
    assert said["latency"]["busyness"] == made.latency.system_load
    assert said["latency"]["environment"]["cpu"] == made.latency.environment.cpu
    assert said["labels"] == list(task.labels)
    assert said["input"]["shape"] == [1, 28, 28]
    assert said["licence"] == {"network": "Apache-2.0", "data": "MIT"}
    assert said["edge_optim"] == optim.__version__
    assert str(tmp_path) not in card.read_text(encoding="utf-8"), (
        "a card must not name folders of this machine"
    )


def test_the_same_candidate_gives_the_same_bytes(
    made: Candidate, task: Task, tmp_path: Path
) -> None:
    first = export_candidate(made, task, tmp_path / "a")
    second = export_candidate(made, task, tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def program_of(readme: str) -> str:
    """The indented program in README.txt."""
    lines = readme.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip() == "import json")
    end = next(i for i, line in enumerate(lines) if i > start and line.startswith("To make"))
    return "\n".join(line.removeprefix("    ") for line in lines[start:end])


@pytest.mark.parametrize("activations", [Activations.UINT8, Activations.FLOAT])
def test_the_program_in_the_readme_runs_without_us(
    made: Candidate, task: Task, tmp_path: Path, activations: Activations
) -> None:
    weights = Quantize(precision=Precision.INT4, activations=activations)
    made = replace(made, recipe=recipe_of(quantize=weights))
    export_candidate(made, task, tmp_path / "model")
    program = program_of((tmp_path / "model" / "README.txt").read_text(encoding="utf-8"))
    assert len(program.strip().splitlines()) <= 11
    # Where activations are integers too, this option would make the file slow.
    assert ("disable_quant_qdq" in program) == (activations is Activations.FLOAT)
    zeros = 'np.zeros([1, *card["input"]["shape"]], np.float32)'
    assert zeros in program
    brightest = program.replace(zeros, "np.eye(1, 784, 7, dtype=np.float32).reshape(1, 1, 28, 28)")
    process = subprocess.run(
        [sys.executable, "-I", "-c", brightest],
        cwd=tmp_path / "model", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert process.stdout.strip() == "Sneaker"


def test_the_readme_says_the_figures_and_how_to_make_it_again(
    made: Candidate, task: Task, tmp_path: Path
) -> None:
    export_candidate(made, task, tmp_path)
    readme = (tmp_path / "README.txt").read_text(encoding="utf-8")
    for words in (
        "prune 50 % of channels, INT8",
        "93.31 %",
        "-0.69 points against the original",
        "as fast as the original",
        "AMD EPYC",
        "edge-optim run fashion-squeezenet --recipe recipe.yaml",
        "(pixel / 255 - 0.2860) / 0.3530",
        "Apache-2.0",
    ):
        assert words in readme, words
    assert max(map(len, readme.splitlines())) <= 140


def test_what_was_not_measured_is_said_and_not_invented(
    made: Candidate, task: Task, tmp_path: Path
) -> None:
    export_candidate(replace(made, latency=None, score=None), task, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert card["latency"] is None
    assert card["accuracy"] is None
    assert "not measured on this machine" in (tmp_path / "README.txt").read_text(encoding="utf-8")


def test_a_recorded_accuracy_is_called_recorded(
    made: Candidate, task: Task, tmp_path: Path
) -> None:
    recorded = candidate(made.recipe, recorded=True).score
    export_candidate(replace(made, score=recorded), task, tmp_path)
    assert (
        json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))["accuracy"]["recorded"]
        is True
    )
    assert "recorded when the file was made" in (tmp_path / "README.txt").read_text(
        encoding="utf-8"
    )


def test_the_numbers_in_the_card_prepare_a_pixel_as_the_test_split_does(
    made: Candidate, task: Task, tmp_path: Path
) -> None:
    export_candidate(made, task, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))["input"]
    black = (0 - card["mean"][0]) / card["deviation"][0]
    assert load_split("fashion-mnist", "test").inputs.min() == pytest.approx(black, abs=1e-6)


def test_a_candidate_without_a_file_is_answered_with_the_reason(
    made: Candidate, task: Task, tmp_path: Path
) -> None:
    refusal = Refusal(reason="It has no layers.", remedy="Give it some.")
    with pytest.raises(OptimError, match=r"no model file to export\. It was refused: It has no"):
        export_candidate(replace(made, artifact=None, refusal=refusal), task, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_changed_file_is_not_exported(
    made: Candidate, artifact: Artifact, task: Task, tmp_path: Path
) -> None:
    artifact.path.write_bytes(b"something else")
    with pytest.raises(BrokenArtifactError, match="its hash differs"):
        export_candidate(made, task, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(
    made: Candidate, task: Task, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OptimError, match=r"cannot be made: .*\. Choose another folder"):
        export_candidate(made, task, tmp_path / "file" / "below")
