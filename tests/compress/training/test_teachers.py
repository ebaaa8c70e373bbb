"""Who may teach, and what a teacher's answers are."""

import dataclasses

import numpy as np
import pytest

from optim.compress.training import teachers
from optim.compress.training.evaluation import logits_of
from optim.compress.training.teachers import answers_of, teacher_answers, teachers_of
from optim.errors import RefusedError
from optim.task.datasets import Split
from optim.task.task import load_task
from tests.small_task import small_task


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("tiny"), windows=24)


def test_without_a_name_the_original_teaches(tiny):
    assert teachers_of(tiny, ()) == (tiny,)


def test_a_named_teacher_answers_the_students_own_examples(tiny):
    (teacher,) = teachers_of(tiny, ("motion-cnn",))
    training = tiny.split("train")
    answers = answers_of((teacher,), training)
    assert answers.shape == (1, 24, 7)
    np.testing.assert_allclose(
        answers[0], logits_of(load_task("motion-cnn").network(), training.inputs), atol=0.02
    )


def test_answers_that_ship_are_taken_as_they_are():
    task = load_task("motion-cnn")
    assert np.array_equal(teacher_answers(task, lambda *_: None), task.teacher_logits())


def test_answers_that_do_not_ship_are_asked_for_once(tiny, monkeypatch):
    monkeypatch.setattr(teachers, "_ASKED", {})
    said = []
    first, second = (teacher_answers(tiny, lambda share, words: said.append(words)) for _ in "ab")
    assert said == ["asking Tiny for its answers"]
    assert first is second


def test_other_examples_of_the_same_number_are_asked_for_anew(tiny):
    training = tiny.split("train")
    mirrored = Split(inputs=training.inputs[::-1].copy(), targets=training.targets)
    forth, back = answers_of((tiny,), training), answers_of((tiny,), mirrored)
    np.testing.assert_allclose(forth[0, ::-1], back[0], atol=0.02)
    assert not np.array_equal(forth, back)


def test_an_ensemble_answers_with_the_geometric_mean_at_every_temperature(tiny):
    pair = (tiny, load_task("motion-cnn"))
    training = tiny.split("train")
    one, other, both = (
        answers_of(who, training)[0].astype(np.float64) for who in (pair[:1], pair[1:], pair)
    )
    for temperature in (1.0, 4.0):
        mean = np.sqrt(_softmax(one / temperature) * _softmax(other / temperature))
        np.testing.assert_allclose(
            _softmax(both / temperature), mean / mean.sum(1, keepdims=True), atol=1e-5
        )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fashion-resnet", "cannot teach tiny: it answers with 10 classes"),
        ("motion-cn", "no teacher 'motion-cn'"),
        ("../../etc", "no teacher"),
    ],
)
def test_a_teacher_of_another_question_is_refused_and_those_that_fit_are_named(tiny, name, reason):
    with pytest.raises(RefusedError) as refused:
        teachers_of(tiny, ("motion-cnn", name))
    assert reason in refused.value.refusal.reason
    assert "motion-cnn" in refused.value.refusal.remedy


def test_a_teacher_for_another_shape_is_refused(tiny):
    shorter = dataclasses.replace(tiny.dataset, input_shape=(6, 64))
    with pytest.raises(RefusedError, match=r"inputs of shape \(6, 128\)"):
        teachers_of(dataclasses.replace(tiny, dataset=shorter), ("motion-cnn",))


def _softmax(x):
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
