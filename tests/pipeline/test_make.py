"""The pipeline on a real, tiny task: a network of a few weights on real sensor windows."""

import pytest
import torch

from optim import recipe
from optim.candidate import candidate_id
from optim.compress.training import fine_tune as training_module
from optim.devices.target import Target
from optim.errors import RefusedError
from optim.jobs.run import make_and_measure
from optim.pipeline import make as pipeline
from optim.pipeline.make import make_candidate, trained_network
from optim.recipe import Prune, Quantize, Recipe, Replace, recipe_of
from optim.store.results import Results
from optim.store.training_log import TrainingLog
from tests.small_task import small_task


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("tiny"), windows=128)


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "workspace")


@pytest.fixture
def trainings(monkeypatch):
    """Counts how often a network is really trained."""
    counted = []
    original = training_module.fine_tune

    def counting(*arguments, **options):
        counted.append(arguments[2])
        return original(*arguments, **options)

    monkeypatch.setattr(training_module, "fine_tune", counting)
    return counted


def test_a_grid_trains_each_ratio_once(tiny, results, trainings):
    for ratio in (0.5, 0.75):
        for precision in ("fp32", "fp16", "int8", "int4"):
            made = make_candidate(
                results, tiny, recipe_of(pruning_ratio=ratio, precision=precision, epochs=0.5)
            )
            assert made.artifact.path.exists()
    assert [step.ratio for step in trainings] == [0.5, 0.75]


def test_a_second_precision_counts_the_training_that_it_shares(tiny, results):
    steps = (Prune(ratio=0.5, epochs=1, rounds=2), Quantize())
    pruned = Recipe(steps=steps[:1])
    first = make_candidate(results, tiny, pruned)
    log = TrainingLog(results.folder)
    rounds = (pruned, pruned.earlier_round())
    trained = [e.seconds for each in rounds for e in log.get(candidate_id(tiny, each))]
    assert len(trained) >= 2
    second = make_candidate(results, tiny, Recipe(steps=steps))
    assert first.seconds > sum(trained)
    assert second.seconds > sum(trained)


def test_a_student_is_pruned_in_rounds_as_at_once(tiny, results):
    student = Replace(architecture="motion_cnn", width=0.5, epochs=0)
    shapes = []
    for rounds in (1, 2):
        step = Prune(ratio=0.6, epochs=0, rounds=rounds)
        network = trained_network(results, tiny, Recipe(steps=(student, step)))
        shapes.append([tuple(parameter.shape) for parameter in network.parameters()])
    assert shapes[0] == shapes[1]


def test_another_seed_of_calibration_reads_other_ranges(tiny, results):
    files = {
        make_candidate(
            results, tiny, Recipe(steps=(Quantize(calibration_examples=32, calibration_seed=seed),))
        ).artifact.sha256
        for seed in (0, 1, 2)
    }
    assert len(files) == 3


def test_a_finished_candidate_is_not_made_again(tiny, results, monkeypatch):
    first = make_candidate(results, tiny, recipe_of(precision="int8"))
    monkeypatch.setattr(pipeline, "_build", lambda *_: pytest.fail("made twice"))
    again = make_candidate(results, tiny, recipe_of(precision="int8"))
    assert again.artifact == first.artifact


def test_a_lost_file_is_made_again(tiny, results):
    first = make_candidate(results, tiny, recipe_of(precision="int8"))
    first.artifact.path.unlink()
    again = make_candidate(results, tiny, recipe_of(precision="int8"))
    assert again.artifact.path.exists()
    assert again.artifact.sha256 == first.artifact.sha256


def test_the_trained_network_comes_back_from_its_checkpoint(tiny, results, trainings):
    recipe = recipe_of(pruning_ratio=0.5, epochs=0.5)
    first = trained_network(results, tiny, recipe)
    second = trained_network(results, tiny, recipe)
    x = torch.from_numpy(tiny.split("test").inputs[:4])
    assert torch.equal(first(x), second(x))
    assert len(trainings) == 1


def test_each_step_makes_the_file_smaller(tiny, results):
    def size(**options):
        return make_candidate(results, tiny, recipe_of(**options)).artifact.size_bytes

    original = size()
    assert size(precision="fp16") < 0.6 * original
    assert size(precision="int8") < 0.35 * original
    assert size(precision="int4") < 0.25 * original
    assert size(precision="int8", pruning_ratio=0.5, epochs=0.0) < 0.12 * original


def test_a_measured_candidate_has_everything_that_a_plot_needs(tiny, results):
    made = make_and_measure(results, tiny, recipe_of(precision="int8"), Target(), _silent)
    assert made.measured
    assert made.score.n == 128
    assert made.score.split == "test"
    assert not made.score.recorded
    assert made.latency.n >= 15 * 5
    assert made.facts.float_count == 0
    answers = results.predictions(made.id)
    original = results.predictions(candidate_id(tiny, Recipe()))
    assert made.score.changed == int((answers != original).sum())
    assert made.score.correct == int((answers == tiny.split("test").targets).sum())


def test_a_refused_recipe_is_a_row_with_its_reason(tiny, results, monkeypatch):
    from optim.errors import Refusal

    def refuse(*_):
        raise RefusedError(Refusal(reason="It cannot be.", remedy="Try FP16."))

    make_candidate(results, tiny, Recipe())
    monkeypatch.setattr(pipeline, "_build", refuse)
    with pytest.raises(RefusedError, match=r"It cannot be. Try FP16."):
        make_and_measure(results, tiny, recipe_of(precision="int4"), Target(), _silent)
    (row,) = [c for c in results.candidates("tiny", None) if c.refusal]
    assert row.refusal.remedy == "Try FP16."


def test_a_control_is_trained_from_new_weights(tiny, results):
    pruned = trained_network(results, tiny, Recipe(steps=(Prune(ratio=0.5, epochs=0.0),)))
    control = trained_network(
        results, tiny, Recipe(steps=(Prune(ratio=0.5, epochs=0.0, keep_weights=False),))
    )
    ours, theirs = pruned.state_dict(), control.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert not torch.equal(ours["head.weight"], theirs["head.weight"])


def test_names_depend_on_everything_that_changes_the_result(tiny, monkeypatch):
    int8 = Recipe(steps=(Quantize(),))
    name = candidate_id(tiny, int8)
    assert candidate_id(tiny, Recipe(steps=(Quantize(per_channel=False),))) != name
    assert candidate_id(tiny, Recipe(steps=(Quantize(),), seed=1)) != name
    monkeypatch.setitem(recipe.STEP_VERSIONS, "quantize", 99)
    assert candidate_id(tiny, int8) != name


def _silent(share, words):
    assert 0.0 <= share <= 1.0
    assert words
