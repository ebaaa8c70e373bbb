from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.state import keys as state
from optim.candidate import Candidate
from optim.errors import Refusal
from optim.jobs.job import JobKind
from optim.recipe import Prune, Quantize, QuantizeAware, Recipe, recipe_of
from optim.recipe.presets import PRESETS
from optim.task.task import load_task
from tests.dashboard.fake_workspace import TASK, FakeWorkspace

Open = Callable[..., AppTest]


def row(fake: FakeWorkspace, recipe: Recipe) -> Candidate:
    return next(c for c in fake.rows.values() if c.recipe == recipe)


def texts(page: AppTest) -> str:
    elements = [*page.markdown, *page.caption, *page.info, *page.warning, *page.error, *page.title]
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def figure(page: AppTest, number: int = 0) -> dict:
    return json.loads(page.get("plotly_chart")[number].proto.spec)


def button(page: AppTest, key: str):
    return next(each for each in page.button if each.key == key)


def has_button(page: AppTest, key: str) -> bool:
    return any(each.key == key for each in page.button)


def metric(page: AppTest, label: str):
    return next(each for each in page.metric if each.label == label)


# --- explore -------------------------------------------------------------------------------------
def test_explore_says_what_was_measured_where(open_page: Open) -> None:
    said = texts(open_page())
    assert "10,000 test examples" in said
    assert "AMD EPYC" in said
    assert "1 thread" in said
    assert "11 candidates" in said


def test_every_page_says_what_a_newer_version_has_written(
    open_page: Open, fake: FakeWorkspace
) -> None:
    fake.newer = "candidate c0ffee000001 was written by a newer edge-optim (no step 'dream')"
    for path in (state.EXPLORE, state.JOBS):
        assert fake.newer in texts(open_page(path))


def test_the_card_says_that_the_machine_was_busy(open_page: Open, fake: FakeWorkspace) -> None:
    made = row(fake, recipe_of(precision="int8"))
    assert made.latency is not None
    usual_ms = made.latency.baseline_quiet_ms / 1.4
    fake.rows[made.id] = replace(made, latency=replace(made.latency, usual_ms=usual_ms))
    said = texts(open_page(candidate=made.id))
    assert said.count("1.4 times as long as usual") == 1
    other = row(fake, recipe_of(precision="fp16"))
    assert "as long as usual" not in texts(open_page(candidate=other.id))


def test_every_measured_candidate_stands_on_the_plot(open_page: Open, fake: FakeWorkspace) -> None:
    drawn = {
        point[0]
        for trace in figure(open_page())["data"]
        for point in trace.get("customdata") or []
        if point
    }
    assert set(fake.rows) <= drawn


def test_moving_a_slider_moves_the_hollow_point_and_its_words(open_page: Open) -> None:
    page = open_page()
    before, said = figure(page), texts(page)
    assert "x faster" in said.replace("\N{NO-BREAK SPACE}", " ")
    page.slider(key=state.PRUNE).set_value(60).run()
    assert figure(page) != before
    assert texts(page) != said


