"""Latency, candidate and baseline interleaved.

Absolute times move by a factor of two when somebody else needs the processor, but they move for
both:

    round 1:  A B A'     round 2:  B A' A     round 3:  A' A B     ...

Each letter is a run of single inferences; A' is the baseline's file in a second session. An
inference in whose middle another program got the core is repeated: on two cores with two training
threads that hits 7 of 10 inferences of 2.2 ms, and 1 of 40 of 40 us. The ratio of lower quartiles
is taken within a round, and the median over rounds is the speed-up. A against A' shows how far two
equal things differ here: the noise floor. Unstable measurements are repeated, the least noisy kept.

What the ratio cannot show is a neighbour who slows one file more than the other
for as long as the measurement takes (on a rented machine a network of 40 us by 1.65, one of 2.3 ms
by 1.3): it shows in the baseline's own time, so that is compared with its usual one. The baseline
alone decides, never the candidate's figure.

Practice after MLPerf Inference, single stream (Reddi et al. 2020): fixed threads, warm-up, load
apart.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np

from optim.artifact import Artifact
from optim.devices.target import Target
from optim.engines.engine import Feeds, Session, examples_in, feeds_for, run_single
from optim.measure.measurement import Latency

Clock = Callable[[], float]
Role = Literal["baseline", "candidate", "null"]

MIN_RUNS, MAX_RUNS = 5, 200
MIN_SLOT_S, MAX_SLOT_S = 0.002, 0.025
WARM_UP_RUNS, WARM_UP_S = 5, 0.05
PATIENCE = 3
"""Up to so many times the wanted runs are made to have them undisturbed."""


def involuntary_switches() -> int:
    """Count how often other programs took this thread's core so far; 0 where not counted."""
    counted = getattr(resource, "RUSAGE_THREAD", None)
    return 0 if counted is None else resource.getrusage(counted).ru_nivcsw


def measure(
    file: Artifact,
    baseline: Artifact,
    target: Target,
    *,
    example: Feeds,
    usual_ms: float | None = None,
    rounds: int = 15,
    budget_s: float = 1.5,
    clock: Clock = time.perf_counter,
    switches: Callable[[], int] = involuntary_switches,
    max_restarts: int = 2,
) -> Latency:
    """Time single inferences of two files, interleaved.

    Args:
        file, baseline: both exist; the same file is loaded three times.
        target: the engine, and with how many threads it runs.
        example: as many examples as the target's batch, (N, ...), or such for each input by name.
        usual_ms: what the baseline's file takes here without system load, if it is known.
        rounds: how often each session gets its turn.
        budget_s: seconds of timing; heavy models take longer, for at least 5 runs a round.
        clock: seconds, rising.
        switches: how often others took the core, rising.
        max_restarts: how often an unstable measurement, or one under system load, is repeated.

    Raises:
        EngineError: if the engine cannot load or run a file.
        ValueError: if rounds or budget are too small, or the example is not of batch 1.
    """
    if rounds < 3 or budget_s <= 0 or max_restarts < 0:
        raise ValueError(
            "rounds must be at least 3, budget_s above 0 and max_restarts at least 0; "
            f"got {rounds}, {budget_s} and {max_restarts}."
        )
    if examples_in(example) != target.batch:
        raise ValueError(
            f"latency is measured at batch {target.batch} on this target, got "
            f"{examples_in(example)} examples."
        )
    engine, threads = target.load_engine(), target.threads
    started = clock()
    tested = engine.load(file.path, threads=threads)
    run_single(tested, example)
    cold_start_ms = (clock() - started) * 1000
    sessions: dict[Role, Session] = {
        "baseline": engine.load(baseline.path, threads=threads),
        "candidate": tested,
        "null": engine.load(baseline.path, threads=threads),
    }
    slot_s = float(np.clip(budget_s / (3 * rounds), MIN_SLOT_S, MAX_SLOT_S))
    with _no_garbage_collection():
        typical = {role: _warm_up(session, example, clock) for role, session in sessions.items()}
        typical["null"] = typical["baseline"]  # equal numbers of runs for equal files
        runs = {
            role: int(np.clip(slot_s / max(seconds, 1e-9), MIN_RUNS, MAX_RUNS))
            for role, seconds in typical.items()
        }
        attempts: list[Latency] = []
        while not attempts or (len(attempts) <= max_restarts and attempts[-1].noise > 1):
            times = _time_rounds(sessions, runs, rounds, example, clock, switches)
            attempts.append(
                Latency(
                    baseline_ms=times["baseline"],
                    candidate_ms=times["candidate"],
                    null_ms=times["null"],
                    baseline_sha256=baseline.sha256,
                    cold_start_ms=cold_start_ms,
                    environment=target.environment,
                    usual_ms=usual_ms,
                )
            )
    return min(attempts, key=lambda attempt: attempt.noise)


def _warm_up(session: Session, example: Feeds, clock: Clock) -> float:
    """Run until the caches are warm; returns the seconds of a run, lower quartile."""
    times: list[float] = []
    feeds = feeds_for(session, example)
    while len(times) < WARM_UP_RUNS or (sum(times) < WARM_UP_S and len(times) < MAX_RUNS):
        before = clock()
        session.run(feeds)
        times.append(clock() - before)
    return float(np.percentile(times[len(times) // 2 :], 25))


def _time_rounds(
    sessions: dict[Role, Session],
    runs: dict[Role, int],
    rounds: int,
    example: Feeds,
    clock: Clock,
    switches: Callable[[], int],
) -> dict[Role, np.ndarray]:
    """Return milliseconds per role, float32, shape (rounds, runs of the role)."""
    times = {role: np.empty((rounds, runs[role]), np.float32) for role in sessions}
    order = list(sessions)
    for turn in range(rounds):
        for role in order[turn % 3 :] + order[: turn % 3]:
            times[role][turn] = _time_runs(sessions[role], runs[role], example, clock, switches)
    return times


def _time_runs(
    session: Session, runs: int, example: Feeds, clock: Clock, switches: Callable[[], int]
) -> list[float]:
    """Return the milliseconds of so many runs; disturbed ones only if others are too few."""
    undisturbed: list[float] = []
    disturbed: list[float] = []
    feeds = feeds_for(session, example)
    while len(undisturbed) < runs and len(undisturbed) + len(disturbed) < PATIENCE * runs:
        switched, before = switches(), clock()
        session.run(feeds)
        milliseconds = (clock() - before) * 1000
        (undisturbed if switches() == switched else disturbed).append(milliseconds)
    return (undisturbed + disturbed)[:runs]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the garbage collector off: a collection in mid-run would be timed as part of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
