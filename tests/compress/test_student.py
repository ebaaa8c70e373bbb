"""Students of every architecture, width and stride."""

import numpy as np
import pytest
import torch

from optim.compress.pruning.cutting import fit_to_state
from optim.compress.student import student
from optim.errors import RefusedError
from optim.graph.export import export_onnx
from optim.pipeline.make import make_candidate, trained_network
from optim.recipe import Architecture, Recipe, Replace
from optim.store.results import Results
from optim.task.architectures import FOR_SERIES
from optim.task.task import load_task
from tests.graph.running import answers
from tests.small_task import small_task

FASHION, MOTION = load_task("fashion-resnet"), load_task("motion-cnn")


def _task_for(architecture):
    return MOTION if architecture in FOR_SERIES else FASHION


def _size(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("architecture", list(Architecture))
def test_every_architecture_has_widths_that_answer_and_come_back_from_their_weights(architecture):
    task = _task_for(architecture)
    x = torch.randn(2, *task.input_shape)
    whole = student(task, Replace(architecture=architecture), seed=0)
    sizes = []
    for width in (0.25, 0.5, 1.0):
        network = student(task, Replace(architecture=architecture, width=width), seed=0)
        sizes.append(_size(network))
        with torch.no_grad():
            logits = network(x)
            assert logits.shape == (2, len(task.labels))
            assert torch.equal(fit_to_state(whole, network.state_dict())(x), logits)
        assert not network.training
    assert sizes[0] < 0.6 * sizes[1] < 0.36 * sizes[2]


@pytest.mark.parametrize("architecture", [name for name in Architecture if name not in FOR_SERIES])
def test_a_stride_of_two_halves_the_resolution_and_leaves_the_weights(architecture):
    x = torch.randn(2, *FASHION.input_shape)
    fine, coarse = (
        student(FASHION, Replace(architecture=architecture, stride=stride), seed=0)
        for stride in (1, 2)
    )
    sizes = {}
    for name, network in (("fine", fine), ("coarse", coarse)):
        first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
        first.register_forward_hook(
            lambda module, inputs, output, name=name: sizes.update({name: output.shape[2]})
        )
        with torch.no_grad():
            assert network(x).shape == (2, 10)
    assert sizes["coarse"] == -(-sizes["fine"] // 2)
    assert _size(fine) == _size(coarse)


@pytest.mark.parametrize(
    "step",
    [
        Replace(architecture="small_resnet", width=0.25, stride=2),
        Replace(architecture="motion_cnn", width=0.25),
    ],
)
def test_a_students_file_answers_as_its_network(step):
    task = _task_for(step.architecture)
    network = student(task, step, seed=0)
    x = task.split("validation").inputs[:4]
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(
        answers(export_onnx(network, task.input_shape), x), expected, atol=1e-4
    )


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_the_seed_draws_the_weights(width):
    step = Replace(architecture="motion_cnn", width=width)
    first, again, other = (student(MOTION, step, seed=seed) for seed in (0, 0, 1))
    assert all(
        torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items()
    )
    weight = next(iter(first.parameters()))
    assert not torch.equal(weight, next(iter(other.parameters())))


def test_making_a_student_leaves_the_chance_of_others_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    student(MOTION, Replace(architecture="motion_cnn", width=0.5), seed=0)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("task", "step", "reason"),
    [
        (MOTION, Replace(architecture="resnet"), "windows of sensor readings"),
        (FASHION, Replace(architecture="motion_cnn"), "images"),
        (MOTION, Replace(architecture="motion_cnn", stride=2), "halves the resolution already"),
    ],
)
def test_a_student_that_does_not_take_the_inputs_is_refused(task, step, reason):
    with pytest.raises(RefusedError) as refused:
        student(task, step, seed=0)
    assert reason in refused.value.refusal.reason
    assert refused.value.refusal.remedy


def test_a_trained_student_comes_back_from_the_store(tmp_path):
    task = small_task(tmp_path, windows=64)
    results = Results(tmp_path / "workspace")
    recipe = Recipe(steps=(Replace(architecture="motion_cnn", width=0.25, epochs=1.0),))
    made = make_candidate(results, task, recipe)
    assert made.artifact is not None
    x = task.split("test").inputs[:4]
    network = trained_network(results, task, recipe)(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(answers(made.artifact.path.read_bytes(), x), network, atol=1e-4)
