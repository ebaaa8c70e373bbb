"""A task of each kind goes down the whole line: made, quantized, measured, compared, drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboard.charts.objectives.three_objectives import three_objectives_figure
from dashboard.charts.pareto.pareto import pareto_figure
from dashboard.words import words
from optim.cli import cli
from optim.errors import RefusedError
from optim.recipe import Precision, Prune, Quantize, Recipe, recipe_of
from optim.search.pareto import Objective, ranked_front
from optim.task.metric import METRICS
from optim.workspace import Workspace
from tests.own_tasks import KINDS, own_task

EXPECTED = {
    "labels": "accuracy",
    "no labels": "agreement",
    "no classes": "sqnr",
    "numbers": "mae",
    "two inputs": "sqnr",
}
INT8 = recipe_of(precision="int8")
DYNAMIC = Recipe(steps=(Quantize(activations="dynamic"),))


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def workspace(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    opened = Workspace(tmp_path_factory.mktemp("workspace"))
    task = own_task(opened.path, kind)
    for recipe in (
        Recipe(),
        INT8,
        recipe_of(precision="int4"),
        recipe_of(precision="fp16"),
        DYNAMIC,
    ):
        opened.make(task.name, recipe)
    return opened


@pytest.fixture
def name(kind: str) -> str:
    return kind.replace(" ", "-")


def test_it_is_listed_after_the_samples(workspace: Workspace, kind: str, name: str) -> None:
    assert [task.name for task in workspace.tasks()][-1] == name
    assert workspace.task(name).metric is METRICS[EXPECTED[kind]]


def test_every_precision_is_measured_and_compared_with_the_original(
    workspace: Workspace, kind: str, name: str
) -> None:
    made = workspace.candidates(name)
    assert len(made) == 5
    original, int8 = made[0], workspace.candidate_of(name, INT8)
    assert int8 is not None
    for candidate in made:
        assert candidate.measured, candidate.words()
        assert candidate.score is not None
        assert candidate.score.metric == EXPECTED[kind]
        assert candidate.score.n == 60
        low, high = candidate.score.interval
        assert low - 1e-9 <= candidate.score.value <= high + 1e-9
    assert original.score is not None
    assert int8.score is not None
    assert (original.score.difference, original.score.changed) == (0.0, 0)
    assert original.score.tied_with_baseline
    assert int8.score.value == pytest.approx(original.score.value + int8.score.difference)
    assert int8.artifact is not None
    assert original.artifact is not None
    assert int8.score.baseline_sha256 == original.artifact.sha256


def test_files_with_fewer_bits_are_worse_where_the_metric_can_tell(
    workspace: Workspace, kind: str, name: str
) -> None:
    drops = {c.recipe.precision: c.score.drop for c in workspace.candidates(name) if c.score}
    if EXPECTED[kind] == "sqnr":
        assert 0 < drops[Precision.FP16] < drops[Precision.INT4]
    assert drops[Precision.FP32] == 0


def test_training_is_refused_with_the_reason_and_kept_as_a_row(
    workspace: Workspace, name: str
) -> None:
    recipe = Recipe(steps=(Prune(ratio=0.5, epochs=0),))
    with pytest.raises(RefusedError, match=r"came as the ONNX file model\.onnx"):
        workspace.make(name, recipe)
    row = workspace.candidate_of(name, recipe)
    assert row is not None
    assert row.refusal is not None
    assert row.artifact is None


def test_the_charts_say_metric_unit_and_direction(
    workspace: Workspace, kind: str, name: str
) -> None:
    metric = METRICS[EXPECTED[kind]]
    front = ranked_front(workspace.candidates(name), tuple(Objective))
    figure = pareto_figure(front)
    title = figure.layout.yaxis.title.text
    assert metric.title in title
    assert metric.unit in title
    assert ("higher is better ↑" if metric.higher_is_better else "lower is better ↑") in title
    hovers = [
        row for trace in figure.data if trace.customdata is not None for row in trace.customdata
    ]
    assert any(metric.title.lower() in str(row).lower() for row in hovers)
    for chart in ("matrix", "3d", "parallel"):
        assert metric.title in str(three_objectives_figure(front, chart).to_dict())


def test_what_is_said_of_a_candidate_has_the_unit(
    workspace: Workspace, kind: str, name: str
) -> None:
    found = workspace.candidate_of(name, INT8)
    assert found is not None
    score = found.score
    assert score is not None
    assert words.score(score).endswith(METRICS[EXPECTED[kind]].unit)
    assert "(95 % interval, n = 60)" in words.score_interval(score)
    assert ("points" in words.versus_baseline(found, None)) is (kind in ("labels", "no labels"))


def test_the_command_line_lists_tasks_and_candidates_with_the_metric(
    workspace: Workspace, kind: str, name: str
) -> None:
    run = CliRunner()
    folder = str(workspace.path)
    listed = run.invoke(cli, ["tasks", "--workspace", folder])
    assert name in listed.output
    rows = run.invoke(cli, ["candidates", name, "--workspace", folder])
    assert rows.exit_code == 0, rows.output
    assert METRICS[EXPECTED[kind]].unit in rows.output
    told = json.loads(run.invoke(cli, ["candidates", name, "--workspace", folder, "--json"]).output)
    assert {row["accuracy"]["metric"] for row in told if row["accuracy"]} == {EXPECTED[kind]}


def test_a_candidate_is_exported(workspace: Workspace, name: str, tmp_path: Path) -> None:
    found = workspace.candidate_of(name, INT8)
    assert found is not None
    workspace.export(found.id, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert card["task"]["name"] == name
    assert card["accuracy"]["n"] == 60