def test_a_recipe_that_is_measured_already_is_shown_instead_of_measured_again(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(prune="50", precision="INT8", criterion="L2 magnitude")
    assert not has_button(page, "measure")
    assert "this very recipe stands on the plot" in texts(page)
    page = open_page(prune="0", precision="INT8")
    button(page, "show_known").click().run()
    assert page.query_params["candidate"] == row(fake, recipe_of(precision="int8")).id
    assert metric(page, "File").value == "2.02 MB"


def test_measure_asks_for_the_recipe_of_the_sliders(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(prune="60", precision="FP16", distill="false", criterion="L2 magnitude")
    button(page, "measure").click().run()
    (job,) = fake.queue
    step = Recipe.from_dict(job.payload["recipe"])
    assert step == recipe_of(precision="fp16", pruning_ratio=0.6, distill=False)
    assert "waits for its turn" in texts(page)


def test_two_tabs_that_ask_for_the_same_share_one_job(open_page: Open, fake: FakeWorkspace) -> None:
    for _ in range(2):
        button(open_page(), "measure").click().run()
    assert len(fake.queue) == 1


def test_a_finished_job_opens_the_card_of_its_candidate(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page()
    button(page, "measure").click().run()
    fake.run(fake.queue[0].id, 0.4, "epoch 1 of 1")
    assert "epoch 1 of 1" in texts(page.run())
    made = fake.finish(fake.queue[0].id)
    page.run()
    assert page.query_params["candidate"] == made.id
    assert metric(page, "File").value == "900 KB"


def test_a_failed_job_says_why_in_one_sentence(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page()
    button(page, "measure").click().run()
    fake.fail(fake.queue[0].id, "the worker died 3 times")
    assert "the worker died 3 times" in texts(page.run())
    assert not page.exception


def test_a_running_job_can_be_cancelled_beside_the_sliders(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page()
    button(page, "measure").click().run()
    button(page, f"cancel_{fake.queue[0].id}").click().run()
    assert fake.queue[0].state == "cancelled"
    assert has_button(page, "measure")


def test_a_link_shows_the_same_view(open_page: Open, fake: FakeWorkspace) -> None:
    wanted = row(fake, recipe_of(precision="int4"))
    page = open_page(
        candidate=wanted.id, precision="FP16", prune="25", max_drop="5", dominated="false"
    )
    assert page.slider(key=state.PRUNE).value == 25
    assert page.select_slider(key=state.PRECISION).value == "FP16"
    assert page.select_slider(key=state.MAX_DROP).value == "5"
    assert page.toggle(key=state.SHOW_DOMINATED).value is False
    assert metric(page, "File").value == "1.18 MB"


def test_foreign_values_in_a_link_are_ignored(open_page: Open) -> None:
    page = open_page(
        candidate="<script>",
        precision="INT2",
        prune="999",
        max_drop="lots",
        model="nobody",
        view="x",
    )
    assert page.slider(key=state.PRUNE).value == state.DEFAULT_PRUNE
    assert page.select_slider(key=state.PRECISION).value == state.DEFAULT_PRECISION
    assert page.selectbox(key=state.MODEL_BOX).value == TASK
    assert "script" not in texts(page)


def test_without_a_choice_the_recommended_card_is_open(open_page: Open) -> None:
    page = open_page()
    assert "Prune 50 % of channels, INT8" in texts(page)
    assert "Why this one" in texts(page)
    assert metric(page, "Latency, p50").delta == "10.9x faster"


def test_the_card_tells_a_real_loss_from_luck(open_page: Open, fake: FakeWorkspace) -> None:
    int8 = row(fake, recipe_of(precision="int8"))
    assert "tied" in texts(open_page(candidate=int8.id))
    int4 = row(fake, recipe_of(precision="int4"))
    assert "is **real**" in texts(open_page(candidate=int4.id))


def test_a_recorded_accuracy_is_marked(open_page: Open, fake: FakeWorkspace) -> None:
    recorded = row(fake, recipe_of(pruning_ratio=0.5, precision="int8"))
    measured = row(fake, recipe_of(precision="int8"))
    assert "accuracy recorded" in texts(open_page(candidate=recorded.id))
    assert "accuracy recorded" not in texts(open_page(candidate=measured.id))


def test_settings_of_a_card_move_the_sliders_and_reset_moves_them_back(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(candidate=row(fake, recipe_of(pruning_ratio=0.25)).id)
    button(page, "use_settings").click().run()
    assert page.slider(key=state.PRUNE).value == 25
    assert page.select_slider(key=state.PRECISION).value == "FP32"
    button(page, "reset").click().run()
    assert page.slider(key=state.PRUNE).value == state.DEFAULT_PRUNE
    assert page.select_slider(key=state.PRECISION).value == state.DEFAULT_PRECISION


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_precision_and_options_and_is_lit_until_one_is_changed(
    open_page: Open, fake: FakeWorkspace, name: str
) -> None:
    page = open_page(prune="60")
    group = page.segmented_control(key=state.PRESET_BOX)
    assert group.value is None
    group.set_value(name).run()
    assert page.select_slider(key=state.PRECISION).value == PRESETS[name].precision.upper()
    button(page, "measure").click().run()
    asked = Recipe.from_dict(fake.queue[0].payload["recipe"])
    assert asked.step(Quantize) == PRESETS[name]
    assert asked.pruning_ratio == 0.6
    assert page.session_state[state.PRESET_BOX] == name
    page.toggle(key="equalize").set_value(True).run()
    assert page.session_state[state.PRESET_BOX] is None


def test_blocks_and_training_on_the_grid_are_in_the_link_and_in_the_recipe(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(
        blocks="2", training="1.5", precision="INT4", activations="int8",
        calibration="moving average", per_channel="false",
    )  # fmt: skip
    button(page, "measure").click().run()
    asked = Recipe.from_dict(fake.queue[0].payload["recipe"])
    prune, aware, quantize = asked.step(Prune), asked.step(QuantizeAware), asked.step(Quantize)
    assert prune is not None
    assert prune.blocks == 2
    assert aware == QuantizeAware(weight_bits=4, epochs=1.5, per_channel=False)
    assert quantize is not None
    assert quantize.activations == "int8"
    assert quantize.calibration == "moving_average"
    button(page, "reset").click().run()
    assert not has_button(page, "reset")


def test_options_without_effect_are_greyed_out(open_page: Open) -> None:
    page = open_page(precision="FP32")
    assert page.selectbox(key="calibration").disabled
    assert page.number_input(key=state.TRAINING).disabled
    page = open_page(precision="INT8", activations="dynamic")
    assert page.selectbox(key="calibration").disabled
    assert not page.selectbox(key="rounding").disabled


def test_the_precision_slider_quotes_what_was_measured_here(open_page: Open) -> None:
    assert "INT8: here 3.4 times faster and 3.9 times smaller, measured." in texts(open_page())
    half = texts(open_page(precision="FP16"))
    assert "FP16: here 1.2 times slower and 2 times smaller, measured. ONNX Runtime" in half


def test_limits_that_nobody_keeps_say_which_to_relax(open_page: Open) -> None:
    page = open_page()
    page.number_input(key=state.MAX_MS).set_value(0.0001).run()
    assert "No measured candidate keeps all your limits" in texts(page)
    assert "Allow" in texts(page)


def test_a_refused_recipe_shows_its_reason_and_no_button(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page()
    button(page, "measure").click().run()
    name = Recipe.from_dict(fake.queue[0].payload["recipe"]).fingerprint[:12]
    refusal = Refusal(reason="This layer has one channel.", remedy="Try 0.3.")
    fake.rows[name] = replace(fake.rows[name], refusal=refusal)
    fake._version += 1
    fake.fail(fake.queue[0].id, str(refusal))
    page.run()
    assert "This layer has one channel. Try 0.3." in texts(page)
    assert not has_button(page, "measure")


def test_a_first_start_asks_for_the_prebuilt_candidates_and_says_what_happens(
    open_page: Open, fake: FakeWorkspace
) -> None:
    fake.rows.clear()
    page = open_page()
    assert fake.started == [TASK]
    assert "first points are on their way" in texts(page)
    assert not page.get("plotly_chart")
    page.run()
    assert fake.started == [TASK]


def test_checks_in_the_background_take_one_line_however_many_they_are(
    open_page: Open, fake: FakeWorkspace
) -> None:
    for candidate in list(fake.rows.values())[:3]:
        payload = {"task": TASK, "candidate": candidate.id}
        fake._add(JobKind.VERIFY, f"verify:{candidate.id}", payload, f"check {candidate.words()}")
    page = open_page()
    assert "recorded accuracy of 3 files is measured again" in texts(page)
    assert not any(each.label == "Cancel" for each in page.button)


def test_the_lessons_quote_the_measured_candidates(open_page: Open) -> None:
    said = texts(open_page())
    order = [said.index(title) for title in ("Quantize first", "Then prune", "Combine both")]
    assert order == sorted(order)
    assert "Here, INT8: 3.4x faster, 3.9x smaller" in said


def test_the_other_tabs_draw_size_three_objectives_and_a_table(open_page: Open) -> None:
    page = open_page(view=state.TABS[1])
    assert "size" in json.dumps(figure(page)["layout"]["xaxis"]).lower()
    page = open_page(view=state.TABS[2])
    assert figure(page)["data"]
    page = open_page(view=state.TABS[3])
    assert len(page.dataframe[0].value) == 11


# --- jobs ----------------------------------------------------------------------------------------
def test_jobs_without_a_job_says_what_to_do(open_page: Open) -> None:
    said = texts(open_page("views/jobs.py"))
    assert "No job yet" in said
    assert "Closing the tab loses nothing" in said
    assert "12.3 MB" in said


def test_jobs_shows_progress_errors_and_logs(open_page: Open, fake: FakeWorkspace) -> None:
    done = fake.submit(TASK, recipe_of(pruning_ratio=0.3))
    fake.run(done.id, 0.5, "epoch 1 of 2")
    bad = fake.submit(TASK, recipe_of(pruning_ratio=0.35))
    fake.fail(bad.id, "the disk is full <b>")
    page = open_page("views/jobs.py")
    assert "running, 50 %" in texts(page)
    assert "the disk is full <b>" in texts(page)
    assert any(f"log of {bad.id}" in each.value for each in page.code)
    button(page, f"retry_{bad.id}").click().run()
    assert len(fake.queue) == 3
    button(page, f"cancel_{done.id}").click().run()
    assert "cancelled" in texts(page)


def test_a_paused_queue_shows_its_reason_and_can_go_on(
    open_page: Open, fake: FakeWorkspace
) -> None:
    fake.reason = "the disk is full"
    page = open_page("views/jobs.py")
    assert "The queue waits: the disk is full" in texts(page)
    button(page, "resume").click().run()
    assert fake.reason is None


# --- compare -------------------------------------------------------------------------------------
def test_compare_opens_with_the_candidates_of_the_link(
    open_page: Open, fake: FakeWorkspace
) -> None:
    ids = list(fake.rows)[1:4]
    page = open_page("views/compare.py", ids=",".join([*ids, "zzz", "0" * 12]))
    assert page.multiselect(key=state.COMPARE_BOX).value == ids


def test_compare_offers_to_measure_unknown_answers(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page("views/compare.py", ids=",".join(list(fake.rows)[:2]))
    assert "not known yet" in texts(page)
    button(page, "measure_answers").click().run()
    assert [job.payload["candidate"] for job in fake.queue] == list(fake.rows)[:2]


def test_compare_shows_the_very_examples_that_changed(open_page: Open, fake: FakeWorkspace) -> None:
    truth = load_task(TASK).split("test").targets
    first, second = list(fake.rows)[:2]
    fake.answers[first] = truth.astype(np.uint8)
    fake.answers[second] = truth.astype(np.uint8).copy()
    fake.answers[second][:30] = (fake.answers[second][:30] + 1) % 10
    page = open_page("views/compare.py", ids=f"{first},{second}")
    assert len(page.get("image")) == 12
    label = load_task(TASK).labels[truth[0]]
    after = load_task(TASK).labels[(truth[0] + 1) % 10]
    assert f"{label} → {after}" in texts(page)


def test_compare_warns_if_the_machines_differ(open_page: Open, fake: FakeWorkspace) -> None:
    first, second = list(fake.rows)[:2]
    latency = fake.rows[second].latency
    assert latency is not None
    elsewhere = replace(latency.environment, cpu="Another CPU")
    fake.rows[second] = replace(fake.rows[second], latency=replace(latency, environment=elsewhere))
    page = open_page("views/compare.py", ids=f"{first},{second}")
    assert "do not compare" in texts(page)
    assert "Another CPU" in texts(page)


def test_the_card_names_the_runner_up_and_its_price(open_page: Open) -> None:
    assert "The runner-up is" in texts(open_page())
