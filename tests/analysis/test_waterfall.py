"""The way from FP32 down to a quantized file, on a tiny network."""

import json

import numpy as np
import pytest

from optim.analysis import waterfall
from optim.analysis.waterfall import Waterfall, measure_waterfall
from optim.devices.target import Target
from optim.engines import engine_named
from optim.engines.engine import run_single
from optim.errors import RefusedError
from optim.pipeline.make import make_candidate
from optim.recipe import Activations, MixedPrecision, Precision, Prune, Quantize, Recipe, recipe_of
from optim.recipe.edit import keep_in_float
from optim.store.results import Results
from tests.small_task import small_task


def silent(share: float, words: str) -> None:
    """Nobody looks."""


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return Results(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waterfall, "TIMING_S", 0.1)
        patch.setattr(waterfall, "MOST_LAYERS", 2)
        yield


@pytest.fixture(scope="module")
def int4(task, results):
    return make_candidate(results, task, recipe_of(precision="int4"))


@pytest.fixture(scope="module")
def found(task, results, int4, quick):
    return measure_waterfall(results, task, int4, Target(), progress=silent)


def accuracy(task, candidate):
    split = task.split("validation")
    session = engine_named("onnxruntime").load(candidate.artifact.path, threads=1)
    return np.mean(run_single(session, split.inputs).argmax(1) == split.targets)


def test_it_starts_at_the_float_parent(found, task, results):
    assert found.stages[0].name == "FP32"
    assert found.stages[0].sqnr_db is None
    parent = make_candidate(results, task, Recipe())
    assert found.stages[0].score == pytest.approx(accuracy(task, parent))


def test_it_ends_at_the_file(found, task, int4):
    assert found.stages[-1].score == pytest.approx(accuracy(task, int4))
    assert [stage.name for stage in found.stages[1:]] == [
        "weights in INT4",
        "activations in UINT8: the file",
    ]
    assert found.n == len(task.split("validation"))


def test_quantizing_more_is_never_quieter(found):
    assert found.stages[1].sqnr_db > found.stages[2].sqnr_db


def test_a_layer_kept_in_float_costs_bytes_and_quiets_the_logits(found):
    assert len(found.layers) == 2
    for layer in found.layers:
        assert layer.size_bytes > 0
        assert layer.sqnr_gain_db > 0
        assert np.isfinite(layer.time_ms)


def test_nothing_is_added_to_the_candidates(found, results, task):
    recipes = {row.recipe for row in results.candidates(task.name, "nowhere")}
    assert recipes == {Recipe(), recipe_of(precision="int4")}


def test_float_activations_have_no_stage_of_their_own(task, results, quick):
    step = Quantize(precision=Precision.INT8, activations=Activations.FLOAT)
    candidate = make_candidate(results, task, Recipe(steps=(step,)))
    seen = measure_waterfall(results, task, candidate, Target(), progress=silent)
    assert [stage.name for stage in seen.stages] == ["FP32", "weights in INT8: the file"]


def test_a_float_candidate_is_refused(task, results):
    parent = make_candidate(results, task, Recipe())
    with pytest.raises(RefusedError, match="not quantized") as caught:
        measure_waterfall(results, task, parent, Target(), progress=silent)
    assert "INT8 or INT4" in caught.value.refusal.remedy


def test_a_waterfall_survives_the_store(found):
    assert Waterfall.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_keeping_a_layer_in_float_adds_to_what_is_mixed_already():
    int8 = Quantize(precision=Precision.INT8)
    once = keep_in_float(Recipe(steps=(Prune(ratio=0.5), int8), seed=3), ["b"])
    assert once.steps[:2] == (Prune(ratio=0.5), int8)
    assert once.seed == 3
    assert once.step(MixedPrecision).layers == (("b", Precision.FP32),)
    twice = keep_in_float(once, ["a", "b"])
    assert twice.step(MixedPrecision).layers == (("a", Precision.FP32), ("b", Precision.FP32))
    with pytest.raises(ValueError, match="put one before it"):
        keep_in_float(Recipe(), ["a"])
