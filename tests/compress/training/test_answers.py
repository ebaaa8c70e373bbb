"""What teachers answer, and that they are asked once."""

import numpy as np
import pytest

from optim.compress.training import answers
from optim.compress.training.answers import answers_of, teacher_answers
from optim.compress.training.evaluation import logits_of
from optim.compress.training.loop import Follow
from optim.task.datasets import Split
from optim.task.task import load_task
from tests.small_task import small_task


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("tiny"), windows=24)


@pytest.fixture
def in_parts(monkeypatch):
    """Three parts: of 10, 10 and 4 examples."""
    monkeypatch.setattr(answers, "PART", 10)


@pytest.fixture
def asked(monkeypatch):
    """How many examples each call to the network was about."""
    counted = []
    original = answers.label_views

    def counting(network, inputs, kind):
        counted.append(len(inputs))
        return original(network, inputs, kind)

    monkeypatch.setattr(answers, "label_views", counting)
    return counted


def test_a_teacher_answers_the_students_own_examples(tiny):
    teacher, training = load_task("motion-cnn"), tiny.split("train")
    found = answers_of((teacher,), training, follow=Follow())
    assert found.shape == (1, 24, 7)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found[0], logits_of(teacher.network(), training.inputs), atol=0.02)


def test_the_teacher_of_a_sample_knows_its_training_split():
    task = load_task("motion-cnn")
    found = teacher_answers(task, Follow())
    assert found.shape == (1, len(task.split("train")), len(task.labels))
    assert (found[0].argmax(1) == task.split("train").targets).mean() > 0.9


def test_answers_are_asked_for_once_in_a_workspace(tiny, tmp_path, in_parts, asked):
    said = []
    follow = Follow(progress=lambda share, words: said.append(words), answers=tmp_path)
    first, second = (teacher_answers(tiny, follow) for _ in "ab")
    assert asked == [10, 10, 4]
    assert said[0] == "asking Tiny for its answers: 0 of 24 examples"
    assert said[-1].startswith("asking Tiny for its answers: 20 of 24 examples, about ")
    np.testing.assert_array_equal(first, second)


def test_answers_do_not_depend_on_where_they_are_kept(tiny, tmp_path, in_parts):
    kept = teacher_answers(tiny, Follow(answers=tmp_path))
    np.testing.assert_array_equal(teacher_answers(tiny, Follow()), kept)


def test_asking_goes_on_where_it_was_stopped(tiny, tmp_path, in_parts, asked):
    def stop(share, words):
        if words.startswith("asking Tiny for its answers: 20"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teacher_answers(tiny, Follow(progress=stop, answers=tmp_path))
    resumed = teacher_answers(tiny, Follow(answers=tmp_path))
    assert asked == [10, 10, 4]
    np.testing.assert_array_equal(resumed, teacher_answers(tiny, Follow()))


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY"])
def test_a_damaged_part_is_asked_for_again(tiny, tmp_path, in_parts, asked, content):
    whole = teacher_answers(tiny, Follow(answers=tmp_path))
    sorted(tmp_path.rglob("*.npy"))[1].write_bytes(content)
    np.testing.assert_array_equal(teacher_answers(tiny, Follow(answers=tmp_path)), whole)
    assert asked == [10, 10, 4, 10]


def test_other_examples_of_the_same_number_are_asked_for_anew(tiny, tmp_path):
    training, follow = tiny.split("train"), Follow(answers=tmp_path)
    mirrored = Split(inputs=training.inputs[::-1].copy(), targets=training.targets)
    forth = answers_of((tiny,), training, follow=follow)
    back = answers_of((tiny,), mirrored, follow=follow)
    np.testing.assert_allclose(forth[0, ::-1], back[0], atol=0.02)
    assert not np.array_equal(forth, back)


def test_an_ensemble_answers_with_the_geometric_mean_at_every_temperature(tiny):
    pair = (tiny, load_task("motion-cnn"))
    training = tiny.split("train")
    one, other, both = (
        answers_of(who, training, follow=Follow())[0].astype(np.float64)
        for who in (pair[:1], pair[1:], pair)
    )
    for temperature in (1.0, 4.0):
        mean = np.sqrt(_softmax(one / temperature) * _softmax(other / temperature))
        np.testing.assert_allclose(
            _softmax(both / temperature), mean / mean.sum(1, keepdims=True), atol=1e-5
        )


def _softmax(x):
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
