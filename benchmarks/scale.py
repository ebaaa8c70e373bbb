"""What a task with thousands of candidates costs: ranking, advice, prediction, the plot's input.

    python benchmarks/scale.py                  1,000, 10,000 and 100,000 candidates
    python benchmarks/scale.py --sizes 500 5000

Candidates have random figures of realistic spread; nothing is stored or drawn. The last column is
how much longer ten times as many take: 10 is linear, 12 to 13 n log n, 100 the square.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from optim.artifact import Artifact, GraphFacts
from optim.candidate import Candidate, role_of
from optim.devices.environment import Environment
from optim.measure.measurement import Latency, Score
from optim.recipe import Precision, Recipe, recipe_of
from optim.search.control import compressed_beats_control
from optim.search.pareto import Limits, Objective, ranked_front
from optim.search.predict import predict
from optim.search.recommend import recommend

SIZES = (1_000, 10_000, 100_000)
ROUNDS, RUNS, EXAMPLES = 15, 30, 10_000
PRECISIONS = tuple(Precision)
HERE = Environment(
    cpu="benchmark", instructions=(), cores=1, threads=1, engine="none", engine_version="0"
)


def main() -> None:
    """Print the seconds of each question at each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = tuple(parser.parse_args().sizes)
    seconds: dict[str, list[float]] = {}
    for n in sizes:
        for name, ask in questions().items():
            candidates = made(n)  # anew: a measurement keeps its summaries
            start = time.perf_counter()
            ask(candidates)
            seconds.setdefault(name, []).append(time.perf_counter() - start)
    print(f"{'':34}" + "".join(f"{n:>12,}" for n in sizes) + "   growth")
    for name, row in seconds.items():
        growth = [late / max(early, 1e-9) for early, late in pairwise(row)]
        told = "  ".join(f"{factor:.1f}" for factor in growth)
        print(f"{name:34}" + "".join(f"{second:>10.2f} s" for second in row) + f"   {told}")


def questions() -> dict[str, Callable[[tuple[Candidate, ...]], object]]:
    """What is asked, by name."""
    limits = Limits(max_score_drop=0.02)
    every, two = tuple(Objective), (Objective.LATENCY, Objective.SCORE)
    wanted = recipe_of(pruning_ratio=0.42, precision="int8")
    return {
        "front in three objectives": partial(ranked_front, objectives=every, limits=limits),
        "front in latency and accuracy": partial(ranked_front, objectives=two, limits=limits),
        "advice: the fastest": lambda rows: recommend(rows, limits),
        "advice: the most accurate": lambda rows: recommend(rows, Limits(max_latency_ms=1.0)),
        "prediction": lambda rows: predict(wanted, rows),
        "compressed against controls": compressed_beats_control,
    }


def made(n: int, *, seed: int = 0) -> tuple[Candidate, ...]:
    """The original and n - 1 pruned and quantized candidates, one in twenty from scratch."""
    rng = np.random.default_rng(seed)
    quiet = (2.6 * (1 + 0.02 * rng.gamma(1.0, 1.0, (ROUNDS, RUNS)))).astype(np.float32)
    recipes = [recipe_of()]
    for i in range(n - 1):
        chosen = PRECISIONS[int(rng.integers(len(PRECISIONS)))]
        ratio = float(np.round(rng.uniform(0.05, 0.95), 3))
        recipes.append(recipe_of(pruning_ratio=ratio, precision=chosen, seed=i))
    return tuple(_candidate(i, recipe, quiet, rng) for i, recipe in enumerate(recipes))


def _candidate(i: int, recipe: Recipe, quiet: np.ndarray, rng: np.random.Generator) -> Candidate:
    left = 1.0 - 0.95 * float(rng.random()) if i else 1.0
    speedup = float(left**-1.5 * rng.uniform(0.5, 1.0)) if i else 1.0
    lost = int(700 * (1 - left) ** 2 + rng.integers(0, 200)) if i else 0
    times = quiet.reshape(-1)[rng.permutation(quiet.size)].reshape(quiet.shape) / speedup
    return Candidate(
        id=f"{i:012x}",
        task="scale",
        recipe=recipe,
        role=role_of(recipe),
        artifact=Artifact(
            path=Path(f"{i}.onnx"),
            sha256=f"{i:064x}",
            size_bytes=int(7.9e6 * left**2) + i % 997,
            compressed_bytes=1,
        ),
        facts=GraphFacts(
            parameters=int(2e6 * left**2), macs=int(4e7 * left**2), float_operators={}, operators=12
        ),
        latency=Latency(
            baseline_ms=quiet,
            candidate_ms=times.astype(np.float32),
            null_ms=quiet,
            baseline_sha256=f"{0:064x}",
            cold_start_ms=30.0,
            environment=HERE,
        ),
        score=Score(
            n=EXAMPLES,
            correct=9_400 - lost,
            worse=lost + 40 if i else 0,
            better=40 if i else 0,
            changed=lost + 80,
            split="test",
            baseline_sha256=f"{0:064x}",
        ),
        created=float(i),
    )


if __name__ == "__main__":
    main()
