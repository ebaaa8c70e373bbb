"""Layers stay in FP32 only where that is measured to be faster."""

from types import SimpleNamespace

import pytest

from optim.analysis import placement
from optim.analysis.placement import compared, keep_in_float_where_slower, place, tries
from optim.devices.target import Target
from optim.engines.profile import OperatorTime, Profile
from optim.recipe import MixedPrecision, Precision, Recipe, recipe_of
from optim.store.results import Results
from tests.small_task import small_task


def profile_of(**times: float) -> Profile:
    operators = [
        OperatorTime(kernel="Conv", layer=layer, precision="fp32", time_ms=ms)
        for layer, ms in times.items()
    ]
    operators.append(
        OperatorTime(kernel="Cast", layer="", precision="", time_ms=9.0, overhead=True)
    )
    return Profile(operators=tuple(operators), total_ms=sum(times.values()) + 9.0, runs=5)


def test_slower_layers_are_named_the_greatest_loss_first() -> None:
    fp32, int8 = profile_of(a=1.0, b=1.0, c=1.0), profile_of(a=1.1, b=0.3, c=2.0)
    assert keep_in_float_where_slower(fp32, int8) == ("c", "a")
    assert keep_in_float_where_slower(fp32, profile_of(a=0.5)) == ()


def test_less_than_the_profiler_can_tell_is_not_slower() -> None:
    assert keep_in_float_where_slower(profile_of(a=1.0), profile_of(a=1.0005)) == ()


def test_all_slower_layers_are_tried_then_the_worse_half_of_them() -> None:
    fp32 = profile_of(a=1.0, b=1.0, c=1.0)
    assert tries(fp32, profile_of(a=1.1, b=0.3, c=2.0)) == (("c", "a"), ("c",))
    assert tries(fp32, profile_of(a=1.1, b=1.2, c=2.0)) == (("c", "b"), ("c",))
    assert tries(fp32, profile_of(a=0.1, b=0.1, c=0.1)) == ()


def test_files_timed_apart_are_compared_by_the_widest_interval() -> None:
    plain = SimpleNamespace(speedup=2.0, speedup_interval=(1.9, 2.1))
    quick = SimpleNamespace(speedup=3.0, speedup_interval=(2.9, 3.1))
    trial = compared(("a",), quick, plain)
    assert trial.speedup == 1.5
    assert trial.interval == (2.9 / 2.1, 3.1 / 1.9)
    assert trial.faster
    assert not compared(("a",), plain, plain).faster


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "workspace")


def names_of(task, results) -> list[str]:
    from optim.graph.onnx_file import LAYERS, read_model
    from optim.pipeline.make import file_of

    nodes = read_model(file_of(results, task, recipe_of(precision="int8"))).graph.node
    return [node.name for node in nodes if node.op_type in LAYERS]


@pytest.fixture
def measured(task, results, monkeypatch):
    """Profiles say the first two layers are slower in INT8; the clock says what a test wants."""
    first, second, *rest = names_of(task, results)
    profiles = [
        profile_of(**dict.fromkeys((first, second, *rest), 1.0)),
        profile_of(**{first: 3.0, second: 2.0}, **dict.fromkeys(rest, 0.5)),
    ]
    monkeypatch.setattr(placement, "profile", lambda *_, **__: profiles.pop(0))
    clock: list[float] = []

    def measure(*_, **__):
        speedup = clock.pop(0)
        return SimpleNamespace(speedup=speedup, speedup_interval=(speedup - 0.02, speedup + 0.02))

    monkeypatch.setattr(placement, "measure", measure)
    return clock, (first, second)


def silent(share: float, words: str) -> None:
    """Nobody looks."""


def test_what_is_really_faster_is_kept(task, results, measured) -> None:
    clock, slower = measured
    clock.append(1.2)
    found = place(results, task, Recipe(), Target(), progress=silent)
    assert found.slower == slower
    kept = found.recipe.step(MixedPrecision).layers
    assert kept == tuple(sorted((name, Precision.FP32) for name in slower))


def test_fewer_layers_are_tried_if_all_of_them_do_not_help(task, results, measured) -> None:
    clock, slower = measured
    clock.extend([0.9, 1.1])
    found = place(results, task, Recipe(), Target(), progress=silent)
    assert [trial.layers for trial in found.trials] == [slower, slower[:1]]
    assert found.recipe.step(MixedPrecision).layers == ((slower[0], Precision.FP32),)


def test_within_the_interval_of_measurement_plain_int8_is_kept(task, results, measured) -> None:
    clock, _ = measured
    clock.extend([1.01, 1.0])
    found = place(results, task, Recipe(), Target(), progress=silent)
    assert found.recipe == recipe_of(precision="int8")
    assert not any(trial.faster for trial in found.trials)
