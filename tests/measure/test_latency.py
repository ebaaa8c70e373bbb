"""Timing with a clock that we move ourselves; the real one is never raced."""

import gc
from contextlib import contextmanager

import numpy as np
import pytest

from optim.artifact import store_artifact
from optim.devices.environment import Environment
from optim.devices.target import Target
from optim.engines import ENGINES, EngineEntry
from optim.engines.engine import TensorInfo
from optim.measure.latency import MAX_RUNS, MAX_SLOT_S, MIN_RUNS, measure
from optim.measure.measurement import Latency

EXAMPLE = np.zeros((1, 1, 4, 4), np.float32)
ENVIRONMENT = Environment(
    cpu="fake", instructions=(), cores=1, threads=1, engine="fake", engine_version="1"
)


class FakeEngine:
    """Time passes only when something is loaded or run; noise is a factor on each run."""

    name, version, profiler, explainer = "fake", "1", None, None

    def __init__(self, seconds, *, load_s=0.5, noise=lambda engine: 1.0):
        self.seconds, self.load_s, self.noise = seconds, load_s, noise
        self.now = 0.0
        self.loaded, self.order, self.threads = [], [], set()
        self.switches = 0
        self.collected = False

    def clock(self):
        return self.now

    def supports(self, path):
        return None

    def load(self, path, *, threads):
        self.now += self.load_s
        self.threads.add(threads)
        session = FakeSession(self, self.seconds[path.read_bytes()], len(self.loaded))
        self.loaded.append(path)
        return session


class FakeSession:
    inputs = (TensorInfo(name="input", dtype="float32", shape=(None, 4)),)
    outputs = (TensorInfo(name="logits", dtype="float32", shape=(None, 10)),)

    def __init__(self, engine, seconds, number):
        self.engine, self.seconds, self.number = engine, seconds, number

    def run(self, feeds):
        engine = self.engine
        engine.collected |= gc.isenabled() and bool(engine.order)
        engine.order.append(self.number)
        engine.now += self.seconds * engine.noise(engine)
        return {"logits": np.zeros((1, 10), np.float32)}


@pytest.fixture
def files(tmp_path):
    return {name: store_artifact(name.encode(), tmp_path) for name in ("slow", "fast")}


SECONDS = {b"slow": 0.003, b"fast": 0.0005}


def measured(engine, baseline, candidate, **options):
    with on_engine(engine) as target:
        return measure(
            candidate, baseline, target, example=EXAMPLE, clock=engine.clock,
            switches=lambda: engine.switches, **options,
        )  # fmt: skip


