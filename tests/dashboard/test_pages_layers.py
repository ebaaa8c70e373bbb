"""The Layers page in each of its states: nothing known, under way, all known, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import loaders
from dashboard.state import keys as state
from optim.candidate import Candidate
from optim.devices.target import Target
from optim.errors import Refusal
from optim.jobs.job import JobKind
from optim.recipe import MixedPrecision, Precision, Recipe, recipe_of
from optim.store.analyses import AnalysisKind
from tests.dashboard.factories import candidate, latency_of
from tests.dashboard.fake_workspace import TASK, FakeWorkspace
from tests.dashboard.layer_factories import LAYERS, profile_of, sensitivity, waterfall
from tests.dashboard.test_pages import button, has_button, row, texts

Open = Callable[..., AppTest]
LAYERS_PAGE = "views/layers.py"
INT8 = recipe_of(precision="int8")
PROFILE, SENSITIVITY, WATERFALL, _PRUNING = AnalysisKind


def look_inside(fake: FakeWorkspace) -> Candidate:
    """Everything is known of the INT8 candidate."""
    base, int8 = row(fake, Recipe()), row(fake, INT8)
    fake.found(base.id, PROFILE, profile_of(Precision.FP32))
    fake.found(base.id, SENSITIVITY, sensitivity())
    fake.found(int8.id, PROFILE, profile_of(Precision.INT8))
    fake.found(int8.id, WATERFALL, waterfall())
    return int8


def choose(page: AppTest, candidate_id: str, **layers: str) -> None:
    """What the table does when cells are edited: the browser test edits a real one."""
    mix = page.session_state[state.MIXES][candidate_id]
    mix.choose({**mix.now, **{name: Precision(p) for name, p in layers.items()}})


# --- nothing known -------------------------------------------------------------------------------
def test_the_recommended_whole_number_candidate_is_opened(open_page: Open) -> None:
    page = open_page(LAYERS_PAGE)
    chosen = page.selectbox(key=state.LAYERS_BOX)
    assert chosen.options[chosen.index] == "prune 50 % of channels, INT8"


def test_the_link_decides_which_candidate_is_opened(open_page: Open, fake: FakeWorkspace) -> None:
    wanted = row(fake, recipe_of(precision="int4"))
    page = open_page(LAYERS_PAGE, candidate=wanted.id)
    assert page.selectbox(key=state.LAYERS_BOX).value == wanted.id
    other = row(fake, INT8)
    page.selectbox(key=state.LAYERS_BOX).set_value(other.id).run()
    assert page.query_params["candidate"] == other.id


def test_without_a_look_inside_the_page_says_so_and_offers_it(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(LAYERS_PAGE, candidate=row(fake, INT8).id)
    assert "Nobody has looked inside yet" in texts(page)
    assert not page.get("plotly_chart")
    ask = button(page, "look_inside_button")
    assert "about" in ask.label
    ask.click().run()
    asked = {(job.payload["candidate"], job.payload["analysis"]) for job in fake.queue}
    base, int8 = row(fake, Recipe()).id, row(fake, INT8).id
    assert asked == {
        (base, "profile"), (base, "sensitivity"), (int8, "profile"), (int8, "waterfall"),
    }  # fmt: skip


def test_a_float_candidate_has_no_waterfall_to_ask_for(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(LAYERS_PAGE, candidate=row(fake, Recipe()).id)
    button(page, "look_inside_button").click().run()
    assert {job.payload["analysis"] for job in fake.queue} == {"profile", "sensitivity"}


def test_a_model_without_candidates_says_where_they_come_from(
    open_page: Open, fake: FakeWorkspace
) -> None:
    fake.rows.clear()
    assert "No candidate is made yet" in texts(open_page(LAYERS_PAGE))


# --- under way -----------------------------------------------------------------------------------
def test_a_look_under_way_shows_its_progress_and_can_be_cancelled(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(LAYERS_PAGE, candidate=row(fake, INT8).id)
    button(page, "look_inside_button").click().run()
    first = fake.queue[0]
    fake.run(first.id, 0.4, "layer 3 of 12")
    page.run()
    assert "layer 3 of 12" in texts(page)
    assert not has_button(page, "look_inside_button")
    for job in list(fake.queue):
        button(page, f"cancel_{job.id}").click().run()
    assert has_button(page, "look_inside_button")


def test_what_arrives_first_is_shown_first(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = row(fake, INT8)
    fake.found(int8.id, PROFILE, profile_of(Precision.INT8))
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    assert len(page.get("plotly_chart")) == 1
    said = texts(page)
    assert "Not known yet: time by layer, sensitivity by layer, where the accuracy went." in said
    assert "Nobody has looked inside" not in said


# --- all known -----------------------------------------------------------------------------------
def test_everything_known_is_drawn_and_explained(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(LAYERS_PAGE, candidate=look_inside(fake).id)
    fall, layers = (json.loads(c.proto.spec) for c in page.get("plotly_chart"))
    assert fall["data"][0]["type"] == "waterfall"
    assert layers["layout"]["yaxis"]["ticktext"][: len(LAYERS)] == list(LAYERS)
    said = texts(page)
    assert "5,000 validation examples" in said
    assert "Keep **stem** in FP32: +0.12 points on validation, 20 µs slower, 3 KB larger" in said
    assert "4 of 4 layers" not in said
    assert "folds batch norms, constants and activations by itself" in said
    assert not has_button(page, "look_inside_button")
    assert any("no INT8 kernel for HardSwish" in str(t.value).replace("\\", "") for t in page.table)


def test_a_float_file_says_that_it_has_lost_nothing(open_page: Open, fake: FakeWorkspace) -> None:
    look_inside(fake)
    page = open_page(LAYERS_PAGE, candidate=row(fake, Recipe()).id)
    assert "Nowhere: this file is in FP32" in texts(page)


def test_a_diagnosis_is_told_with_a_button_for_what_a_recipe_can_do(
    open_page: Open, fake: FakeWorkspace
) -> None:
    int8 = look_inside(fake)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    diagnosis = loaders.diagnosis(int8)
    assert diagnosis is not None
    said = texts(page)
    assert all(sentence in said for sentence in diagnosis.sentences)
    assert all(remedy.words in said for remedy in diagnosis.remedies)
    first = next(i for i, remedy in enumerate(diagnosis.remedies) if remedy.recipe)
    button(page, f"remedy_{first}").click().run()
    assert Recipe.from_dict(fake.queue[0].payload["recipe"]) == diagnosis.remedies[first].recipe


def test_a_budget_fills_the_table(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = look_inside(fake)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    size = next(each for each in page.select_slider if each.label == "At most")
    page.select_slider(key=size.key).set_value(0).run()
    assert "4 in INT4. Predicted: 174 KB" in texts(page)
    button(page, "fill_mix").click().run()
    assert "in INT4" in texts(page)
    button(page, "measure_mix").click().run()
    step = Recipe.from_dict(fake.queue[0].payload["recipe"]).step(MixedPrecision)
    assert step == MixedPrecision(layers=dict.fromkeys(LAYERS, Precision.INT4))


def test_keeping_a_layer_in_float_is_one_click(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(LAYERS_PAGE, candidate=look_inside(fake).id)
    button(page, "keep_0").click().run()
    (job,) = fake.queue
    assert job.kind is JobKind.MAKE
    step = Recipe.from_dict(job.payload["recipe"]).step(MixedPrecision)
    assert step == MixedPrecision(layers={"stem": Precision.FP32})


def test_the_table_has_every_layer_with_its_figures(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(LAYERS_PAGE, candidate=look_inside(fake).id)
    table = page.dataframe[0].value
    assert list(table["Layer"]) == list(LAYERS)
    assert table["Time"][1] == pytest.approx(200.0)
    assert table["Noise"][0] == pytest.approx(3.162, rel=1e-3)
    assert "measure the mix" in texts(page)


def test_a_mix_is_told_measured_undone_and_reset(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = look_inside(fake)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    choose(page, int8.id, stem="fp32")
    choose(page, int8.id, head="int4")
    page.run()
    said = texts(page)
    assert "Your mix:** stem in FP32; head in INT4" in said
    assert "Predicted from the layers: 1.84 KB smaller, 0.2 ms slower" in said
    button(page, "undo_mix").click().run()
    assert "Your mix:** stem in FP32." in texts(page)
    button(page, "measure_mix").click().run()
    step = Recipe.from_dict(fake.queue[0].payload["recipe"]).step(MixedPrecision)
    assert step == MixedPrecision(layers={"stem": Precision.FP32})
    button(page, "reset_mix").click().run()
    assert not has_button(page, "measure_mix")


def test_a_measured_mix_is_opened_and_compared_with_where_it_came_from(
    open_page: Open, fake: FakeWorkspace
) -> None:
    int8 = look_inside(fake)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    button(page, "keep_0").click().run()
    made = fake.finish(fake.queue[0].id)
    page.run()
    assert page.query_params["candidate"] == made.id
    said = texts(page)
    assert "Against INT8: **0.36 points lost, 1.8x faster, 1.12 MB smaller**" in said
    assert page.selectbox(key=state.LAYERS_BOX).value == made.id


def test_a_mix_that_is_measured_already_is_not_measured_again(
    open_page: Open, fake: FakeWorkspace
) -> None:
    int8 = look_inside(fake)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    button(page, "keep_0").click().run()
    fake.finish(fake.queue[0].id)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    choose(page, int8.id, stem="fp32")
    page.run()
    assert "measured already" in texts(page)
    assert not has_button(page, "measure_mix")
    assert has_button(page, "show_mix")


# --- refused -------------------------------------------------------------------------------------
def test_a_look_that_failed_says_why_and_can_be_tried_again(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(LAYERS_PAGE, candidate=row(fake, INT8).id)
    button(page, "look_inside_button").click().run()
    for job in list(fake.queue):
        fake.fail(job.id, f"{job.words}: no layer has weights <b>")
    page.run()
    assert "no layer has weights <b>" in texts(page)
    assert has_button(page, "look_inside_button")


def test_a_refused_mix_shows_its_reason(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = look_inside(fake)
    page = open_page(LAYERS_PAGE, candidate=int8.id)
    choose(page, int8.id, head="int4")
    page.run()
    button(page, "measure_mix").click().run()
    recipe = Recipe.from_dict(fake.queue[0].payload["recipe"])
    name = recipe.fingerprint[:12]
    refusal = Refusal(reason="The layer head has no 4-bit kernel.", remedy="Keep it in INT8.")
    fake.rows[name] = replace(fake.rows[name], refusal=refusal)
    fake._version += 1
    fake.fail(fake.queue[0].id, str(refusal))
    page.run()
    assert "The layer head has no 4-bit kernel. Keep it in INT8." in texts(page)
    assert not has_button(page, "measure_mix")


# --- on the card ---------------------------------------------------------------------------------
def test_a_file_slower_than_its_float_parent_is_explained_on_its_card(
    open_page: Open, fake: FakeWorkspace
) -> None:
    slow, quick = row(fake, INT8), candidate(INT8, speedup=3.4, size_bytes=2_020_000)
    fake.rows[slow.id] = replace(slow, latency=latency_of(0.7))
    fake._version += 1
    page = open_page(candidate=slow.id)
    assert "1.4x slower than the same network in FP32" in texts(page)
    fake.rows[slow.id] = replace(slow, latency=quick.latency)
    fake._version += 1
    assert "slower than the same network" not in texts(open_page(candidate=slow.id))


def test_a_known_profile_explains_the_slower_file(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = look_inside(fake)
    fake.rows[int8.id] = slow = replace(int8, latency=latency_of(0.7))
    fake._version += 1
    said = texts(open_page(candidate=int8.id))
    diagnosis = loaders.diagnosis(slow)
    assert diagnosis is not None
    assert "It is slower than in FP32" in diagnosis.sentences[0]
    assert diagnosis.sentences[0] in said


def test_a_pruned_file_is_compared_with_its_own_float_parent(
    open_page: Open, fake: FakeWorkspace
) -> None:
    """Faster than the original, but slower than the same small network in FP32."""
    slow = row(fake, recipe_of(precision="int8", pruning_ratio=0.75))
    fake.rows[slow.id] = replace(slow, latency=latency_of(10.0))
    fake._version += 1
    assert "slower than the same network in FP32" in texts(open_page(candidate=slow.id))


def test_the_page_is_on_the_way_around(open_page: Open) -> None:
    page = open_page()
    assert (TASK, Target()) in page.session_state["tasks_begun"]
    links = [link.proto.label for link in page.get("page_link")]
    assert "Layers" in links
