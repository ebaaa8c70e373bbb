"""The step: shares of the data, answers without labels, and what is refused."""

import dataclasses

import numpy as np
import pytest
import torch

from optim.candidate import candidate_id
from optim.compress.distill import SMALLEST_BATCH, distill, distillation_schedule, share_of
from optim.compress.student import student
from optim.compress.training.fine_tune import fine_tuning_schedule
from optim.compress.training.loop import Follow, train
from optim.errors import RefusedError
from optim.pipeline.make import make_candidate, trained_network
from optim.recipe import Distill, DistillationLoss, Prune, Recipe, Replace
from optim.store.results import Results
from optim.store.training_log import TrainingLog
from optim.task.datasets import Split
from optim.task.task import load_task
from tests.small_task import SmallTask, small_task


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Four steps an epoch, windows of several classes."""
    return _mixed(small_task(tmp_path_factory.mktemp("tiny"), windows=64, batch_size=16))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Changed(SmallTask):
    """Windows of several classes, and targets that a test may shuffle."""

    shuffled: bool = False
    empty: bool = False

    def split(self, name):
        whole = load_task("motion-cnn").split(name).take(self.windows)
        if name == "train" and self.empty:
            return whole.first(0)
        if name == "train" and self.shuffled:
            return Split(inputs=whole.inputs, targets=np.roll(whole.targets, 5))
        return whole


def _mixed(task, **changes):
    known = {field.name: getattr(task, field.name) for field in dataclasses.fields(SmallTask)}
    return _Changed(**known, **changes)


@pytest.fixture(scope="module")
def narrow():
    step = Replace(architecture="motion_cnn", width=0.25, epochs=0.0)
    return student(load_task("motion-cnn"), step, seed=0)


SILENT = Follow()


def _distilled(task, network, step, *, seed=0, from_scratch=True, follow=SILENT):
    return distill(task, network, step, seed=seed, from_scratch=from_scratch, follow=follow)


def _equal(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("loss", list(DistillationLoss))
def test_every_loss_trains_a_copy_and_the_same_seed_gives_the_same_network(tiny, narrow, loss):
    before = {name: value.clone() for name, value in narrow.state_dict().items()}
    step = Distill(epochs=0.5, loss=loss, labels=False)
    first, second = (_distilled(tiny, narrow, step) for _ in "ab")
    assert _equal(first, second)
    assert not _equal(first, narrow)
    assert all(torch.equal(before[name], value) for name, value in narrow.state_dict().items())
    assert not _equal(first, _distilled(tiny, narrow, step, seed=1))


@pytest.mark.parametrize("loss", list(DistillationLoss))
def test_without_labels_none_is_read(tiny, narrow, loss):
    step = Distill(epochs=0.5, loss=loss, labels=False, data_share=0.8)
    shuffled = _mixed(tiny, shuffled=True)
    assert _equal(_distilled(tiny, narrow, step), _distilled(shuffled, narrow, step))
    labelled = dataclasses.replace(step, labels=True, data_share=1.0)
    assert not _equal(_distilled(tiny, narrow, labelled), _distilled(shuffled, narrow, labelled))


def test_without_a_teacher_it_is_plain_training(tiny, narrow):
    alone = _distilled(tiny, narrow, Distill(epochs=1.0, alpha=0.0, loss="hints"))
    schedule = fine_tuning_schedule(tiny, Distill(epochs=1.0), from_scratch=True)
    plain = train(
        narrow, tiny.split("train"), tiny.split("validation"), kind="series", schedule=schedule,
        seed=0,
    )  # fmt: skip
    assert _equal(alone, plain.network)


def test_no_epoch_trains_nothing(tiny, narrow):
    assert _equal(_distilled(tiny, narrow, Distill(epochs=0.0)), narrow)


def test_patience_ends_a_training_that_brings_nothing(tiny, narrow):
    seen = []
    step = Distill(epochs=20.0, alpha=0.0, patience=2)
    never = dataclasses.replace(tiny, card=_with_rate(tiny, 1e-9))
    _distilled(never, narrow, step, follow=Follow(on_epoch=seen.append))
    best = max(seen, key=lambda epoch: epoch.score)
    assert len(seen) == best.epoch + 2 < 20


def _with_rate(task, rate):
    schedule = {**task.training.schedule, "max_lr": rate}
    training = dataclasses.replace(task.training, schedule=schedule)
    return dataclasses.replace(task.card, training=training)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_takes_the_same_part_of_each_class(share):
    classes = np.repeat([0, 1, 2], [100, 50, 10])
    rows = share_of(classes, share, seed=0, labels="abc")
    assert np.bincount(classes[rows]).tolist() == [round(n * share) for n in (100, 50, 10)]
    assert len(set(rows)) == len(rows)
    assert not np.array_equal(rows, share_of(classes, share, seed=1, labels="abc"))


def test_a_smaller_share_lies_inside_a_larger_one():
    classes = np.arange(300) % 3
    small, large = (set(share_of(classes, share, seed=4, labels="abc")) for share in (0.1, 0.4))
    assert small < large


def test_a_share_that_empties_a_class_is_refused_with_the_least_that_works():
    classes = np.repeat([0, 1], [1000, 20])
    with pytest.raises(RefusedError) as refused:
        share_of(classes, 0.01, seed=0, labels=("shoe", "bag"))
    assert "none of the class bag" in refused.value.refusal.reason
    assert "0.05" in refused.value.refusal.remedy
    assert np.bincount(classes[share_of(classes, 0.05, seed=0, labels="ab")]).tolist() == [50, 1]


def test_few_examples_still_make_many_steps():
    task = load_task("motion-cnn")
    whole = distillation_schedule(task, Distill(), from_scratch=True, examples=3510)
    some = distillation_schedule(task, Distill(data_share=0.1), from_scratch=True, examples=351)
    assert whole.batch_size == 64
    assert some.batch_size == 17
    assert 351 // some.batch_size >= 20
    assert some.max_lr == pytest.approx(whole.max_lr * (17 / 64) ** 0.5)
    few = distillation_schedule(task, Distill(data_share=0.01), from_scratch=True, examples=35)
    assert few.batch_size == SMALLEST_BATCH


def test_trained_weights_learn_at_a_gentle_rate_and_random_ones_at_the_full():
    task = load_task("fashion-mobilenetv2")
    lowered, full = (
        distillation_schedule(task, Distill(), from_scratch=from_scratch, examples=55_000).max_lr
        for from_scratch in (False, True)
    )
    assert full == task.training.schedule["max_lr"] == 4 * lowered


@pytest.mark.parametrize(
    ("name", "epochs", "share"),
    [("fashion-resnet", 1, 1 / 8), ("fashion-resnet", 3, 1 / 4), ("fashion-mobilenetv2", 1, 1 / 4),
     ("fashion-squeezenet", 1, 1)],
)  # fmt: skip
def test_a_short_training_takes_the_rate_that_the_card_says(name, epochs, share):
    task = load_task(name)
    step = Distill(epochs=epochs)
    schedule = distillation_schedule(task, step, from_scratch=False, examples=55_000)
    assert schedule.max_lr == share * task.training.schedule["max_lr"]
    fresh = distillation_schedule(task, step, from_scratch=True, examples=55_000)
    assert fresh.max_lr == task.training.schedule["max_lr"]
    assert schedule.weak_augmentation
    assert fresh.weak_augmentation


@pytest.mark.parametrize(("epochs", "weak_augmentation"), [(2, True), (3, False)])
def test_windows_get_weak_augmentation_in_short_trainings_alone(epochs, weak_augmentation):
    task = load_task("motion-cnn")
    step = Distill(epochs=epochs)
    assert (
        distillation_schedule(task, step, from_scratch=True, examples=5_000).weak_augmentation
        is weak_augmentation
    )


def test_no_training_data_is_refused_with_what_needs_none(tiny, narrow):
    with pytest.raises(RefusedError) as refused:
        _distilled(_mixed(tiny, empty=True), narrow, Distill())
    assert "nothing to learn from" in refused.value.refusal.reason
    assert "sparsegpt" in refused.value.refusal.remedy


def test_a_teacher_that_does_not_fit_is_a_row_with_a_reason(tiny, tmp_path):
    made = make_candidate(
        Results(tmp_path), tiny, Recipe(steps=(Distill(teacher=("fashion-resnet",)),))
    )
    assert made.artifact is None
    assert "cannot teach" in made.refusal.reason


def test_a_loss_that_is_no_number_is_a_row_with_a_reason(tiny, tmp_path):
    broken = dataclasses.replace(tiny, card=_with_rate(tiny, 1e30))
    made = make_candidate(Results(tmp_path), broken, Recipe(steps=(Distill(epochs=2.0),)))
    assert made.artifact is None
    assert "loss became" in made.refusal.reason


@pytest.mark.parametrize("loss", [DistillationLoss.SOFT, DistillationLoss.HINTS])
def test_a_distillation_logs_its_epochs_and_goes_on_after_a_kill(tiny, tmp_path, loss):
    recipe = Recipe(steps=(Prune(ratio=0.5, epochs=0.0), Distill(epochs=3.0, loss=loss)))

    class KilledError(Exception):
        pass

    def kill(share, words):
        if words.startswith("epoch 2"):
            raise KilledError

    whole, killed = Results(tmp_path / "whole"), Results(tmp_path / "killed")
    name = candidate_id(tiny, recipe)
    expected = trained_network(whole, tiny, recipe)
    assert [epoch.epoch for epoch in TrainingLog(whole.folder).get(name)] == [1, 2, 3]

    with pytest.raises(KilledError):
        trained_network(killed, tiny, recipe, progress=kill)
    before = TrainingLog(killed.folder).get(name)
    assert [epoch.epoch for epoch in before] == [1, 2]
    said = []
    resumed = trained_network(killed, tiny, recipe, progress=lambda _, words: said.append(words))
    assert not any(words.startswith(("epoch 1", "epoch 2")) for words in said)
    after = TrainingLog(killed.folder).get(name)
    assert after[:2] == before
    assert [epoch.epoch for epoch in after] == [1, 2, 3]
    assert _equal(resumed, expected)
    assert not list((killed.folder / "training").iterdir())
