"""The channel part of the Layers page: nothing known, curves, sliders, a budget, and the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

import optim.analysis.channel_plan
from dashboard.state import keys as state
from optim.candidate import Candidate
from optim.errors import Refusal, RefusedError
from optim.recipe import (
    Activation,
    Precision,
    Prune,
    Quantize,
    Recipe,
    ReplaceActivation,
    recipe_of,
)
from optim.store.analyses import AnalysisKind
from optim.task.task import load_task
from tests.dashboard.fake_workspace import TASK, FakeWorkspace
from tests.dashboard.pruning_factories import CHANNELS, curves_of, deep_curves
from tests.dashboard.test_pages import button, has_button, row, texts

Open = Callable[..., AppTest]
LAYERS_PAGE = "views/layers.py"
INT8 = recipe_of(precision="int8")
PRUNING = AnalysisKind.PRUNING


def known(fake: FakeWorkspace, recipe: Recipe = INT8) -> Candidate:
    """The curves of the original are measured; a candidate that was made from it."""
    fake.found(row(fake, Recipe()).id, PRUNING, curves_of())
    return row(fake, recipe)


def channels(open_page: Open, candidate: Candidate, **query: str) -> AppTest:
    return open_page(LAYERS_PAGE, candidate=candidate.id, set="Channels", **query)


def slider(page: AppTest, layer: str):
    return next(each for each in page.select_slider if each.label.replace("\\", "") == layer)


def shares(page: AppTest) -> dict[str, float]:
    return {each.label.replace("\\", ""): each.value for each in page.select_slider}


def asked(fake: FakeWorkspace) -> Prune:
    step = Recipe.from_dict(fake.queue[-1].payload["recipe"]).step(Prune)
    assert step is not None
    return step


# --- nothing known -------------------------------------------------------------------------------
def test_the_page_opens_with_precisions_and_channels_are_one_click_away(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(LAYERS_PAGE, candidate=row(fake, INT8).id)
    assert "Nobody has looked inside yet" in texts(page)
    next(g for g in page.get("button_group") if g.key == state.LAYER_SETTING).set_value(
        "Channels"
    ).run()
    assert not page.exception
    assert "Nobody has measured that yet" in texts(page)


def test_measuring_the_curves_is_asked_of_the_float_network(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = channels(open_page, row(fake, INT8))
    ask = button(page, "measure_curves")
    assert ask.label == "Measure the pruning curves (about 60 s)"
    assert not page.get("plotly_chart")
    ask.click().run()
    (job,) = fake.queue
    assert job.payload["candidate"] == row(fake, Recipe()).id
    assert job.payload["analysis"] == "pruning"
    fake.run(job.id, 0.4, "block.0.conv1, layer 2 of 4")
    page.run()
    assert "block.0.conv1, layer 2 of 4" in texts(page)
    assert not has_button(page, "measure_curves")


def test_a_failed_measurement_says_why_and_can_be_tried_again(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = channels(open_page, row(fake, INT8))
    button(page, "measure_curves").click().run()
    fake.fail(fake.queue[0].id, "No layer can lose channels <b>.")
    page.run()
    assert "No layer can lose channels <b>." in texts(page)
    assert has_button(page, "measure_curves")


def test_a_network_that_is_not_made_yet_can_be_made(open_page: Open, fake: FakeWorkspace) -> None:
    relu = ReplaceActivation(activation=Activation.RELU)
    made = replace(row(fake, INT8), recipe=Recipe(steps=(relu, *INT8.steps)))
    fake.rows[made.id] = made
    fake._version += 1
    page = channels(open_page, made)
    assert "is not made yet" in texts(page)
    button(page, "make_source").click().run()
    assert Recipe.from_dict(fake.queue[0].payload["recipe"]) == Recipe(steps=(relu,))


# --- known ---------------------------------------------------------------------------------------
def test_curves_are_drawn_and_redundant_layers_are_named(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = channels(open_page, known(fake))
    (chart,) = page.get("plotly_chart")
    assert len(json.loads(chart.proto.spec)["data"]) == len(CHANNELS)
    said = texts(page)
    assert "block.1.conv1 can lose 88 % of its channels within 1 point, alone." in said
    assert "One layer pruned at a time, nothing trained; batch norms are re-estimated." in said
    assert "5,000 validation examples" in said
    assert "Latencies are predicted" in said


def test_the_link_shows_the_heat_map_of_the_loss(open_page: Open, fake: FakeWorkspace) -> None:
    page = channels(open_page, known(fake), channels="Heat map", cost="loss")
    (chart,) = page.get("plotly_chart")
    (cells,) = json.loads(chart.proto.spec)["data"]
    assert cells["type"] == "heatmap"
    assert cells["colorbar"]["title"]["text"] == "Loss<br>added"


def test_of_many_layers_some_can_be_picked(open_page: Open, fake: FakeWorkspace) -> None:
    fake.found(row(fake, Recipe()).id, PRUNING, deep_curves())
    page = channels(open_page, row(fake, INT8))
    page.multiselect(key=state.HIGHLIGHTED).set_value(["features.9.block.conv"]).run()
    data = json.loads(page.get("plotly_chart")[0].proto.spec)["data"]
    assert [t["name"] for t in data if t["line"]["width"] > 1] == ["features.9.block.conv"]
    assert len(page.select_slider) == 33


def test_a_pruned_candidate_says_that_the_original_is_planned(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = channels(open_page, known(fake, recipe_of(pruning_ratio=0.5, precision="int8")))
    assert "This candidate is pruned already" in texts(page)
    assert "(original, FP32)" in texts(page)
    assert shares(page) == dict.fromkeys(CHANNELS, 0.5)
    assert not has_button(page, "measure_cuts")


# --- sliders -------------------------------------------------------------------------------------
def test_sliders_stop_at_measured_blocks_and_say_what_stays(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = channels(open_page, known(fake))
    assert list(shares(page)) == list(CHANNELS)
    assert slider(page, "block.0.conv1").options == [
        "0 %, 64 stay", "25 %, 48 stay", "50 %, 32 stay", "75 %, 16 stay",
    ]  # fmt: skip
    assert "With" not in slider(page, "stem").help
    assert "stem.twin" in slider(page, "stem").help.replace("\\", "")


def test_shares_are_told_measured_undone_and_reset(open_page: Open, fake: FakeWorkspace) -> None:
    page = channels(open_page, known(fake))
    slider(page, "block.0.conv1").set_value(0.5).run()
    slider(page, "block.1.conv1").set_value(0.75).run()
    said = texts(page)
    assert "Your network:** block.0.conv1 loses 50 %; block.1.conv1 loses 75 %." in said
    assert "What is left: " in said
    assert "faster in INT8" in said
    assert "block.0.conv1, alone and untrained: 6.44 points lost on validation" in said
    assert page.query_params["cuts"] == "block.0.conv1:0.5,block.1.conv1:0.75"
    button(page, "undo_cuts").click().run()
    assert shares(page) == {**dict.fromkeys(CHANNELS, 0.0), "block.0.conv1": 0.5}
    button(page, "measure_cuts").click().run()
    assert asked(fake) == Prune(
        ratio=0.0, layers=(("block.0.conv1", 0.5),), epochs=load_task(TASK).fine_tuning_epochs
    )
    recipe = Recipe.from_dict(fake.queue[0].payload["recipe"])
    assert recipe.step(Quantize) == Quantize(precision=Precision.INT8)
    button(page, "reset_cuts").click().run()
    assert set(shares(page).values()) == {0.0}
    assert not has_button(page, "measure_cuts")
    assert "cuts" not in page.query_params


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("block.0.conv1:0.5", {"block.0.conv1": 0.5}),
        ("block.0.conv1:0.6,nowhere:0.5,stem:2,<b>,stem:nan,:0.5", {"block.0.conv1": 0.5}),
        ("x" * 5000, {}),
    ],
)
def test_a_link_sets_the_sliders_and_what_it_cannot_mean_is_ignored(
    open_page: Open, fake: FakeWorkspace, text: str, expected: dict[str, float]
) -> None:
    page = channels(open_page, known(fake), cuts=text)
    assert shares(page) == {**dict.fromkeys(CHANNELS, 0.0), **expected}


# --- budget --------------------------------------------------------------------------------------
def test_a_budget_fills_the_sliders(
    open_page: Open, fake: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def plan(curves, *, budget: float, of: str, precision: Precision):
        calls.append((budget, of, precision))
        return (("block.1.conv1", 0.75),)

    monkeypatch.setattr(optim.analysis.channel_plan, "plan_channels", plan)
    page = channels(open_page, known(fake), cuts="stem:0.5")
    stays = next(each for each in page.slider if "latency may stay" in each.label)
    assert stays.min == 20  # what is left with one block of channels in every layer, in steps of 5
    stays.set_value(40).run()
    button(page, "plan_channels").click().run()
    assert calls == [(0.4, "latency", Precision.INT8)]
    assert shares(page) == {**dict.fromkeys(CHANNELS, 0.0), "block.1.conv1": 0.75}


@pytest.mark.parametrize(
    "error",
    [
        RefusedError(Refusal(reason="40 % cannot be reached.", remedy="Try 60 %.")),
        ValueError("budget must be above 0 <b>."),
    ],
)
def test_a_plan_that_cannot_be_made_is_one_sentence(
    open_page: Open, fake: FakeWorkspace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def plan(curves, **options):
        raise error

    monkeypatch.setattr(optim.analysis.channel_plan, "plan_channels", plan)
    page = channels(open_page, known(fake), cuts="stem:0.5")
    button(page, "plan_channels").click().run()
    assert not page.exception
    assert str(error) in texts(page)
    assert shares(page)["stem"] == 0.5


def test_without_measured_times_there_is_no_budget_of_latency(
    open_page: Open, fake: FakeWorkspace
) -> None:
    fake.found(row(fake, Recipe()).id, PRUNING, curves_of(timed=False))
    page = channels(open_page, row(fake, INT8))
    assert page.segmented_control(key=state.CHANNEL_BUDGET_OF).options == ["MACs", "parameters"]
    assert "Latencies are predicted" not in texts(page)


# --- measured ------------------------------------------------------------------------------------
def test_a_measured_network_is_opened_and_compared_with_where_it_came_from(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = channels(open_page, known(fake), cuts="block.1.conv1:0.75")
    button(page, "measure_cuts").click().run()
    made = fake.finish(fake.queue[0].id)
    page.run()
    assert page.query_params["candidate"] == made.id
    assert "cuts" not in page.query_params
    said = texts(page)
    assert "Against INT8: **0.36 points lost, 1.8x faster, 1.12 MB smaller**" in said
    assert shares(page)["block.1.conv1"] == 0.75


def test_shares_that_are_measured_already_are_shown(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = known(fake)
    page = channels(open_page, int8, cuts="block.1.conv1:0.75")
    button(page, "measure_cuts").click().run()
    fake.finish(fake.queue[0].id)
    page = channels(open_page, int8, cuts="block.1.conv1:0.75")
    assert "measured already" in texts(page)
    assert not has_button(page, "measure_cuts")
    assert has_button(page, "show_cuts")
