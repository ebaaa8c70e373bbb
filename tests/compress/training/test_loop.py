import numpy as np
import pytest
import torch
from torch import nn

from optim.compress.training.answers import label_views
from optim.compress.training.augment import CUTOUT, augment, views
from optim.compress.training.batches import training_batches
from optim.compress.training.evaluation import accuracy_of, logits_of, reestimate_batchnorm
from optim.compress.training.loop import Follow, train
from optim.compress.training.schedule import Schedule
from optim.task.datasets import Split


def _split(n=256, seed=0):
    """Two classes: the bright half of the picture is on the left or on the right... or on top."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, n)
    inputs = rng.normal(0, 0.3, (n, 1, 28, 28)).astype(np.float32)
    inputs[targets == 0, :, :14] += 1.0
    inputs[targets == 1, :, 14:] += 1.0
    return Split(inputs=inputs, targets=targets)


def _network(width=4):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, width, 5, stride=4),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(36 * width, 2),
    )


def _train(network, *, epochs=3.0, seed=0, bfloat16=False, ema_decay=0.0, **more):
    return train(
        network,
        _split(),
        _split(seed=1),
        kind="image",
        schedule=Schedule(
            epochs=epochs, max_lr=0.05, batch_size=32, bfloat16=bfloat16, ema_decay=ema_decay
        ),
        seed=seed,
        **more,
    )


def _equal(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_training_learns_and_leaves_its_argument_alone():
    network = _network()
    before = network[0].weight.clone()
    trained = _train(network)
    assert trained.score > 0.95
    assert accuracy_of(trained.network, _split(seed=2)) > 0.95
    assert torch.equal(network[0].weight, before)
    assert len(trained.history) == 3


def test_the_same_seed_gives_the_same_network():
    first, second = _train(_network(), epochs=1.0), _train(_network(), epochs=1.0)
    assert torch.equal(first.network[0].weight, second.network[0].weight)


class KilledError(Exception):
    pass


def _killed_after(epoch, path, network, **more):
    """Leave the checkpoint of a training that was killed before its log knew of an epoch."""

    def kill(line):
        if line.epoch == epoch:
            raise KilledError

    with pytest.raises(KilledError):
        _train(network, follow=Follow(on_epoch=kill, checkpoint=path), **more)
    assert path.exists()


def _with_dropout():
    network = _network()
    network.insert(4, nn.Dropout(0.3))
    return network


@pytest.mark.parametrize("build", [_network, _with_dropout])
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_killed_training_goes_on_where_it_stopped_and_ends_as_a_whole_one(
    tmp_path, build, ema_decay
):
    whole = _train(build(), ema_decay=ema_decay)
    _killed_after(2, tmp_path / "run.pt", build(), ema_decay=ema_decay)
    torch.rand(7)  # chance elsewhere in the process
    said, told = [], []
    follow = Follow(
        progress=lambda share, words: said.append(words),
        on_epoch=lambda line: told.append(line.epoch),
        checkpoint=tmp_path / "run.pt",
    )
    resumed = _train(build(), ema_decay=ema_decay, follow=follow)
    assert told == [1, 2, 3]
    assert not any("epoch 1" in words or "epoch 2" in words for words in said)
    assert _equal(resumed.network, whole.network)
    assert [line.loss for line in resumed.history] == [line.loss for line in whole.history]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_written_over(tmp_path, content):
    path = tmp_path / "run.pt"
    if content is None:  # cut off in the middle
        _killed_after(1, path, _network())
        content = path.read_bytes()[:-900]
    path.write_bytes(content)
    trained = _train(_network(), follow=Follow(checkpoint=path))
    assert _equal(trained.network, _train(_network()).network)
    assert torch.load(path, weights_only=True)["step"] == 24


@pytest.mark.parametrize("other", [{"seed": 1}, {"epochs": 2.0}, {"width": 5}])
def test_a_checkpoint_of_another_training_is_not_continued(tmp_path, other):
    path = tmp_path / "run.pt"
    width = other.get("width", 4)
    more = {name: value for name, value in other.items() if name != "width"}
    _killed_after(1, path, _network(width), **more)
    trained = _train(_network(), follow=Follow(checkpoint=path))
    assert _equal(trained.network, _train(_network()).network)


def test_a_finished_training_is_read_back_without_a_step(tmp_path):
    follow = Follow(checkpoint=tmp_path / "run.pt")
    first = _train(_network(), follow=follow)
    again = _train(_network(), follow=follow)
    assert again.history == first.history
    assert _equal(again.network, first.network)


def test_a_gentle_schedule_changes_examples_as_beside_a_teacher():
    def trained(weak_augmentation, teacher_logits=None):
        schedule = Schedule(
            epochs=1, max_lr=0.05, batch_size=32, alpha=0.0, weak_augmentation=weak_augmentation
        )
        return train(
            _network(), _split(), _split(seed=1), kind="image", schedule=schedule, seed=0,
            teacher_logits=teacher_logits,
        ).network  # fmt: skip

    ignored = np.zeros((2, 256, 2), dtype=np.float32)  # alpha is 0
    assert _equal(trained(True), trained(False, ignored))
    assert not _equal(trained(True), trained(False))


def test_patience_stops_when_nothing_gets_better_and_the_best_epoch_is_kept():
    def spoil(share, network):
        if share > 0.2:
            network[4].weight.data.zero_()

    schedule = Schedule(epochs=10, max_lr=0.05, batch_size=32, patience=3)
    trained = train(
        _network(), _split(), _split(seed=1), kind="image", schedule=schedule, seed=0,
        after_step=spoil,
    )  # fmt: skip
    best = max(trained.history, key=lambda line: line.score)  # of equal ones the first
    assert trained.best.score == best.score
    assert len(trained.history) == best.epoch + 3 < 10
    assert (trained.network[4].weight != 0).any()


def test_bfloat16_is_used_where_the_processor_multiplies_in_it_and_nowhere_else(monkeypatch):
    def trained(*, fast, wanted):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast, "avx2": True}
        )
        return _train(_network(), epochs=1.0, bfloat16=wanted).network

    plain = trained(fast=True, wanted=False)
    assert _equal(plain, trained(fast=False, wanted=True))
    assert not _equal(plain, trained(fast=True, wanted=True))


def test_a_single_last_example_does_not_stand_alone():
    rows = torch.arange(33)
    assert [len(batch) for batch in training_batches(rows, 16)] == [16, 17]
    assert torch.equal(torch.cat(training_batches(rows, 16)), rows)
    assert [len(batch) for batch in training_batches(rows[:20], 16)] == [16, 4]


def test_zeros_that_a_hook_holds_are_zero_in_what_comes_back():
    shares = []

    def hold(share, network):
        shares.append(share)
        network[0].weight.data[:, :, 0] = 0.0

    schedule = Schedule(epochs=2, max_lr=0.05, batch_size=32, ema_decay=0.9)
    trained = train(
        _network(), _split(), _split(seed=1), kind="image", schedule=schedule, seed=0,
        after_step=hold,
    )  # fmt: skip
    assert shares == [i / 16 for i in range(1, 17)]
    assert (trained.network[0].weight[:, :, 0] == 0).all()
    assert (trained.network[0].weight[:, :, 1] != 0).all()


def test_epochs_before_a_share_of_the_training_are_not_kept():
    def spoil(share, network):
        if share > 0.5:
            network[4].weight.data.zero_()

    plain, late = (
        train(
            _network(), _split(), _split(seed=1), kind="image", seed=0, after_step=spoil,
            schedule=Schedule(epochs=4, max_lr=0.05, batch_size=32, keep_from=keep_from),
        )
        for keep_from in (0.0, 0.6)
    )  # fmt: skip
    assert plain.best.epoch <= 2 < late.best.epoch
    assert (late.network[4].weight == 0).all()


def test_a_student_follows_a_teacher_that_contradicts_the_labels():
    training = _split()
    teacher = np.zeros((2, len(training), 2), np.float16)
    teacher[:, np.arange(len(training)), 1 - training.targets] = 20.0  # always the other class
    trained = train(
        _network(),
        training,
        _split(seed=1),
        kind="image",
        schedule=Schedule(epochs=3, max_lr=0.05, batch_size=32, alpha=1.0, temperature=1.0),
        seed=0,
        teacher_logits=teacher,
    )
    assert accuracy_of(trained.network, _split(seed=2)) < 0.5 or trained.history[-1].score < 0.1


def test_a_loss_that_is_not_finite_is_said_in_one_sentence():
    with pytest.raises(ArithmeticError, match=r"Lower max_lr"):
        train(
            _network(),
            _split(),
            _split(seed=1),
            kind="image",
            schedule=Schedule(epochs=1, max_lr=1e30, batch_size=32),
            seed=0,
        )


def test_an_epoch_count_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"epochs must be above 0"):
        Schedule(epochs=0)


def test_reestimated_statistics_describe_the_data_that_flows():
    network = _network()
    network[1].running_mean.fill_(100.0)
    fixed = reestimate_batchnorm(network, _split().inputs)
    with torch.inference_mode():
        expected = network[0](torch.from_numpy(_split().inputs)).mean((0, 2, 3))
    torch.testing.assert_close(fixed[1].running_mean, expected, atol=1e-3, rtol=1e-3)
    assert network[1].running_mean[0] == 100.0


def test_a_mirrored_example_is_marked_and_its_teacher_view_matches():
    x = torch.arange(28.0).repeat(8, 1, 28, 1) + 1  # brightness grows from left to right
    changed, view = augment(x, "image", generator=torch.Generator().manual_seed(3))
    assert set(view.tolist()) == {0, 1}
    for example, mirrored in zip(changed, view, strict=True):
        row = example[0].amax(0)  # past the hole
        slope = (row[20] - row[8]).item()
        assert (slope < 0) == bool(mirrored)
    assert torch.equal(views(x, "image")[1], x.flip(3))


def test_an_image_loses_one_square_and_keeps_its_shape():
    x = torch.ones(16, 1, 28, 28)
    changed, _ = augment(x, "image", generator=torch.Generator().manual_seed(0))
    assert changed.shape == x.shape
    assert ((changed == 0).sum((1, 2, 3)) == CUTOUT * CUTOUT).all()


def test_gentle_changes_leave_the_picture_whole_and_nearly_in_place():
    x = torch.rand(16, 1, 28, 28) + 1.0
    changed, view = augment(
        x, "image", weak_augmentation=True, generator=torch.Generator().manual_seed(0)
    )
    assert (changed != 0).all()
    for before, after, mirrored in zip(x, changed, view, strict=True):
        whole = before.flip(2) if mirrored else before
        places = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)]
        assert any(
            torch.equal(after[0, 1:-1, 1:-1], whole[0, 1 + r : 27 + r, 1 + c : 27 + c])
            for r, c in places
        )


def test_a_series_keeps_its_shape_and_has_one_view():
    x = torch.randn(4, 6, 128)
    changed, view = augment(x, "series", generator=torch.Generator().manual_seed(0))
    assert changed.shape == x.shape
    assert not torch.equal(changed, x)
    assert view.tolist() == [0, 0, 0, 0]
    assert len(views(x, "series")) == 1


def test_teacher_answers_are_the_logits_of_each_view():
    network, inputs = _network().eval(), _split(16).inputs
    labelled = label_views(network, inputs, "image")
    assert labelled.shape == (2, 16, 2)
    np.testing.assert_allclose(labelled[0], logits_of(network, inputs), atol=1e-2)
    np.testing.assert_allclose(
        labelled[1], logits_of(network, np.ascontiguousarray(inputs[..., ::-1])), atol=1e-2
    )
