"""How long a person waits: import, an INT8 point, a pruned point, a grid.

    python benchmarks/responsiveness.py

Seconds on this machine, for orders of magnitude; other figures of the project are ratios.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from optim import Recipe, Workspace, recipe_of
from optim.candidate import candidate_id
from optim.recipe import Calibration, Quantize
from optim.task.task import load_task

TASK = "fashion-resnet"


def main() -> None:
    """Measure and print."""
    print(f"import optim: {_import_seconds():.2f} s (aim 0.3)")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        print(f"first figures of {TASK}: {_timed(lambda: workspace.take_prebuilt(TASK)):.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        workspace.make(TASK, Recipe())
        # Neither ships ready-made: both are made here from the weights.
        int8 = Recipe(steps=(Quantize(calibration=Calibration.PERCENTILE),))
        pruned = recipe_of(precision="int8", pruning_ratio=0.45)
        print(f"INT8 from click to point: {_wait_for(workspace, int8):.1f} s (aim 15)")
        print(f"prune 45 %, fine-tune, INT8: {_wait_for(workspace, pruned):.1f} s (aim 90)")
        parent = workspace.candidate(candidate_id(load_task(TASK), pruned.training_prefix()))
        assert parent.artifact is not None
        fp16 = recipe_of(precision="fp16", pruning_ratio=0.45)
        print(f"the same network as FP16, not trained again: {_wait_for(workspace, fp16):.1f} s")


def _import_seconds() -> float:
    code = "import time; t = time.perf_counter(); import optim; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    return sorted(runs)[2]


def _wait_for(workspace: Workspace, recipe: Recipe) -> float:
    """Seconds from the click to a measured candidate, through the queue and a worker."""
    started = time.perf_counter()
    job = workspace.submit(TASK, recipe)
    while True:
        found = workspace.job(job.id)
        assert found is not None
        if not found.live:
            assert found.error is None, found.error
            return time.perf_counter() - started
        time.sleep(0.1)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
