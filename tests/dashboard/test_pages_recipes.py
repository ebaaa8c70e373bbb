"""Explore: what is new in a recipe is chosen, kept in the link, asked for, and told on the card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.state import keys as state
from optim.recipe import Distill, Prune, Quantize, Recipe, Replace, Sparsify, recipe_of
from tests.dashboard.factories import candidate
from tests.dashboard.fake_workspace import TASK, FakeWorkspace
from tests.dashboard.test_pages import button, has_button, metric, row, texts
from tests.preset_files import write_named_presets

Open = Callable[..., AppTest]


def asked(fake: FakeWorkspace) -> Recipe:
    return Recipe.from_dict(fake.queue[-1].payload["recipe"])


def add(fake: FakeWorkspace, recipe: Recipe, **figures: float) -> str:
    made = fake._with_file(candidate(recipe, **figures))  # type: ignore[arg-type]
    fake.rows[made.id] = made
    fake._version += 1
    return made.id


def test_the_slider_speaks_of_channels_parameters_or_macs(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(prune="60")
    assert page.slider(key=state.PRUNE).label == "Pruning, % of channels"
    page.segmented_control(key=state.UNIT).set_value("macs").run()
    assert page.slider(key=state.PRUNE).label == "Pruning, % of MACs"
    assert page.slider(key=state.PRUNE).value == 60
    assert "about 37 % of the channels" in texts(page).replace("\N{NO-BREAK SPACE}", " ")
    button(page, "measure").click().run()
    step = asked(fake).step(Prune)
    assert step is not None
    assert (step.unit, step.ratio) == ("macs", 0.6)


def test_what_is_chosen_under_more_is_in_the_link_and_in_the_recipe(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(
        criterion="Batch-norm scale", scope="Least important of all", rounds="3", round_to="8",
        student="small ResNet", width="35", stride="2", student_epochs="4.5",
        sparsity="80", zeros="Smallest, gradually",
    )  # fmt: skip
    assert "a student like it must be measured first" in texts(page)
    button(page, "measure").click().run()
    assert asked(fake).steps == (
        Replace(architecture="small_resnet", width=0.35, stride=2, epochs=4.5),
        Prune(ratio=0.4, criterion="bn_scale", scope="global", rounds=3, round_to=8),
        Sparsify(sparsity=0.8, method="gradual"),
        Quantize(),
    )
    button(page, "reset").click().run()
    assert not has_button(page, "reset")


def test_a_student_may_learn_from_another_network(open_page: Open, fake: FakeWorkspace) -> None:
    asked_for = {"student": "small ResNet", "width": "25", "student_epochs": "4.5"}
    page = open_page(prune="0", student_teacher="Fashion · MobileNetV2", **asked_for)
    assert page.toggle(key=state.DISTILL).label == "Distil from Fashion · MobileNetV2"
    assert page.selectbox(key=state.STUDENT_TEACHER).value == "fashion-mobilenetv2"
    button(page, "measure").click().run()
    assert asked(fake).steps == (
        Replace(architecture="small_resnet", width=0.25, epochs=0),
        Distill(epochs=4.5, teacher=("fashion-mobilenetv2",)),
        Quantize(),
    )


def test_choices_that_nothing_would_change_are_greyed_out(open_page: Open) -> None:
    page = open_page(prune="0")
    assert page.selectbox(key="criterion").disabled
    assert page.selectbox(key="pattern").disabled
    assert page.number_input(key=state.WIDTH).disabled
    assert page.selectbox(key=state.STUDENT_TEACHER).disabled
    page = open_page(prune="40", sparsity="50")
    assert not page.selectbox(key="criterion").disabled
    assert not page.selectbox(key="pattern").disabled
    assert page.number_input(key=state.TRAINING).disabled


def test_a_student_says_that_it_keeps_nothing_and_a_control_does_not(
    open_page: Open, fake: FakeWorkspace
) -> None:
    student = Recipe(steps=(Replace(architecture="resnet", width=0.5),))
    taught = texts(open_page(candidate=add(fake, student, speedup=8.0)))
    assert "keeps nothing of the original but its answers" in taught
    other = Recipe(steps=(Replace(architecture="resnet", epochs=0), Distill(teacher=("x",))))
    assert "nothing of the original, x taught it" in texts(
        open_page(candidate=add(fake, other, speedup=8.0))
    )
    alone = Recipe(steps=(Replace(architecture="resnet", width=0.5, distill=False),))
    assert "keeps nothing" not in texts(open_page(candidate=add(fake, alone, speedup=8.0)))


def test_a_card_links_to_its_earlier_rounds(open_page: Open, fake: FakeWorkspace) -> None:
    last = Recipe(steps=(Prune(ratio=0.488, rounds=3, epochs=3.0), Quantize()))
    second = last.earlier_round()
    assert second is not None
    name = add(fake, second, speedup=3.0, lost=21)
    page = open_page(candidate=add(fake, last, speedup=5.0))
    assert "Earlier rounds" in texts(page)
    assert "36 %" in button(page, f"round_{name}").label
    button(page, f"round_{name}").click().run()
    assert page.query_params["candidate"] == name
    assert "Earlier rounds" not in texts(page)


BEYOND = Recipe(steps=(Replace(architecture="squeezenet", width=0.5), Distill(), Quantize()))
NAMED_PRESETS = (
    {"name": "gentle", "faster": 3, "smaller": 0, "drop": 0.01,
     "recipe": recipe_of(precision="int8").to_dict()},
    {"name": "bold", "faster": 30, "smaller": 0, "drop": 0.03, "recipe": BEYOND.to_dict()},
)  # fmt: skip


@pytest.fixture
def two_named_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_named_presets(TASK, tmp_path, monkeypatch, *NAMED_PRESETS)


def test_a_task_without_named_presets_shows_no_picker(
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_named_presets(TASK, tmp_path, monkeypatch)
    assert not any(box.key == state.NAMED_PRESET_BOX for box in open_page().selectbox)


@pytest.mark.usefixtures("two_named_presets")
def test_a_named_preset_moves_the_sliders_and_opens_its_finished_card(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(prune="60", precision="FP16")
    page.selectbox(key=state.NAMED_PRESET_BOX).set_value("gentle").run()
    assert page.slider(key=state.PRUNE).value == 0
    assert page.select_slider(key=state.PRECISION).value == "INT8"
    assert page.query_params["candidate"] == row(fake, recipe_of(precision="int8")).id
    assert "Promised 3x faster within 1 point: measured 3.40x faster" in texts(page)
    page.slider(key=state.PRUNE).set_value(50).run()
    assert page.selectbox(key=state.NAMED_PRESET_BOX).value is None


@pytest.mark.usefixtures("two_named_presets")
def test_a_named_preset_beyond_the_sliders_is_measured_as_it_is_and_forgotten_when_one_moves(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page()
    page.selectbox(key=state.NAMED_PRESET_BOX).set_value("bold").run()
    assert "Beyond the sliders: student squeezenet" in texts(page)
    assert page.selectbox(key=state.NAMED_PRESET_BOX).value == "bold"
    button(page, "measure").click().run()
    assert asked(fake) == BEYOND
    made = fake.finish(fake.queue[0].id)
    page.run()
    assert page.query_params["candidate"] == made.id
    assert "not kept here" in texts(page)
    page.slider(key=state.PRUNE).set_value(55).run()
    assert "Beyond the sliders" not in texts(page)
    assert page.selectbox(key=state.NAMED_PRESET_BOX).value is None
    button(page, "measure").click().run()
    assert asked(fake).pruning_ratio == 0.55


def test_a_broken_file_of_named_presets_is_one_sentence_beside_the_sliders(
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_named_presets(TASK, tmp_path, monkeypatch, {"name": "x"})
    page = open_page()
    assert "headlines.json of fashion-squeezenet cannot be read" in texts(page)
    assert metric(page, "File").value
    assert has_button(page, "measure") or has_button(page, "show_known")


def test_a_choice_left_alone_names_what_the_task_chooses(open_page: Open) -> None:
    assert open_page(prune="60").selectbox(key="criterion").options[0] == (
        "Taylor, by the loss, as was found best"
    )


def test_a_link_with_a_word_of_a_former_version_still_means_it(
    open_page: Open, fake: FakeWorkspace
) -> None:
    page = open_page(prune="0", rounding="learned", zeros="Repaired, untrained", sparsity="50")
    button(page, "measure").click().run()
    assert asked(fake).steps == (
        Sparsify(sparsity=0.5, method="sparsegpt"),
        Quantize(rounding="adaround"),
    )
