"""What docs/adding.md adds is there, with nothing touched but the files it lists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 60

KNOWS_THE_FIELD = """
import pytest
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from dashboard.state.chosen import Chosen, chosen_in, shown_for
from dashboard.state.settings import Settings, settings_of
from dashboard.words.glossary import what_is
from dashboard.words.step_words import sentence
from optim.cli import cli
from optim.recipe import Quantize, Recipe, Sparsify
from optim.report.commands import command_line, python_code
from optim.task.task import load_task

TASK = load_task("motion-cnn")
STEP = Sparsify(sparsity=0.8, keep_first=True)
RECIPE = Recipe(steps=(STEP,))

# checks
with pytest.raises(ValueError, match="sparsify keep_first must be true or false"):
    Sparsify(keep_first="yes")
# reading and writing; a recipe that does not use it is what it was
assert Recipe.from_text(RECIPE.to_yaml()) == RECIPE
assert RECIPE.to_dict()["version"] == 2
plain = Recipe(steps=(Sparsify(),))
assert plain.to_dict()["version"] == 1
assert "keep_first" not in plain.to_yaml()
assert plain.fingerprint == "FINGERPRINT"
assert RECIPE.fingerprint != Recipe(steps=(Sparsify(sparsity=0.8),)).fingerprint
# the option, what it refuses, and the commands that say it
runner = CliRunner()
assert "--keep-first" in runner.invoke(cli, ["run", "--help"]).output
refused = runner.invoke(cli, ["run", "motion-cnn", "--keep-first"])
assert refused.exit_code == 2
assert "--keep-first says how weights become zero" in refused.output
line = command_line(TASK, RECIPE)
assert "--sparsity 0.8 --keep-first" in line, line
assert "keep_first=True" in python_code(TASK, RECIPE)
# the words
assert RECIPE.words() == "80 % of weights zero but in the first layer"
assert sentence(STEP).endswith("; the first layer stayed dense."), sentence(STEP)
assert "sees the input itself" in what_is("First layer stays dense")
# the link, and the settings in both directions
chosen = Chosen.of("sparsify", keep_first=True)
assert chosen_in({"keep_first": True}, "sparsify") == chosen
assert shown_for(chosen, "sparsify")["keep_first"] is True
said = Settings(prune=0, sparsity=80, chosen=chosen)
made = said.recipe(TASK)
assert made.step(Sparsify).keep_first
assert settings_of(made, TASK).recipe(TASK) == made


# the control, from a link
page = AppTest.from_string(
    "from dashboard.form.widgets import draw_fields\\n"
    "from optim.recipe import Sparsify\\n"
    "draw_fields('sparsify', Sparsify)"
)
page.query_params["keep_first"] = "true"
page.run()
assert not page.exception, page.exception
(toggle,) = page.toggle
assert (toggle.label, toggle.value) == ("First layer stays dense", True)
print("all of it")
"""

KNOWS_THE_STEP = """
import sys
from pathlib import Path

import onnx

import optim
from dashboard.words.step_words import sentence
from optim.pipeline.make import file_of
from optim.recipe import Recipe
from optim.report.commands import command_line
from optim.store.results import Results
from optim.task.task import load_task

TASK = load_task("motion-cnn")
RECIPE = Recipe(steps=(optim.Strip(metadata=True), optim.Quantize()))
assert Recipe.from_text(RECIPE.to_yaml()) == RECIPE
assert RECIPE.words() == "strip with metadata, INT8"
assert sentence(RECIPE.steps[0]) == "Notes that no engine reads were taken out of the file."
assert command_line(TASK, RECIPE).endswith("--recipe recipe.yaml")
alone = Recipe(steps=RECIPE.steps[:1])
stripped = onnx.load_from_string(file_of(Results(Path(sys.argv[1])), TASK, alone))
assert stripped.graph.node
assert not any(node.doc_string for node in stripped.graph.node)
assert not stripped.metadata_props
print("all of it")
"""


KNOWS_THE_ENGINE = """
import sys
from pathlib import Path

import numpy as np
import pytest

from optim.analysis.analyses import analyse
from optim.cli import run_command_line
from optim.devices.target import Target
from optim.errors import RefusedError
from optim.measure.latency import measure
from optim.pipeline.make import make_candidate
from optim.pipeline.reference import prepare_reference
from optim.recipe import recipe_of
from optim.store.analyses import AnalysisKind
from optim.store.results import Results
from optim.task.task import load_task

TASK, TARGET = load_task("motion-cnn"), Target(engine="reference")
RESULTS = Results(Path(sys.argv[1]))
made = make_candidate(RESULTS, TASK, recipe_of(precision="fp16"))
original = prepare_reference(RESULTS, TASK, TARGET).artifact
example = np.ascontiguousarray(TASK.split("calibration").inputs[:1])
latency = measure(
    made.artifact, original, TARGET, example=example, rounds=3, budget_s=0.1, max_restarts=0
)
RESULTS.add_latency(made.id, latency)
found = RESULTS.candidate(made.id, TARGET.fingerprint)
assert found.latency_on(TARGET).p50_ms == latency.p50_ms
assert found.latency_on(Target()) is None
with pytest.raises(RefusedError, match="ONNX reference does not tell the times of operators"):
    analyse(RESULTS, TASK, found, AnalysisKind.PROFILE, TARGET)
