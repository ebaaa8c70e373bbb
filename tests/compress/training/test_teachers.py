"""Who may teach."""

import dataclasses

import pytest

from optim.compress.training.teachers import teachers_of
from optim.errors import RefusedError
from tests.small_task import small_task


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("tiny"), windows=24)


def test_without_a_name_the_original_teaches(tiny):
    assert teachers_of(tiny, ()) == (tiny,)


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
        teachers_of(
            dataclasses.replace(tiny, card=dataclasses.replace(tiny.card, dataset=shorter)),
            ("motion-cnn",),
        )
