"""Prebuilt candidates on a tiny task: written, taken in, made where they do not ship."""

import numpy as np
import onnx
import pytest

from optim import recipe
from optim.candidate import candidate_id
from optim.devices.target import Target
from optim.errors import BrokenArtifactError
from optim.graph import export
from optim.jobs.run import make_and_measure, measure_prebuilt
from optim.pipeline.prebuilt import prebuilt_recipes, take_in
from optim.pipeline.shipped import read_prebuilt, write_prebuilt
from optim.recipe import Recipe, recipe_of
from optim.store.results import Results
from tests.small_task import small_task

INT8 = recipe_of(precision="int8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A task, and its measured original and INT8 in a workspace."""
    task = small_task(tmp_path_factory.mktemp("tiny"), windows=128)
    results = Results(tmp_path_factory.mktemp("workspace"))
    made = tuple(
        make_and_measure(results, task, each, Target(), _silent) for each in (Recipe(), INT8)
    )
    return task, results, made


@pytest.fixture
def tiny(trained):
    """The task, without prebuilt candidates before and after."""
    task, _, _ = trained
    yield task
    for file in task.prebuilt_folder.glob("*"):
        file.unlink()


@pytest.fixture
def ship(trained, tiny):
    """Write the prebuilt candidates, some of them without a file."""
    _, results, made = trained
    return lambda **options: write_prebuilt(results, tiny, made, **options)


@pytest.fixture
def fresh(tmp_path):
    return Results(tmp_path / "fresh")


def test_prebuilt_candidates_come_back_as_they_were_recorded(trained, tiny, ship, fresh):
    _, results, made = trained
    ship()
    taken = take_in(fresh, tiny, progress=_silent)
    assert [c.id for c in taken] == [c.id for c in made]
    assert all(c.score.recorded and c.prebuilt for c in taken)
    assert [c.score.correct for c in taken] == [c.score.correct for c in made]
    np.testing.assert_array_equal(fresh.predictions(made[1].id), results.predictions(made[1].id))
    timed = measure_prebuilt(fresh, tiny, Target(), _silent)
    assert len(timed) == len(prebuilt_recipes(tiny)) == 2
    assert all(fresh.candidate(c.id, Target().fingerprint).measured for c in timed)


def test_a_file_that_does_not_ship_is_made_with_the_same_bytes(trained, tiny, ship, fresh):
    _, _, made = trained
    ship(at_first_need=(Recipe(), INT8))
    assert list(tiny.prebuilt_folder.glob("*.onnx")) == []
    taken = take_in(fresh, tiny, progress=_silent)
    assert [c.artifact.sha256 for c in taken] == [c.artifact.sha256 for c in made]
    assert all(c.score.recorded and c.prebuilt for c in taken)


def test_other_bytes_with_the_same_answers_keep_their_recorded_accuracy(
    trained, tiny, ship, fresh, monkeypatch
):
    _, _, made = trained
    ship(at_first_need=(Recipe(),))
    _export_differently(monkeypatch, lambda model: setattr(model, "producer_name", "another"))
    original, int8 = take_in(fresh, tiny, progress=_silent)
    assert original.artifact.sha256 != made[0].artifact.sha256
    assert original.score.recorded
    assert int8.score.recorded
    assert int8.score.changed == made[1].score.changed
    assert int8.score.baseline_sha256 == original.artifact.sha256


def test_a_file_that_answers_otherwise_has_no_recorded_accuracy(tiny, ship, fresh, monkeypatch):
    ship(at_first_need=(Recipe(),))
    _export_differently(monkeypatch, _turn_signs)
    said = []
    taken = take_in(fresh, tiny, progress=lambda share, words: said.append(words))
    assert [c.score for c in taken] == [None, None]  # INT8 was compared with another original
    assert said[-1] == "original, FP32 answers otherwise than recorded: it is tested here"


def test_a_prebuilt_file_that_was_tampered_with_is_refused(tiny, ship, fresh):
    ship()
    file = tiny.prebuilt_folder / f"{candidate_id(tiny, INT8)}.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(BrokenArtifactError, match=r"differs from the one that was recorded"):
        take_in(fresh, tiny, progress=_silent)


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_lost_answers_are_asked_back_in_one_sentence(tiny, ship, fresh, content):
    ship()
    file = tiny.prebuilt_folder / "predictions.npz"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(BrokenArtifactError, match=r"recorded answers of tiny.*git checkout"):
        take_in(fresh, tiny, progress=_silent)


def test_a_task_without_prebuilt_candidates_gets_its_original_made(tiny, fresh):
    (only,) = take_in(fresh, tiny, progress=_silent)
    assert only.recipe == Recipe()
    assert only.artifact.path.exists()


def test_what_ships_stays_to_the_byte_until_a_step_has_another_version(
    trained, tiny, ship, tmp_path, monkeypatch
):
    ship()
    before = _files(tiny)
    again = Results(tmp_path / "again")
    _export_differently(monkeypatch, _turn_signs)
    made = [make_and_measure(again, tiny, each, Target(), _silent) for each in (Recipe(), INT8)]
    write_prebuilt(again, tiny, made)
    assert _files(tiny) == before

    monkeypatch.setitem(recipe.STEP_VERSIONS, "quantize", 99)
    assert prebuilt_recipes(tiny) == (Recipe(),)  # the other is one of an older version
    write_prebuilt(again, tiny, (made[0], make_and_measure(again, tiny, INT8, Target(), _silent)))
    after = _files(tiny)
    original = f"{candidate_id(tiny, Recipe())}.onnx"
    assert {name for name in after if after[name] == before.get(name)} == {original}
    assert [prebuilt.recipe for prebuilt in read_prebuilt(tiny)] == [Recipe(), INT8]


def _files(task):
    return {path.name: path.read_bytes() for path in task.prebuilt_folder.iterdir()}


def _export_differently(monkeypatch, change):
    """Let the exporter write another file of the same network."""
    export_as_ever = export.export_onnx

    def exported(network, input_shape):
        model = onnx.load_model_from_string(export_as_ever(network, input_shape))
        change(model)
        return model.SerializeToString()

    monkeypatch.setattr(export, "export_onnx", exported)


def _turn_signs(model):
    """The network's weights with the other sign."""
    for tensor in model.graph.initializer:
        if tensor.dims:
            values = onnx.numpy_helper.to_array(tensor)
            if values.dtype == np.float32:
                tensor.CopyFrom(onnx.numpy_helper.from_array(-values, tensor.name))


def _silent(share, words):
    assert 0.0 <= share <= 1.0
    assert words
