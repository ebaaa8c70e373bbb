"""What pages say: steps, lessons, sliders, links, and text that strangers wrote."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.compare import flips
from dashboard.compare.sparkline import series_svg
from dashboard.state import keys as state
from dashboard.state.chosen import Chosen
from dashboard.state.settings import Settings, settings_of
from dashboard.words import step_words, story
from dashboard.words.markup import plain
from optim.recipe import (
    Activations,
    Architecture,
    Calibration,
    Criterion,
    Distill,
    MixedPrecision,
    Precision,
    Prune,
    PruningUnit,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Rounding,
    Sparsify,
    Step,
    recipe_of,
)
from optim.recipe.field import Choice, Control, Field, Integer, Number
from optim.recipe.fields import controls
from optim.search.effort import seconds_to_measure
from optim.search.pareto import Objective, ranked_front
from optim.task.task import Task, load_task
from tests.any_recipe import STEPS
from tests.any_recipe import recipes as any_recipes
from tests.dashboard.factories import candidate, control, sample_candidates

SHIPPED = load_task("fashion-squeezenet")
TASK = replace(SHIPPED, card=replace(SHIPPED.card, pruning=None))
"""Whose card says nothing of pruning, so that it is pruned as usual."""


@given(STEPS)
def test_any_step_is_told_in_one_sentence_or_two(step: Step) -> None:
    sentence = step_words.sentence(step)
    assert sentence[0].isupper() or sentence[0].isdigit()
    assert sentence.endswith(".")
    assert not set("{}<>_") & set(sentence)
    assert "  " not in sentence


def test_what_is_new_in_pruning_is_said() -> None:
    told = step_words.sentence(
        Prune(ratio=0.7, unit="macs", criterion="taylor", scope="global", rounds=3, epochs=6)
    )
    assert told == (
        "The channels that the loss would miss least, sought in the whole network, were removed "
        "until 70 % of the multiply-accumulates were gone; that was done in 3 rounds, and the rest "
        "was fine-tuned for 6 epochs with the original as teacher, spread over them."
    )
    assert "2 layers lost channels by a share of their own" in step_words.sentence(
        Prune(ratio=0.0, layers={"a": 0.5, "b": 0.25})
    )


def test_a_student_says_that_it_keeps_nothing_and_without_a_teacher_that_it_is_the_control() -> (
    None
):
    student = Replace(architecture="small_resnet", width=0.5, stride=2)
    assert step_words.sentence(student) == (
        "Another network, a small ResNet, 50 % as wide as usual, which sees the input at half the "
        "resolution, took the original's place and was trained from scratch for 10 epochs with the "
        "original as teacher. It keeps nothing of the original but its answers."
    )
    assert "is the control" in step_words.sentence(replace(student, distill=False))


def test_a_distillation_names_its_teachers_and_what_it_may_use() -> None:
    known = load_task("fashion-resnet")
    step = Distill(teacher=(known.name, "b-net"), labels=False, data_share=0.1, loss="hints")
    assert step_words.sentence(step) == (
        "For 5 epochs the network learned from the answers of "
        f"{known.title} and b-net together and its features; the temperature was 4; no label was "
        "used; 10 % of the training data was used."
    )


def test_zeros_are_told_with_their_pattern() -> None:
    assert step_words.sentence(Sparsify(sparsity=0.8, epochs=0)) == (
        "80 % of the weights became zero: the smallest at once; nothing was trained afterwards."
    )
    assert step_words.sentence(Sparsify(pattern="2:4")).startswith(
        "2 of 4 neighbouring weights became zero"
    )


def test_every_step_is_told_in_a_sentence() -> None:
    recipe = recipe_of(pruning_ratio=0.5, precision="int8", epochs=2)
    prune, quantize = story.what_changed(recipe)
    assert prune == (
        "The 50 % of channels that matter least were removed; the rest was fine-tuned for "
        "2 epochs with the original as teacher."
    )
    assert "512 training examples" in quantize
    assert "scratch" in story.what_changed(control(0.5))[0]
    assert "as it was trained" in story.what_changed(Recipe())[0]


ANY_STEPS = (
    ReplaceActivation(epochs=0),
    Prune(ratio=0.0, blocks=1),
    QuantizeAware(learned_scales=True, per_channel=False),
    Quantize(precision=Precision.INT4, rounding=Rounding.ADAROUND, equalize=True, smooth=0.5),
    MixedPrecision(layers={f"layer{i}": Precision.FP32 for i in range(6)}),
)


@pytest.mark.parametrize("step", ANY_STEPS, ids=lambda step: type(step).__name__)
def test_no_step_is_without_its_sentence(step) -> None:
    told = step_words.sentence(step)
    assert told[0] == told[0].upper()
    assert told.endswith(".")
    assert "  " not in told
    assert "; ." not in told


def test_the_sentences_of_steps_say_what_was_unusual() -> None:
    told = "\n".join(map(step_words.sentence, ANY_STEPS))
    for words in (
        "became ReLU; nothing was trained afterwards",
        "1 block that changes least gave way",
        "4-bit weights",
        "the scales were learnt",
        "learnt from examples",
        "evened out",
        "6 layers stayed in FP32: layer0, layer1, layer2, layer3 and 2 more",
    ):
        assert words in told
    floating = step_words.sentence(Quantize(activations=Activations.FLOAT))
    assert "computing is as before" in floating
    assert "training examples" not in floating


def test_lessons_point_to_the_candidate_that_they_quote() -> None:
    candidates = sample_candidates()
    lessons = story.lessons(candidates, epochs=1.0, family="resnet")
    by_id = {c.id: c for c in candidates}
    quoted = [by_id[lesson.candidate_id].words() for lesson in lessons[:3] if lesson.candidate_id]
    assert quoted == ["INT8", "prune 50 % of channels", "prune 50 % of channels, INT8"]
    assert all(words in lesson.text for words, lesson in zip(quoted, lessons, strict=False))
    assert lessons[3].title == "Then distil"
    assert lessons[4].candidate_id is not None


def test_lessons_without_a_measured_candidate_say_what_to_try() -> None:
    only = story.lessons((candidate(Recipe()),), epochs=3.0, family="squeezenet")
    assert only[1].recipe == recipe_of(pruning_ratio=0.5, epochs=3.0)
    assert "Not measured" in only[1].text
    assert only[3].recipe == Recipe(steps=(Replace(architecture="squeezenet", width=0.5),))
    assert state.fits_sliders(only[3].recipe, TASK)
    assert story.lessons((), epochs=1.0, family="resnet") == ()


def test_the_best_student_or_distilled_candidate_is_quoted() -> None:
    student = Recipe(steps=(Replace(architecture="small_resnet", width=0.5),))
    taught = Recipe(steps=(Prune(ratio=0.5), Distill()))
    alone = replace(student, steps=(replace(student.steps[0], distill=False),))
    candidates = (
        *sample_candidates(),
        candidate(student, speedup=9.0, lost=50),
        candidate(taught, speedup=4.0, lost=20),
        candidate(alone, speedup=30.0, lost=10),  # the control teaches nothing
    )
    lesson = story.lessons(candidates, epochs=1.0, family="resnet")[3]
    assert lesson.candidate_id == student.fingerprint[:12]
    assert student.words() in lesson.text


def test_each_candidate_has_one_standing() -> None:
    front = ranked_front(sample_candidates(), tuple(Objective))
    assert {story.standing(c, front) for c in front.members} == {"on the front"}
    unknown = replace(front.members[0], id="0" * 12, latency=None)
    assert story.standing(unknown, front) == "not measured"


def values_of(field: Field, control: Control) -> st.SearchStrategy[object]:
    """Whatever the control of a field may say."""
    match field.kind:
        case Choice():
            return st.sampled_from(list(field.kind.of))
        case Integer() | Number():
            high = field.kind.high if control.high is None else control.high
            return st.sampled_from([field.kind.low, high])
        case _:
            return st.booleans()


CHOSEN = st.fixed_dictionaries(
    {},
    optional={
        (kind, field.name): values_of(field, control)
        for kind, field, control in controls()
        if kind in state.CHOSEN_STEPS
    },
).map(lambda said: Chosen(frozenset((*where, value) for where, value in said.items())))


settings = st.builds(
    Settings,
    unit=st.sampled_from(list(PruningUnit)),
    student=st.none() | st.sampled_from(list(Architecture)),
    width=st.sampled_from([10, 55, 100]),
    stride=st.integers(1, 2),
    student_epochs=st.sampled_from([0.5, 10.0]),
    teacher=st.sampled_from([None, "fashion-resnet", "fashion-mobilenetv2", "motion-cnn", "?"]),
    sparsity=st.sampled_from([0, 0, 50, 90]),
    precision=st.sampled_from(list(Precision)),
    prune=st.integers(0, 18).map(lambda step: 5 * step),
    blocks=st.integers(0, 8),
    epochs=st.sampled_from([None, 0.0, 2.0]),
    distill=st.booleans(),
    fuse=st.booleans(),
    training=st.sampled_from([0.0, 1.0]),
    chosen=CHOSEN,
)


FOUND = replace(
    TASK, card=replace(TASK.card, pruning=Prune(ratio=0.5, criterion="taylor", rounds=2, epochs=4))
)


@given(settings, st.sampled_from([TASK, FOUND]))
def test_whatever_the_sliders_say_they_can_show_again(chosen: Settings, task: Task) -> None:
    recipe = chosen.recipe(task)
    shown = settings_of(recipe, task)
    assert shown is not None
    assert shown.recipe(task) == recipe


@given(any_recipes())
def test_any_recipe_is_shown_by_the_sliders_exactly_or_not_at_all(recipe: Recipe) -> None:
    shown = settings_of(recipe, TASK)
    assert shown is None or shown.recipe(TASK) == recipe


def test_fields_left_alone_take_the_best_recipe_found_for_the_task() -> None:
    step = Settings(prune=50).recipe(FOUND).step(Prune)
    assert step == Prune(ratio=0.5, criterion="taylor", rounds=2, epochs=4)
    assert Settings(prune=50).recipe(TASK).step(Prune) == Prune(ratio=0.5, epochs=3)
    own = (
        Settings(prune=50, chosen=Chosen.of("prune", criterion=Criterion.L1))
        .recipe(FOUND)
        .step(Prune)
    )
    assert own is not None
    assert own.criterion is Criterion.L1
    assert own.rounds == 2


def test_choices_without_effect_make_no_other_recipe() -> None:
    float_ones = Chosen.of("quantize", activations=Activations.FLOAT)
    plain = Settings(prune=0, chosen=float_ones)
    idle = {"calibration": Calibration.MSE, "calibration_examples": 64}
    same = replace(plain, chosen=float_ones.with_fields("quantize", idle))
    assert same.recipe(TASK) == plain.recipe(TASK)
    whole = Settings(prune=0, precision=Precision.FP32)
    chosen = Chosen.of("quantize", equalize=True)
    assert replace(whole, training=2.0, chosen=chosen).recipe(TASK) == Recipe()


def test_sliders_show_only_recipes_that_they_can_say() -> None:
    task = TASK
    assert state.fits_sliders(recipe_of(pruning_ratio=0.45, precision="int8"), task)
    assert state.fits_sliders(Recipe(), task)
    assert not state.fits_sliders(recipe_of(pruning_ratio=0.47), task)
    assert not state.fits_sliders(recipe_of(pruning_ratio=0.95), task)
    assert not state.fits_sliders(recipe_of(precision="int8", seed=1), task)
    assert not state.fits_sliders(control(0.5), task)


def test_flips_are_sorted_by_what_became_of_them() -> None:
    truth = np.array([0, 0, 0, 0])
    before, after = np.array([0, 1, 1, 0]), np.array([1, 0, 2, 0])
    found = flips.flips_between(before, after, truth)
    assert (found.worse.tolist(), found.better.tolist(), found.other.tolist()) == ([0], [1], [2])


@given(st.integers(0, 3), st.integers(2, 200))
def test_no_changed_answer_is_lost_or_shown_twice(seed: int, n: int) -> None:
    truth, before, after = np.random.default_rng(seed).integers(0, 3, (3, n))
    found = flips.flips_between(before, after, truth)
    together = np.concatenate([found.worse, found.better, found.other])
    assert sorted(together.tolist()) == np.flatnonzero(before != after).tolist()


@pytest.mark.parametrize("text", ["<b>x</b>", "[a](http://b)", "**bold** `code`", ":red[x] $y$"])
def test_foreign_text_keeps_no_markup(text: str) -> None:
    escaped = plain(text)
    assert escaped.replace("\\", "") == text
    for i, character in enumerate(escaped):
        if character in "<[*`:$(":
            assert escaped[i - 1] == "\\"


def test_a_finished_prefix_is_not_counted_again() -> None:
    base = candidate(Recipe())
    half = replace(candidate(recipe_of(pruning_ratio=0.5)), seconds=60.0)
    int8 = recipe_of(pruning_ratio=0.5, precision="int8")
    assert seconds_to_measure(int8, [base]) is None
    quick = seconds_to_measure(int8, [base, half])
    longer = seconds_to_measure(recipe_of(pruning_ratio=0.4, precision="int8"), [base, half])
    assert quick is not None
    assert longer == pytest.approx(quick + 60.0)
    assert seconds_to_measure(recipe_of(precision="int8"), [base]) == quick
    twice = seconds_to_measure(recipe_of(pruning_ratio=0.4, epochs=2.0), [base, half])
    assert twice == pytest.approx(quick + 120.0)


def test_training_on_the_grid_and_learned_rounding_take_their_time() -> None:
    base = candidate(Recipe())
    half = replace(candidate(recipe_of(pruning_ratio=0.5)), seconds=60.0)
    int8 = recipe_of(precision="int8")
    quick = seconds_to_measure(int8, [base, half])
    assert quick is not None
    trained = Recipe(steps=(QuantizeAware(epochs=3.0), Quantize(precision=Precision.INT4)))
    assert seconds_to_measure(trained, [base, half]) == pytest.approx(quick + 180.0)
    assert seconds_to_measure(trained, [base]) is None
    learned = Recipe(steps=(Quantize(rounding=Rounding.ADAROUND),))
    assert seconds_to_measure(learned, [base]) == pytest.approx(quick + 60.0)


def test_a_sparkline_draws_every_axis_inside_its_band() -> None:
    readings = np.random.default_rng(0).normal(size=(6, 40))
    readings[5] = 7.0  # an axis that says nothing
    colours = ["#000001", "#000002", "#000003"]
    drawn = series_svg(readings, width=120, height=80, colours=colours, rule="#000000")
    lines = re.findall(r'points="([^"]+)"', drawn)
    assert len(lines) == 6
    for axis, line in enumerate(lines):
        points = np.array([point.split(",") for point in line.split()], float)
        assert points.shape == (40, 2)
        band = axis // 3
        assert (points[:, 1] >= 40 * band).all()
        assert (points[:, 1] <= 40 * (band + 1)).all()
        # pixels count downwards: the largest reading is the highest point
        assert readings[axis].argmax() == 0 or points[:, 1].argmin() == readings[axis].argmax()