words = ["--workspace", sys.argv[1], "candidates", "motion-cnn", "--engine", "reference"]
assert run_command_line(words) == 0
print("all of it")
"""


KNOWS_THE_METRIC = """
import json
import sys
from dataclasses import replace
from pathlib import Path

from dashboard.charts.pareto.pareto import pareto_figure
from dashboard.words import words
from dashboard.words.glossary import what_is
from optim.cli import run_command_line
from optim.recipe import Recipe, recipe_of
from optim.search.pareto import Objective, ranked_front
from optim.task.card import read_card
from optim.task.metric import METRICS
from optim.workspace import Workspace
from tests.own_tasks import own_task

WORKSPACE = Workspace(Path(sys.argv[1]))
path = own_task(WORKSPACE.path, "labels").folder / "card.json"
path.write_text(json.dumps({**json.loads(path.read_text()), "metric": "top3"}))
original, int8 = (WORKSPACE.make("labels", r) for r in (Recipe(), recipe_of(precision="int8")))
assert original.score.metric == int8.score.metric == "top3"
assert original.score.correct > original.score.n * 0.8
assert WORKSPACE.predictions_of(int8.id).shape == (60, 3)
low, high = int8.score.difference_interval
assert low <= int8.score.difference <= high
assert words.score(int8.score).endswith(" %")
assert what_is(METRICS["top3"].title)
front = ranked_front(WORKSPACE.candidates("labels"), tuple(Objective))
title = pareto_figure(front).layout.yaxis.title.text
assert title == "Accuracy of the best three, % of 60 (higher is better ↑)", title
assert run_command_line(["--workspace", sys.argv[1], "candidates", "labels"]) == 0
print("all of it")
"""


def written_diff(section: str) -> str:
    text = (ROOT / "docs" / "adding.md").read_text().partition(f"## {section}\n")[2]
    found = re.search(r"```diff\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def changed_copy(folder: Path, section: str) -> Path:
    """A copy of both packages with the change."""
    for package in ("optim", "dashboard"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (folder / "sample_models").symlink_to(ROOT / "sample_models")
    diff = written_diff(section)
    subprocess.run(["git", "apply", "-"], cwd=folder, input=diff, text=True, check=True)
    return folder


def run_in(copy: Path, code: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", code, str(copy / "workspace")],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return process.stdout.strip()


@pytest.mark.parametrize(
    ("section", "files"),
    [
        (
            "A new field of a step",
            [
                "optim/compress/sparsity/sparsify.py",
                "optim/recipe/fields.py",
                "optim/recipe/training_steps.py",
            ],
        ),
        (
            "A new step",
            [
                "dashboard/words/step_words.py",
                "optim/__init__.py",
                "optim/graph/strip.py",
                "optim/pipeline/make.py",
                "optim/recipe/__init__.py",
                "optim/recipe/fields.py",
                "optim/recipe/graph_steps.py",
                "optim/recipe/step_words.py",
                "optim/recipe/steps.py",
                "optim/search/predict.py",
            ],
        ),
        (
            "A new engine",
            ["optim/engines/__init__.py", "optim/engines/reference.py"],
        ),
        ("A new metric", ["dashboard/words/glossary.py", "optim/task/metric.py"]),
    ],
)
def test_each_addition_is_a_short_list_of_files(section: str, files: list[str]) -> None:
    diff = written_diff(section)
    changed = [line for line in diff.splitlines() if re.match(r"[+-](?!(\+\+|--) )", line)]
    assert len(changed) < MOST_LINES
    assert sorted(re.findall(r"^\+\+\+ b/(\S+)", diff, re.MULTILINE)) == files


def test_a_new_field_is_known_everywhere_by_its_description(tmp_path: Path) -> None:
    from optim.recipe import Recipe, Sparsify

    before = Recipe(steps=(Sparsify(),)).fingerprint
    copy = changed_copy(tmp_path, "A new field of a step")
    assert run_in(copy, KNOWS_THE_FIELD.replace("FINGERPRINT", before)) == "all of it"


def test_a_new_step_makes_a_file_and_has_its_words(tmp_path: Path) -> None:
    copy = changed_copy(tmp_path, "A new step")
    assert run_in(copy, KNOWS_THE_STEP) == "all of it"


def test_a_new_engine_measures_after_its_file_and_its_line(tmp_path: Path) -> None:
    copy = changed_copy(tmp_path, "A new engine")
    assert run_in(copy, KNOWS_THE_ENGINE).endswith("all of it")


def test_a_new_metric_is_measured_compared_and_drawn(tmp_path: Path) -> None:
    copy = changed_copy(tmp_path, "A new metric")
    (copy / "tests").symlink_to(ROOT / "tests")
    assert run_in(copy, KNOWS_THE_METRIC).endswith("all of it")
