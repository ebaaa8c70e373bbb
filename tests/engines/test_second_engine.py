"""A second engine is its own file and a line in the table; everything else works with both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard.loaders
from dashboard.charts.pareto.pareto import pareto_figure
from dashboard.state import keys as state
from optim.analysis.diagnosis import diagnose_candidate
from optim.analysis.placement import place
from optim.cli import run_command_line
from optim.devices.target import Target
from optim.engines import ENGINES
from optim.engines.profile import FloatReason
from optim.recipe import Activations, Quantize, Recipe, recipe_of
from optim.search.pareto import Objective, ranked_front
from optim.store.analyses import AnalysisKind
from optim.task.task import load_task
from optim.workspace import Workspace
from tests.engines.second_engine import ENTRY, PAUSE_S

TASK = "motion-cnn"
INT8 = recipe_of(precision="int8")


@pytest.fixture(scope="module", autouse=True)
def in_the_table():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, "slow", ENTRY)
        yield


@pytest.fixture(scope="module")
def slow():
    return Target(engine="slow")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, slow):
    """The original and its INT8 file, measured on both engines."""
    folder = Workspace(tmp_path_factory.mktemp("workspace"))
    for each in (folder, folder.on(slow)):
        for recipe in (Recipe(), INT8):
            each.make(TASK, recipe)
    return folder


def test_a_candidate_has_figures_on_each_target(workspace, slow):
    for recipe in (Recipe(), INT8):
        here, there = (each.candidate_of(TASK, recipe) for each in (workspace, workspace.on(slow)))
        assert here.latency_on(Target()).p50_ms < 1000 * PAUSE_S <= here.latency_on(slow).p50_ms
        assert here.latency.environment == workspace.environment
        assert there.latency.environment == workspace.on(slow).environment
        assert here.latency.environment.fingerprint != there.latency.environment.fingerprint
        assert there.latency_on(Target()).p50_ms == here.latency.p50_ms
        assert here.latency_on(Target(engine="slow", batch=2)) is None


def test_each_target_compares_with_the_original_on_the_same_engine(workspace, slow):
    quick, idle = (
        each.candidate_of(TASK, INT8).latency.speedup for each in (workspace, workspace.on(slow))
    )
    assert idle == pytest.approx(1, abs=0.2)  # the pause is most of the time of both files
    assert quick != idle


def test_it_is_profiled_under_its_own_target(workspace, slow):
    name = workspace.candidate_of(TASK, INT8).id
    there = workspace.on(slow).analyse(name, AnalysisKind.PROFILE)
    assert there.operators[-1].kernel == "Pause"
    assert workspace.analysis_of(name, AnalysisKind.PROFILE) is None
    here = workspace.analyse(name, AnalysisKind.PROFILE)
    assert "Pause" not in {operator.kernel for operator in here.operators}
    assert workspace.on(slow).analysis_of(name, AnalysisKind.PROFILE) == there


def test_it_is_explained_in_its_own_words(workspace, slow):
    candidate = workspace.on(slow).candidate_of(TASK, INT8)
    signed = replace(candidate, recipe=Recipe(steps=(Quantize(activations=Activations.INT8),)))
    found = workspace.on(slow).analyse(candidate.id, AnalysisKind.PROFILE)
    stuck = replace(
        found.operators[0], kernel="Erf", operator="Gelu", precision="fp32", overhead=False,
        reason="no kernel", code=FloatReason.NO_KERNEL, time_ms=found.total_ms,
    )  # fmt: skip
    found = replace(found, operators=(stuck, *found.operators))
    told = diagnose_candidate(signed, found, None, None, slow.load_engine().explainer)
    assert any("because Slow Runtime has no INT8 kernel for it" in each for each in told.sentences)
    assert told.remedies[0].words.endswith("Slow Runtime sleeps better with them.")
    assert "ONNX Runtime" not in " ".join([*told.sentences, *(r.words for r in told.remedies)])


def test_slow_layers_are_placed_by_its_own_clock(workspace, slow):
    found = place(workspace.results, load_task(TASK), Recipe(), slow, progress=lambda s, w: None)
    assert len(found.trials) <= 3


def test_its_points_are_drawn_with_its_name(workspace, slow):
    rows = workspace.on(slow).candidates(TASK)
    front = ranked_front(rows, tuple(Objective))
    figure = pareto_figure(front)
    assert "Slow Runtime 0.1" in figure.to_json()
    assert "ONNX Runtime" not in figure.to_json()


def test_the_page_shows_one_target_at_a_time(workspace, slow, monkeypatch):
    monkeypatch.setenv("EDGE_OPTIM_WORKSPACE", str(workspace.path))
    monkeypatch.setattr(Workspace, "ensure_worker", lambda self: None)
    app = Path(dashboard.loaders.__file__).parent / "app.py"
    st.cache_resource.clear()
    try:
        page = AppTest.from_file(str(app), default_timeout=180)
        page.query_params["model"] = TASK
        page.query_params["engine"] = "slow"
        page.run()
        assert not page.exception
        assert "Slow Runtime 0" in _texts(page)
        assert "ONNX Runtime" not in _texts(page)
        page.selectbox(key=state.ENGINE_BOX).set_value("onnxruntime").run()
        assert "Slow Runtime" not in _texts(page)
        assert "ONNX Runtime" in _texts(page)
    finally:
        st.cache_resource.clear()


def test_the_command_line_measures_on_it(workspace, capsys):
    command = ["--workspace", str(workspace.path), "run", TASK, "--quantize", "int8"]
    assert run_command_line([*command, "--engine", "slow"]) == 0
    assert "slow 0.1, 1 thread" in capsys.readouterr().out


def _texts(page: AppTest) -> str:
    return " ".join(str(element.value) for element in (*page.main.caption, *page.main.markdown))
