"""How far repeated measurements of one file differ, in the ordinary measurement.

    python benchmarks/noise.py [TASK] [--preset "50x faster for under 3 points"] [--times 10]

Without a preset the original stands against itself: A/B is what a candidate would get, A/A' is the
null that stands beside every latency, and in a quiet hour nine of ten lie within 0.95-1.05. With
one, the preset's shipped file stands against the original. `busy` is how much longer than usual the
original took; where it is noisy, the figure is taken again two seconds later
(`then`), as it is in the dashboard after the accuracy was measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from optim import Workspace
from optim.measure.measurement import Latency
from optim.pipeline.measure import measure_latency_of, settle_latency_of
from optim.pipeline.reference import prepare_reference
from optim.recipe import Recipe
from optim.search.named_presets import find_named_presets
from optim.task.task import load_task

WITHIN = 0.05
PAUSE_S = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", default="fashion-resnet")
    parser.add_argument("--preset", help="a named preset whose file comes with the task")
    parser.add_argument("--times", type=int, default=10)
    wanted = parser.parse_args()
    task = load_task(wanted.task)
    recipe = find_named_presets(task, wanted.preset)[0].recipe if wanted.preset else Recipe()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        (candidate,) = (c for c in workspace.take_prebuilt(task.name) if c.recipe == recipe)
        results, target = workspace.results, workspace.target
        first, settled = [], []
        print(f"{task.title}, {candidate.words()}, {workspace.environment.words()}")
        print("  A/B     A/A'   spread  busy   then")
        for _ in range(wanted.times):
            reference = prepare_reference(results, task, target)
            candidate = replace(
                candidate,
                latency=measure_latency_of(
                    results, task, candidate, target, reference, progress=_silent, max_restarts=0
                ),
            )
            once = _latency(workspace, candidate.id)
            time.sleep(PAUSE_S)
            settle_latency_of(results, task, candidate, target, reference, progress=_silent)
            then = _latency(workspace, candidate.id)
            first.append(once.speedup)
            settled.append(then.speedup)
            print(
                f"  {once.speedup:6.3f}  {once.null_ratio:.3f}  {once.spread_of_ratios:.1%}  "
                f"{once.system_load:4.0%}  {then.speedup:6.3f}",
                flush=True,
            )
    for name, ratios in (("timed once", first), ("settled", settled)):
        middle = float(np.median(ratios))
        inside = sum(abs(ratio / middle - 1) <= WITHIN for ratio in ratios)
        print(
            f"{name}: median {middle:.3f}, {min(ratios):.3f} to {max(ratios):.3f}, "
            f"within 5 % of it {inside} of {len(ratios)}"
        )


def _latency(workspace: Workspace, candidate_id: str) -> Latency:
    latency = workspace.candidate(candidate_id).latency
    assert latency is not None  # it was measured a moment ago
    return latency


def _silent(share: float, words: str) -> None:
    """A table needs no progress."""


if __name__ == "__main__":
    main()
