"""Each loss against its paper's sums, and hints that leave nothing behind."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from optim.compress.training.answers import label_views
from optim.compress.training.hints import hints_for, watched
from optim.compress.training.loop import train
from optim.compress.training.losses import decoupled, soft, training_loss
from optim.compress.training.schedule import Schedule
from optim.recipe import DistillationLoss
from optim.task.architectures import build
from optim.task.datasets import Split
from tests.reference import distillation as reference


def _logits(seed, n=5, classes=4, spread=3.0):
    chance = torch.Generator().manual_seed(seed)
    return spread * torch.randn(n, classes, generator=chance, dtype=torch.float64)


SOME = {
    "seed": st.integers(0, 1000),
    "classes": st.integers(2, 6),
    "temperature": st.sampled_from([0.5, 1.0, 4.0, 20.0]),
}


@settings(max_examples=25, deadline=None)
@given(**SOME)
def test_soft_targets_are_the_papers_sum(seed, classes, temperature):
    student, teacher = _logits(seed, classes=classes), _logits(seed + 1, classes=classes)
    ours = soft(student, teacher, temperature=temperature).item()
    assert ours == pytest.approx(
        reference.soft(student.tolist(), teacher.tolist(), temperature), abs=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(**SOME, beta=st.sampled_from([0.0, 0.5, 2.0, 8.0]))
def test_the_decoupled_loss_is_the_papers_sum(seed, classes, temperature, beta):
    student, teacher = _logits(seed, classes=classes), _logits(seed + 1, classes=classes)
    targets = torch.arange(5) % classes
    ours = decoupled(student, teacher, targets, temperature=temperature, beta=beta).item()
    theirs = reference.decoupled(
        student.tolist(), teacher.tolist(), targets.tolist(), temperature, beta
    )
    assert ours == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(**SOME)
def test_decoupled_parts_weighted_by_the_teachers_doubt_are_the_soft_targets(
    seed, classes, temperature
):
    student, teacher = _logits(seed, n=1, classes=classes), _logits(seed + 1, n=1, classes=classes)
    doubt = 1 - torch.softmax(teacher / temperature, 1)[0, 0].item()
    ours = decoupled(
        student, teacher, torch.tensor([0]), temperature=temperature, beta=doubt
    ).item()
    assert ours == pytest.approx(soft(student, teacher, temperature=temperature).item(), abs=1e-9)


@pytest.mark.parametrize("loss", [DistillationLoss.SOFT, DistillationLoss.DECOUPLED])
def test_a_teacher_without_doubt_gives_finite_gradients(loss):
    student = torch.tensor([[50.0, -50.0, 0.0], [-80.0, 80.0, 3.0]], requires_grad=True)
    teacher = torch.tensor([[-200.0, 200.0, 0.0], [1e4, -1e4, 0.0]])
    schedule = Schedule(epochs=1, loss=loss, temperature=1.0)
    value = training_loss(student, torch.tensor([1, 0]), teacher, schedule)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(student.grad).all()
    assert student.grad.abs().max() > 0


@pytest.mark.parametrize("loss", [DistillationLoss.SOFT, DistillationLoss.DECOUPLED])
def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn_from_it(loss):
    student = _logits(0).requires_grad_()
    schedule = Schedule(epochs=1, loss=loss, alpha=1.0)
    value = training_loss(student, torch.arange(5) % 4, student.detach() + 7.0, schedule)
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert student.grad.abs().max() < 1e-12


def test_alpha_mixes_teacher_and_labels():
    student, teacher, targets = _logits(0), _logits(1), torch.arange(5) % 4

    def at(alpha):
        return training_loss(student, targets, teacher, Schedule(epochs=1, alpha=alpha)).item()

    assert at(0.0) == pytest.approx(
        training_loss(student, targets, None, Schedule(epochs=1)).item()
    )
    assert at(0.3) == pytest.approx(0.3 * at(1.0) + 0.7 * at(0.0))


def _images(n=6):
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))


class _Stages(nn.Module):
    """Features at 14 x 14 and 7 x 7, then an average: in the order of their use."""

    def __init__(self, width):
        super().__init__()
        self.early = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.late = nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.late(self.early(x)).mean((2, 3)))


def test_hints_meet_where_both_networks_have_the_same_resolution():
    torch.manual_seed(0)
    hints = hints_for(_Stages(4), _Stages(6), _images(2), seed=0)
    assert hints.places == (("late", "late"), ("early", "early"))
    assert [tuple(r.weight.shape) for r in hints.regressors] == [(6, 4, 1, 1)] * 2


def test_the_distance_of_hints_is_the_unexplained_share_of_the_teachers_features():
    torch.manual_seed(0)
    student, teacher, x = _Stages(4), _Stages(6), _images()
    hints = hints_for(student, teacher, x, seed=0)
    with torch.no_grad():
        with watched(student, hints.student_places) as features:
            student(x)
        ours = hints.distance(features, x).item()
        early, late = (teacher.early(x), teacher.late(teacher.early(x)))
        mine = [
            regressor(features[place])
            for place, regressor in zip(("late", "early"), hints.regressors, strict=True)
        ]
    lists = [
        [[channel.flatten().tolist() for channel in part.transpose(0, 1)] for part in pair]
        for pair in zip(mine, (late, early), strict=True)
    ]
    expected = sum(reference.unexplained(*pair) for pair in lists) / 2
    assert ours == pytest.approx(expected, rel=1e-4)


def test_a_student_that_knows_nothing_leaves_everything_unexplained():
    torch.manual_seed(0)
    hints = hints_for(_Stages(4), _Stages(6), _images(), seed=0)
    for regressor in hints.regressors:
        regressor.weight.data.zero_()
        regressor.bias.data.zero_()
    features = {"late": torch.randn(6, 4, 7, 7), "early": torch.randn(6, 4, 14, 14)}
    alive = hints.distance(features, _images()).item()
    assert 0.3 < alive <= 1.0  # channels that are dead behind the ReLU have nothing to explain


@pytest.mark.parametrize(
    ("student", "teacher"),
    [("resnet", "squeezenet"), ("mobilenetv2", "resnet"), ("motion_cnn", "motion_cnn")],
)
def test_architectures_give_each_other_hints(student, teacher):
    series = student == "motion_cnn"
    networks = [
        build(name, in_channels=6 if series else 1, classes=7) for name in (student, teacher)
    ]
    x = torch.randn(2, 6, 128) if series else _images(2)
    hints = hints_for(*networks, x, seed=0)
    assert 1 <= len(hints.places) <= 3
    with watched(networks[0], hints.student_places) as features:
        networks[0](x)
    assert math.isfinite(hints.distance(features, x).item())


def test_networks_without_a_common_resolution_meet_at_their_deepest_places():
    torch.manual_seed(0)
    coarse = nn.Sequential(nn.Conv2d(1, 5, 4, stride=8), nn.Flatten(), nn.Linear(5 * 16, 3))
    hints = hints_for(coarse, _Stages(6), _images(2), seed=0)
    assert hints.places == (("0", "late"),)
    with watched(coarse, hints.student_places) as features:
        coarse(_images())
    assert math.isfinite(hints.distance(features, _images()).item())


def test_hints_teach_and_leave_no_trace_in_the_student():
    torch.manual_seed(0)
    student, teacher = _Stages(4), _Stages(6)
    inputs = _images(64).numpy()
    data = Split(inputs=inputs, targets=np.arange(64) % 3)
    losses = []
    for epochs in (1, 8):
        trained = train(
            student, data, data, kind="image", seed=0, hints_from=teacher,
            teacher_logits=label_views(teacher, inputs, "image"),
            schedule=Schedule(
                epochs=epochs, batch_size=16, max_lr=0.1, loss=DistillationLoss.HINTS, alpha=1.0
            ),
        )  # fmt: skip
        losses.append(trained.history[-1].loss)
    assert losses[1] < 0.8 * losses[0]
    assert list(trained.network.state_dict()) == list(student.state_dict())
    for network in (trained.network, student, teacher):
        assert not any(module._forward_hooks for module in network.modules())


def test_hints_need_the_teacher_itself():
    data = Split(inputs=_images(4).numpy(), targets=np.arange(4) % 3)
    with pytest.raises(ValueError, match="hints_from"):
        train(
            _Stages(4), data, data, kind="image", seed=0,
            schedule=Schedule(epochs=1, loss=DistillationLoss.HINTS),
        )  # fmt: skip
