"""A noisy figure is taken again; the original's own time tells the system load."""

from __future__ import annotations

import numpy as np
import pytest

from optim.devices.target import Target
from optim.jobs.run import make_and_measure
from optim.measure.measurement import Latency
from optim.pipeline import measure as measuring
from optim.pipeline.measure import settle_latency_of
from optim.pipeline.reference import prepare_reference
from optim.recipe import recipe_of
from optim.store.results import Results
from tests.small_task import small_task


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return small_task(tmp_path_factory.mktemp("tiny"), windows=128)


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "workspace")


@pytest.fixture
def candidate(tiny, results, moments):
    """Made and measured without system load, the original taking 1 ms."""
    moments[:] = [moment(1.0, 0.5)]
    return make_and_measure(results, tiny, recipe_of(precision="int8"), Target(), _silent)


@pytest.fixture
def moments(monkeypatch):
    """What the clock will show next: (original, candidate) in ms; stays empty when all was used."""
    waiting = []

    def timed(file, baseline, target, *, usual_ms, **_):
        slow, quick = waiting.pop(0)
        return Latency(
            baseline_ms=slow, candidate_ms=quick, null_ms=slow, baseline_sha256=baseline.sha256,
            cold_start_ms=1.0, environment=target.environment, usual_ms=usual_ms,
        )  # fmt: skip

    monkeypatch.setattr(measuring, "measure", timed)
    return waiting


def moment(original_ms, candidate_ms):
    return tuple(np.full((5, 5), ms, np.float32) for ms in (original_ms, candidate_ms))


def settled(results, task, candidate):
    target = Target()
    reference = prepare_reference(results, task, target)
    return settle_latency_of(results, task, candidate, target, reference, progress=_silent)


def known(results, candidate):
    return results.candidate(candidate.id, Target().fingerprint).latency


def test_a_calm_moment_is_timed_once(tiny, results, candidate, moments):
    settled(results, tiny, candidate)
    assert moments == []
    assert known(results, candidate).speedup == pytest.approx(2.0)


def test_a_busy_moment_is_timed_again_after_the_accuracy(tiny, results, candidate, moments):
    moments[:] = [moment(1.3, 0.825), moment(1.0, 0.5)]
    measuring.measure_candidate(results, tiny, candidate, Target())
    assert moments == []
    latency = known(results, candidate)
    assert latency.speedup == pytest.approx(2.0)
    assert latency.usual_ms == pytest.approx(1.0)


def test_asking_again_for_a_candidate_times_a_busy_moment_again(tiny, results, candidate, moments):
    moments[:] = [moment(1.3, 0.825), moment(1.4, 0.9)]
    measuring.measure_candidate(results, tiny, candidate, Target())
    moments[:] = [moment(1.0, 0.5)]
    again = make_and_measure(results, tiny, candidate.recipe, Target(), _silent)
    assert moments == []
    assert again.latency.speedup == pytest.approx(2.0)
    assert make_and_measure(results, tiny, candidate.recipe, Target(), _silent).latency.noise <= 1


def test_of_two_busy_moments_the_quieter_stays_whatever_the_candidate_took(
    tiny, results, candidate, moments
):
    moments[:] = [moment(1.2, 0.9), moment(1.5, 0.1)]
    measuring.measure_candidate(results, tiny, candidate, Target())
    latency = known(results, candidate)
    assert latency.speedup == pytest.approx(1.2 / 0.9)
    assert "1.2 times" in latency.noise_words()


def test_a_first_figure_that_turns_out_busy_says_so_if_the_second_is_no_better(
    tiny, results, moments
):
    moments[:] = [moment(1.3, 0.825)]
    first = make_and_measure(results, tiny, recipe_of(precision="int8"), Target(), _silent)
    moments[:] = [moment(1.0, 0.6)]
    make_and_measure(results, tiny, recipe_of(precision="fp16"), Target(), _silent)
    moments[:] = [moment(1.5, 0.9)]
    settled(results, tiny, first)
    assert known(results, first).speedup == pytest.approx(1.3 / 0.825)
    assert "1.3 times" in known(results, first).noise_words()


def test_the_first_figure_ever_is_judged_by_what_became_usual_later(tiny, results, moments):
    moments[:] = [moment(1.3, 0.825)]
    first = make_and_measure(results, tiny, recipe_of(precision="int8"), Target(), _silent)
    assert known(results, first).noise_words() == ""
    moments[:] = [moment(1.0, 0.6)]
    make_and_measure(results, tiny, recipe_of(precision="fp16"), Target(), _silent)
    moments[:] = [moment(1.0, 0.5)]
    settled(results, tiny, first)
    assert moments == []
    assert known(results, first).speedup == pytest.approx(2.0)


def _silent(share, words):
    pass
