"""The noise floor: the original network against itself, ten times, in the ordinary measurement.

    python benchmarks/noise.py [TASK]

Both ratios of a line compare a file with itself: A/B is what a candidate would get, A/A' is the
null that stands beside every latency. In a quiet hour nine of ten lie within 0.95-1.05.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from optim import Workspace
from optim.measuring import measure_latency_of
from optim.task import load_task

TIMES = 10
WITHIN = 0.05


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", default="fashion-resnet")
    name = parser.parse_args().task
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        baseline = workspace.take_starters(name)[0]
        inside = 0
        print(f"{load_task(name).title}, {workspace.environment.words()}")
        print("  A/B    A/A'   spread within the run")
        for _ in range(TIMES):
            measure_latency_of(workspace.results, load_task(name), baseline, progress=_silent)
            latency = workspace.candidate(baseline.id).latency
            assert latency is not None
            inside += abs(latency.speedup - 1) <= WITHIN
            print(
                f"  {latency.speedup:.3f}  {latency.null_ratio:.3f}"
                f"  {latency.spread_of_ratios:.1%}",
                flush=True,
            )
    print(f"within 0.95-1.05: {inside} of {TIMES}")


def _silent(share: float, words: str) -> None:
    """A table needs no progress."""


if __name__ == "__main__":
    main()
