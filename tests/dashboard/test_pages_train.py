"""Distill & train in each of its states: nothing trained, running, compared, refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.state import training_keys as keys
from dashboard.state.training_settings import (
    Student,
    TrainingSettings,
    families,
    teachers,
)
from dashboard.train.experiments import data_efficiency_recipes, rounds_recipes
from optim.errors import Refusal
from optim.progress import Epoch
from optim.recipe import Architecture, Distill, Precision, Prune, Quantize, Recipe, Replace
from optim.recipe.edit import without_teacher
from optim.task.task import load_task
from optim.training_history.history import stage_recipes
from tests.dashboard.fake_workspace import TASK, FakeWorkspace
from tests.dashboard.test_pages import button, figure, has_button, row, texts
from tests.dashboard.training_factories import data_efficiency_recipes as data_efficiency_logs
from tests.dashboard.training_factories import epochs

Open = Callable[..., AppTest]
PAGE = keys.PAGE
MOTION = load_task("motion-cnn")
SQUEEZENET = load_task(TASK)
NARROW = {"train_student": str(Student.NARROWER), "train_epochs": "3"}
"""A link to a student of half the width."""


def asked(fake: FakeWorkspace) -> list[Recipe]:
    return [Recipe.from_dict(job.payload["recipe"]) for job in fake.queue]


def narrow() -> Recipe:
    return TrainingSettings(student=Student.NARROWER, epochs=3).recipe(SQUEEZENET)


def compared(fake: FakeWorkspace, *, gain: float = 0.05) -> None:
    """The narrow student is trained with a teacher and without."""
    fake.trained(narrow(), epochs(0.7, 0.8, 0.85 + gain))
    fake.trained(without_teacher(narrow()), epochs(0.6, 0.7, 0.85))


# --- settings ------------------------------------------------------------------------------------
def test_a_pruned_student_learns_from_the_original_and_becomes_int8() -> None:
    assert TrainingSettings(epochs=2).recipe(SQUEEZENET).steps == (
        Prune(ratio=0.5, epochs=0),
        Distill(epochs=2),
        Quantize(precision=Precision.INT8),
    )


def test_pruning_in_rounds_trains_after_each_cut_and_has_no_step_behind_it() -> None:
    steps = TrainingSettings(rounds=4, epochs=8, precision=Precision.FP32).recipe(SQUEEZENET).steps
    assert steps == (Prune(ratio=0.5, rounds=4, epochs=8),)


def test_a_student_of_another_family_may_see_half_the_resolution_of_an_image_only() -> None:
    settings = TrainingSettings(student=Student.FAMILY, family_width=50, halved=True)
    step = settings.recipe(SQUEEZENET).step(Replace)
    assert step == Replace(architecture=families(SQUEEZENET)[0], width=0.5, stride=2, epochs=0)
    series = settings.recipe(MOTION).step(Replace)
    assert series == Replace(architecture="motion_cnn", width=0.5, epochs=0)


def test_only_families_that_take_the_input_are_offered() -> None:
    assert families(MOTION) == (Architecture.MOTION_CNN,)
    assert Architecture.MOTION_CNN not in families(SQUEEZENET)
    assert families(SQUEEZENET)[-1] is Architecture.SQUEEZENET


def test_only_networks_that_know_the_data_may_teach() -> None:
    assert teachers(MOTION) == ("motion-cnn",)
    assert teachers(SQUEEZENET)[0] == TASK
    assert "fashion-resnet" in teachers(SQUEEZENET)
    assert "motion-cnn" not in teachers(SQUEEZENET)


def test_the_original_alone_is_the_usual_teacher_and_an_ensemble_names_all() -> None:
    own = TrainingSettings(teacher=(TASK,)).recipe(SQUEEZENET)
    assert own == TrainingSettings().recipe(SQUEEZENET)
    both = TrainingSettings(teacher=(TASK, "fashion-resnet")).recipe(SQUEEZENET).step(Distill)
    assert both is not None
    assert both.teacher == (TASK, "fashion-resnet")
    foreign = TrainingSettings(teacher=("motion-cnn",)).recipe(SQUEEZENET)
    assert foreign == own


def test_rounds_and_one_cut_train_equally_long() -> None:
    rounds, at_once = (r.step(Prune) for r in rounds_recipes(TrainingSettings(epochs=6), MOTION))
    assert rounds is not None
    assert at_once is not None
    assert (rounds.rounds, at_once.rounds) == (4, 1)
    assert rounds.epochs == at_once.epochs == 6
    assert rounds.ratio == at_once.ratio


def test_little_data_gets_more_epochs_for_each_has_fewer_steps() -> None:
    recipes = data_efficiency_recipes(TrainingSettings(epochs=5), SQUEEZENET)
    steps = [r.step(Distill) for r in recipes]
    told = {(s.data_share, s.epochs, s.labels) for s in steps if s}
    assert told == {
        (share, n, labels)
        for share, n in ((0.01, 50), (0.1, 50), (1.0, 5))
        for labels in (True, False)
    }


# --- the page ------------------------------------------------------------------------------------
def test_an_empty_page_says_what_is_missing_and_offers_it(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(PAGE)
    said = texts(page)
    assert "No training yet" in said
    assert "Not known yet: no network of this model was trained both" in said
    for key in ("begin", "do_both", "do_with_teacher", "do_rounds", "do_data_efficiency"):
        assert has_button(page, key), key
    button(page, "begin").click().run()
    with_teacher, without = asked(fake)
    assert without == without_teacher(with_teacher)


def test_train_both_asks_for_the_twin_without_a_teacher_as_well(
    open_page: Open, fake: FakeWorkspace
) -> None:
    button(open_page(PAGE, **NARROW), "do_both").click().run()
    assert asked(fake) == [narrow(), without_teacher(narrow())]


def test_train_with_the_teacher_asks_for_one(open_page: Open, fake: FakeWorkspace) -> None:
    button(open_page(PAGE, **NARROW), "do_with_teacher").click().run()
    assert asked(fake) == [narrow()]


def test_what_is_measured_already_is_not_trained_again(
    open_page: Open, fake: FakeWorkspace
) -> None:
    fake.trained(narrow(), epochs(0.7, 0.8, 0.9))
    page = open_page(PAGE, **NARROW)
    assert "trained and measured" in texts(page)
    assert button(page, "do_with_teacher").disabled
    button(page, "do_both").click().run()
    assert asked(fake) == [without_teacher(narrow())]


def test_a_pair_has_its_curves_and_its_verdict(open_page: Open, fake: FakeWorkspace) -> None:
    compared(fake)
    page = open_page(PAGE, **NARROW)
    said = texts(page)
    assert "the network with a teacher has 90.00 %, without 85.00 %" in said
    assert "the teacher gives +5.00 points on validation" in said
    assert "One seed, n = 5,000 validation examples" in said
    lines = [t for t in figure(page)["data"] if t.get("customdata")]
    assert len(lines) == 4  # two curves, each with its end
    assert not has_button(page, "begin")


def test_what_came_with_the_sample_is_drawn_against_epochs(
    open_page: Open, fake: FakeWorkspace
) -> None:
    compared(fake)
    assert open_page(PAGE, **NARROW).session_state["against"] == "seconds"
    for name, made in fake.rows.items():
        fake.rows[name] = replace(made, prebuilt=True)
    fake._version += 1
    page = open_page(PAGE, **NARROW)
    assert page.session_state["against"] == "epochs"
    assert "trained at different hours" in texts(page)


def test_a_difference_within_the_intervals_is_a_tie(open_page: Open, fake: FakeWorkspace) -> None:
    compared(fake, gain=0.004)
    assert "the intervals overlap: tied" in texts(open_page(PAGE, **NARROW))


def test_a_link_reproduces_the_settings(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(
        PAGE,
        train_student=str(Student.FAMILY),
        train_family="mobilenetv2",
        train_family_width="50",
        train_halved="true",
        teacher_loss="hints",
        temperature="6",
        alpha="0.9",
        train_labels="false",
        data_share="10",
        train_epochs="2",
        patience="3",
        train_file="INT4",
    )
    button(page, "do_with_teacher").click().run()
    assert asked(fake) == [
        Recipe(
            steps=(
                Replace(architecture="mobilenetv2", width=0.5, stride=2, epochs=0),
                Distill(
                    epochs=2, loss="hints", temperature=6, alpha=0.9, labels=False,
                    data_share=0.1, patience=3,
                ),
                Quantize(precision="int4"),
            )
        )
    ]  # fmt: skip


def test_foreign_text_in_a_link_is_ignored(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(
        PAGE, train_student="<script>", train_family="motion_cnn", teacher="motion-cnn",
        temperature="nan", alpha="7", data_share="0", train_file="INT3",
    )  # fmt: skip
    page.query_params["train_epochs"] = "1"
    button(page, "do_with_teacher").click().run()
    (recipe,) = asked(fake)
    assert recipe.steps[1] == Distill(epochs=SQUEEZENET.fine_tuning_epochs)


def test_the_recipe_and_its_command_are_there_for_copying(open_page: Open) -> None:
    page = open_page(PAGE, **NARROW)
    told = "\n".join(code.value for code in page.code)
    assert f"edge-optim run {TASK} --student squeezenet --width 0.5 " in told
    assert Recipe.from_text(page.code[0].value) == narrow()
    assert "optim.Distill(epochs=3.0)" in told


def test_a_running_training_is_drawn_while_it_runs_and_can_be_cancelled(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(PAGE, **NARROW)
    button(page, "do_with_teacher").click().run()
    (job,) = fake.queue
    fake.run(job.id, 0.4, "epoch 1 of 3")
    fake.trained(narrow(), epochs(0.7), measured=False)
    page.run()
    assert "epoch 1 of 3" in texts(page)
    assert "running" in str(figure(page)["data"])
    button(page, f"cancel_{job.id}").click().run()
    assert fake.queue[0].state == "cancelled"
    assert "stopped" in str(figure(page)["data"])


def test_a_refusal_is_said_beside_the_settings_that_it_is_about(
    open_page: Open, fake: FakeWorkspace
) -> None:
    fake.submit(TASK, narrow())
    known = row(fake, narrow())
    refusal = Refusal(reason="no example of a class is left.", remedy="Use more data.")
    fake.rows[known.id] = replace(known, refusal=refusal)
    fake._version += 1
    assert "no example of a class is left" in texts(open_page(PAGE, **NARROW))


def test_a_failed_job_says_why(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(PAGE, **NARROW)
    button(page, "do_with_teacher").click().run()
    fake.fail(fake.queue[0].id, "the training loss became nan")
    assert "the training loss became nan" in texts(page.run())


def test_a_finished_training_leads_to_the_front(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(PAGE, **NARROW)
    button(page, "do_with_teacher").click().run()
    made = fake.finish(fake.queue[0].id)
    page.run()
    assert page.query_params["candidate"] == made.id
    assert "measured on the test examples" in texts(page)


def test_rounds_are_drawn_and_compared_with_one_cut(open_page: Open, fake: FakeWorkspace) -> None:
    rounds, at_once = rounds_recipes(TrainingSettings(ratio=75, rounds=3, epochs=3), SQUEEZENET)
    first, second, _ = stage_recipes(rounds)
    fake.trained(first, epochs(0.92))
    fake.trained(second, epochs(0.91))
    fake.trained(rounds, epochs(0.90))
    page = open_page(PAGE, train_ratio="75", train_rounds="3", train_epochs="3")
    assert "In 3 rounds it comes to 90.00 %" in texts(page)
    button(page, "do_at_once").click().run()
    assert asked(fake) == [at_once]


def test_little_data_is_nine_trainings(open_page: Open, fake: FakeWorkspace) -> None:
    page = open_page(PAGE, **NARROW)
    button(page, "do_data_efficiency").click().run()
    assert len(asked(fake)) == 9
    assert {r.step(Distill).data_share for r in asked(fake)} == {0.01, 0.1, 1.0}


def test_the_curve_of_little_data_says_on_which_split_it_is(
    open_page: Open, fake: FakeWorkspace
) -> None:
    for recipe, log in data_efficiency_logs().items():
        fake.trained(recipe, log)
    page = open_page(PAGE, **NARROW)
    said = texts(page)
    assert "From 1 % of the data the teacher gives" in said
    assert "n = 10,000 test examples" in said


def test_the_page_teaches_the_order(open_page: Open, fake: FakeWorkspace) -> None:
    compared(fake)
    said = texts(open_page(PAGE, **NARROW))
    for title in ("1. Quantize first", "2. Then prune", "3. Then distil"):
        assert title in said
    assert "Most here, Student SqueezeNet of 50 % width: +5.00 points" in said


def test_the_page_is_on_the_way_around(open_page: Open) -> None:
    links = [link.proto.label for link in open_page().get("page_link")]
    assert "Distill & train" in links


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_extreme_accuracies_are_drawn_as_well(
    open_page: Open, fake: FakeWorkspace, accuracy: float
) -> None:
    log = (Epoch(epoch=1, loss=1.0, score=accuracy, seconds=0.0),)
    fake.trained(narrow(), log)
    fake.trained(without_teacher(narrow()), log)
    assert "tied" in texts(open_page(PAGE, **NARROW))
