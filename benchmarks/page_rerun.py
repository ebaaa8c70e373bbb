"""How long the Explore page takes to run again with 1,000 stored candidates.

    python benchmarks/page_rerun.py

The candidates are real rows of a real store with made-up figures: 15 rounds of 30 timed runs each,
as a measurement leaves them. A rerun is what a moved slider costs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from optim import Recipe, Workspace, recipe_of
from optim.artifact import GraphFacts, store_artifact
from optim.candidate import candidate_id, role_of
from optim.measure.measurement import Latency, Score
from optim.recipe import Precision
from optim.task.task import sample_tasks
from optim.workspace import FOLDER_VARIABLE

APP = Path(__file__).resolve().parent.parent / "dashboard" / "app.py"
ROUNDS, RUNS, EXAMPLES = 15, 30, 10_000


def main(candidates: int, reruns: int) -> None:
    """Fill a store, open the page, move a slider to and fro, and print the median."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER_VARIABLE] = folder
        workspace = Workspace(Path(folder))
        task = sample_tasks()[0]
        started = time.perf_counter()
        for i, recipe in enumerate(_recipes(candidates)):
            _store(workspace, candidate_id(task, recipe), task.name, recipe, seed=i)
        print(f"{candidates} candidates stored in {time.perf_counter() - started:.1f} s")
        page = AppTest.from_file(str(APP), default_timeout=600)
        page.session_state["tasks_begun"] = {task.name}  # nothing is measured here
        print(f"first run: {1000 * _timed(page):.0f} ms")
        times = []
        busy = time.process_time()
        for i in range(reruns):
            page.slider(key="prune").set_value(5 * (i % 19))
            times.append(_timed(page))
        busy = 1000 * (time.process_time() - busy) / reruns
        low, median, high = np.percentile(times, [10, 50, 90]) * 1000
        print(f"rerun: median {median:.0f} ms (aim 300), {low:.0f} to {high:.0f} in 8 of 10")
        print(f"of which the processor worked {busy:.0f} ms: the rest is other programs")


def _timed(page: AppTest) -> float:
    started = time.perf_counter()
    page.run()
    seconds = time.perf_counter() - started
    assert not page.exception, page.exception
    return seconds


def _recipes(n: int) -> list[Recipe]:
    """The baseline, then every precision of every ratio, seed by seed."""
    recipes = {Recipe(): None}
    seed = 0
    while len(recipes) < n:
        for step in range(19):
            for precision in Precision:
                recipes[recipe_of(precision=precision, pruning_ratio=step / 20, seed=seed)] = None
        seed += 1
    return list(recipes)[:n]


def _store(workspace: Workspace, name: str, task: str, recipe: Recipe, *, seed: int) -> None:
    rng = np.random.default_rng(seed)
    results, keep = workspace.results, 1 - recipe.pruning_ratio
    is_int8 = recipe.precision is Precision.INT8
    speedup = (3.0 if is_int8 else 1.0) / keep**1.6 * rng.uniform(0.9, 1.1)
    artifact = store_artifact(f"{name} ".encode() * int(60 * keep**2 + 2), results.artifacts)
    results.add(name, task=task, recipe=recipe, role=role_of(recipe))
    facts = GraphFacts(
        parameters=int(1e6 * keep**2), macs=int(4e7 * keep**2), float_operators={}, operators=20
    )
    results.finish(name, artifact=artifact, facts=facts, seconds=30.0)

    def runs(ms: float) -> np.ndarray:
        noisy: np.ndarray = ms * (1 + 0.02 * rng.gamma(1.0, 1.0, (ROUNDS, RUNS)))
        return noisy.astype(np.float32)

    latency = Latency(
        baseline_ms=runs(2.6),
        candidate_ms=runs(2.6 / speedup),
        null_ms=runs(2.6),
        baseline_sha256="0" * 64,
        cold_start_ms=30.0,
        environment=workspace.environment,
    )
    results.add_latency(name, latency)
    worse = int(600 * recipe.pruning_ratio**2) + int(rng.integers(0, 60)) if recipe.steps else 0
    better = worse // 3
    accuracy = Score(
        n=EXAMPLES,
        correct=9400 - worse + better,
        worse=worse,
        better=better,
        changed=worse + better,
        split="test",
        baseline_sha256="0" * 64,
    )
    results.add_score(name, accuracy, np.zeros(EXAMPLES, np.uint8))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--reruns", type=int, default=20)
    arguments = parser.parse_args()
    main(arguments.candidates, arguments.reruns)