@contextmanager
def on_engine(engine, **options):
    """A target whose engine this is; it is in the table for as long as this lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, "fake", EngineEntry("Fake", lambda: engine))
        yield Target(engine="fake", **options)


def test_the_ratio_is_that_of_the_files(files):
    engine = FakeEngine(SECONDS)
    latency = measured(engine, files["slow"], files["fast"])
    assert latency.speedup == pytest.approx(6.0, rel=1e-4)
    assert latency.p50_ms == pytest.approx(0.5, rel=1e-4)
    assert latency.null_ratio == pytest.approx(1.0, abs=1e-4)
    assert latency.cold_start_ms == pytest.approx(500.5)
    assert latency.baseline_sha256 == files["slow"].sha256
    assert (latency.environment.engine, latency.environment.threads) == ("fake", 1)
    assert engine.threads == {1}


def test_the_baseline_against_itself_is_three_sessions_of_one_file(files):
    engine = FakeEngine(SECONDS)
    latency = measured(engine, files["slow"], files["slow"])
    assert engine.loaded == [files["slow"].path] * 3
    assert latency.speedup == pytest.approx(1.0, abs=1e-4)


def test_each_session_has_its_turn_in_every_round_and_the_order_rotates(files):
    engine = FakeEngine(SECONDS)
    latency = measured(engine, files["slow"], files["fast"], rounds=6)
    slow, quick = latency.baseline_ms.shape[1], latency.candidate_ms.shape[1]
    runs = {1: slow, 0: quick, 2: slow}  # the candidate is loaded first
    timed = engine.order[-6 * sum(runs.values()) :]
    for turn in range(6):
        rotation = [1, 0, 2][turn % 3 :] + [1, 0, 2][: turn % 3]
        expected = [number for number in rotation for _ in range(runs[number])]
        assert timed[: len(expected)] == expected
        timed = timed[len(expected) :]


@pytest.mark.parametrize("seconds", [1e-6, 1e-4, 1e-3, 1e-2, 0.1])
def test_every_session_gets_as_much_time_as_the_budget_allows(files, seconds):
    engine = FakeEngine({b"slow": seconds, b"fast": seconds / 10})
    latency = measured(engine, files["slow"], files["fast"], rounds=15, budget_s=1.5)
    assert latency.baseline_ms.shape == latency.null_ms.shape
    assert len(latency.baseline_ms) == len(latency.candidate_ms) == 15
    for times, each in ((latency.baseline_ms, seconds), (latency.candidate_ms, seconds / 10)):
        runs = times.shape[1]
        assert MIN_RUNS <= runs <= MAX_RUNS
        assert runs == MIN_RUNS or runs * each <= MAX_SLOT_S * 1.001
    if seconds <= 1e-3:
        assert sum(t.sum() for t in (latency.baseline_ms, latency.candidate_ms)) / 1000 <= 1.5


def test_a_slow_stretch_that_hits_all_three_leaves_the_ratio_alone(files):
    slow_stretch = lambda engine: 2.0 if 4.0 < engine.now < 4.7 else 1.0  # noqa: E731
    engine = FakeEngine(SECONDS, load_s=1.0, noise=slow_stretch)
    latency = measured(engine, files["slow"], files["fast"])
    assert latency.baseline_ms.max() > 1.9 * np.median(latency.baseline_ms)
    assert latency.speedup == pytest.approx(6.0, rel=0.02)
    assert latency.null_ratio == pytest.approx(1.0, abs=0.02)


def test_a_busy_machine_does_not_flatter_the_quicker_file():
    """Slices of 3 ms that others take hit six of ten long runs and one of a hundred short ones."""
    rng = np.random.default_rng(0)
    long = 1.0 + 3.0 * (rng.random((15, 25)) < 0.6)
    short = 0.01 + 3.0 * (rng.random((15, 200)) < 0.01)
    latency = Latency(
        baseline_ms=long, candidate_ms=short, null_ms=long, baseline_sha256="", cold_start_ms=1.0,
        environment=ENVIRONMENT,
    )  # fmt: skip
    assert np.median(np.median(long, axis=1) / np.median(short, axis=1)) == pytest.approx(400)
    assert latency.speedup == pytest.approx(100)


def unstable_for(runs):
    """Noise that changes every seven runs, for so many runs; none afterwards."""
    factors = np.random.default_rng(0).uniform(1.0, 3.0, 10_000)

    def noise(engine):
        done = len(engine.order)
        return float(factors[done // 7]) if done < runs else 1.0

    return noise


def test_an_unstable_measurement_is_repeated_and_the_least_noisy_kept(files):
    once = FakeEngine(SECONDS, noise=unstable_for(100_000))
    unstable = measured(once, files["slow"], files["fast"], max_restarts=0)
    repeated = FakeEngine(SECONDS, noise=unstable_for(len(once.order)))
    latency = measured(repeated, files["slow"], files["fast"])
    assert unstable.instability > 0.05
    assert unstable.noise > 1
    assert latency.instability < 0.001
    assert len(once.order) < len(repeated.order) < 2 * len(once.order)


def test_it_gives_up_after_the_allowed_restarts(files):
    once, thrice = (FakeEngine(SECONDS, noise=unstable_for(100_000)) for _ in range(2))
    measured(once, files["slow"], files["fast"], max_restarts=0)
    latency = measured(thrice, files["slow"], files["fast"], max_restarts=2)
    assert 2 * len(once.order) < len(thrice.order) < 3 * len(once.order)
    assert latency.instability > 0.05


def other_programs(engine):
    """Every three milliseconds of work another program takes the core for four."""
    if int(engine.now / 0.003) == int((engine.now - engine.seconds[b"fast"]) / 0.003):
        return 1.0
    engine.switches += 1
    engine.now += 0.004
    return 1.0


def test_a_run_that_was_interrupted_is_repeated(files):
    engine = FakeEngine({b"slow": 0.002, b"fast": 0.0002}, noise=other_programs)
    latency = measured(engine, files["slow"], files["fast"], budget_s=4.0)
    assert engine.switches > 100
    for times, milliseconds in ((latency.baseline_ms, 2.0), (latency.candidate_ms, 0.2)):
        np.testing.assert_allclose(times, milliseconds, rtol=1e-4)
    assert latency.speedup == pytest.approx(10.0, rel=1e-3)


def test_where_every_run_is_interrupted_they_count_as_they_are(files):
    def always(engine):
        engine.switches += 1
        return 3.0

    engine = FakeEngine(SECONDS, noise=always)
    latency = measured(engine, files["slow"], files["fast"])
    assert latency.baseline_ms.min() == pytest.approx(9.0, rel=1e-4)
    assert latency.speedup == pytest.approx(6.0, rel=1e-4)


def neighbour_for(runs):
    """A steady neighbour on the core, who slows the quick file more than the slow one."""

    def noise(engine):
        if len(engine.order) > runs:
            return 1.0
        return 1.65 if engine.order[-1] == 0 else 1.3

    return noise


def test_a_neighbour_shows_in_the_time_of_the_baseline_alone(files):
    busy = FakeEngine(SECONDS, noise=neighbour_for(100_000))
    latency = measured(busy, files["slow"], files["fast"], usual_ms=3.0)
    assert latency.instability < 0.001
    assert latency.speedup == pytest.approx(6 * 1.3 / 1.65, rel=1e-3)
    assert latency.system_load == pytest.approx(0.3, abs=1e-3)
    assert "Other programs" in latency.noise_words()
    assert "1.3 times" in latency.noise_words()


def test_a_busy_measurement_is_repeated_and_the_quietest_kept(files):
    once = FakeEngine(SECONDS, noise=neighbour_for(100_000))
    measured(once, files["slow"], files["fast"], usual_ms=3.0, max_restarts=0)
    twice = FakeEngine(SECONDS, noise=neighbour_for(len(once.order)))
    latency = measured(twice, files["slow"], files["fast"], usual_ms=3.0)
    assert latency.speedup == pytest.approx(6.0, rel=1e-3)
    assert latency.noise < 0.1
    assert latency.noise_words() == ""


def test_where_no_usual_time_is_known_nothing_is_busy(files):
    busy = FakeEngine(SECONDS, noise=neighbour_for(100_000))
    latency = measured(busy, files["slow"], files["fast"])
    assert (latency.usual_ms, latency.system_load, latency.noise_words()) == (None, 0.0, "")


def test_garbage_is_not_collected_while_the_clock_runs(files):
    engine = FakeEngine(SECONDS)
    assert gc.isenabled()
    measured(engine, files["slow"], files["fast"])
    assert not engine.collected
    assert gc.isenabled()


@pytest.mark.parametrize("options", [{"rounds": 2}, {"budget_s": 0.0}, {"max_restarts": -1}])
def test_impossible_options_are_refused(files, options):
    with pytest.raises(ValueError, match="rounds must be at least 3"):
        measured(FakeEngine(SECONDS), files["slow"], files["fast"], **options)


def test_an_example_of_another_batch_is_refused(files):
    two = np.zeros((2, 1), np.float32)
    with on_engine(FakeEngine(SECONDS)) as target, pytest.raises(ValueError, match="batch 1"):
        measure(files["fast"], files["slow"], target, example=two)


def test_a_batch_is_timed_as_a_whole_and_said(files):
    two, engine = np.zeros((2, 1), np.float32), FakeEngine(SECONDS)
    with on_engine(engine, batch=2) as target:
        latency = measure(files["fast"], files["slow"], target, example=two, clock=engine.clock)
        assert latency.environment == target.environment
    assert latency.environment.words().endswith(", 1 thread, batch 2")
