"""Write the dump of today's store version: ``python -m tests.store.write_dump``.

Run it once, when a version is added to ``optim/store/versions.py``; what it writes is never changed
afterwards. The content is that of the older dumps, so that one test reads them all.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np

from optim.artifact import GraphFacts, store_artifact
from optim.candidate import Role
from optim.devices.environment import Environment
from optim.errors import Refusal
from optim.jobs.job import JobKind
from optim.jobs.queue import JobQueue
from optim.measure.measurement import Latency, Score
from optim.progress import Epoch
from optim.recipe import Calibration, Fuse, Prune, Quantize, Recipe
from optim.store.analyses import Analyses, AnalysisKind
from optim.store.results import Results
from optim.store.schema import APPLICATION_ID, STORE_NAME
from optim.store.training_log import TrainingLog
from optim.store.versions import SCHEMA_VERSION

DUMPS = Path(__file__).parent / "old_versions"
TASK = "fashion-resnet"
BASELINE, INT8, CONTROL, TRAINED = "ba5e00000000", "c0ffee000001", "c0ffee000002", "beef00000001"
HERE = Environment(
    cpu="Test CPU",
    instructions=("avx2", "avx512_vnni"),
    cores=2,
    threads=1,
    engine="onnxruntime",
    engine_version="1.32.0",
    governor="performance",
)
EIGHT_BITS = Recipe(steps=(Quantize(calibration=Calibration.ENTROPY, calibration_examples=256),))
FROM_SCRATCH = Recipe(
    steps=(Prune(ratio=0.5, epochs=2.0, distill=False, keep_weights=False, round_to=8), Fuse()),
    seed=1,
)
USUAL_MS = 2.75


def samples(first_ms: float) -> np.ndarray:
    """Twelve times in three rounds, exact in float32."""
    return (np.arange(12).reshape(3, 4) / 128 + first_ms).astype(np.float32)


def main() -> None:
    """Fill a workspace and write it down."""
    target = DUMPS / f"version_{SCHEMA_VERSION}.sql"
    if target.exists():
        raise SystemExit(f"{target} is there already; a published version does not change.")
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        with closing(sqlite3.connect(Path(folder) / STORE_NAME)) as store:
            lines = list(store.iterdump())
    head = (
        f"-- A workspace of store version {SCHEMA_VERSION}, with data in it.",
        f"PRAGMA application_id = {APPLICATION_ID};",
        f"PRAGMA user_version = {SCHEMA_VERSION};",
    )
    target.write_text("\n".join((*head, *lines)) + "\n", encoding="utf-8")


def fill(folder: Path) -> None:
    """A baseline, a measured candidate, a refused one, two jobs, analyses, a training log."""
    seconds = count(1_760_000_000)

    def clock() -> float:
        return float(next(seconds))

    fill_results(Results(folder, clock=clock))
    fill_jobs(JobQueue(folder, clock=clock))
    analyses = Analyses(folder, clock=clock)
    for kind in AnalysisKind:
        content = {"kind": str(kind), "layers": [1, 2]}
        analyses.add(INT8, kind, HERE.fingerprint, content)
    TrainingLog(folder).add(
        TRAINED,
        Epoch(epoch=1, loss=1.25, score=0.5, seconds=2.0),
        Epoch(epoch=2, loss=0.75, score=0.625, seconds=2.0),
    )


def fill_results(results: Results) -> None:
    """Three candidates, two of them with figures, and trained weights."""
    baseline = store_artifact(b"the baseline", results.artifacts)
    int8 = store_artifact(b"eight bits", results.artifacts)
    results.add(BASELINE, TASK, Recipe(), Role.BASELINE, True)
    results.finish(BASELINE, baseline, facts({"Conv": 3}), None)
    results.add(INT8, TASK, EIGHT_BITS)
    results.finish(INT8, int8, facts({}), 1.5)
    results.add(CONTROL, TASK, FROM_SCRATCH, Role.CONTROL)
    results.refuse(CONTROL, Refusal(reason="no layer can be pruned.", remedy="Try INT8."))
    for name, first_ms in ((BASELINE, 3.0), (INT8, 1.5)):
        latency = Latency(
            baseline_ms=samples(3.0),
            candidate_ms=samples(first_ms),
            null_ms=samples(3.125),
            baseline_sha256=baseline.sha256,
            cold_start_ms=12.5,
            environment=HERE,
            usual_ms=USUAL_MS,
        )
        results.add_latency(name, latency)
    same = {"n": 8, "split": "test", "baseline_sha256": baseline.sha256}
    recorded = Score(correct=7, worse=0, better=0, changed=0, recorded=True, **same)
    results.add_score(BASELINE, recorded, None)
    measured = Score(correct=6, worse=2, better=1, changed=4, **same)
    results.add_score(INT8, measured, np.arange(8) % 5)
    results.add_checkpoint(TRAINED, store_artifact(b"trained weights", results.artifacts))


def fill_jobs(queue: JobQueue) -> None:
    """One job that is done and one that waits."""
    payload = {"task": TASK, "recipe": EIGHT_BITS.to_dict()}
    done = queue.submit(JobKind.MAKE, f"make {INT8}", payload, "INT8")
    claimed = queue.claim("worker")
    assert claimed is not None
    queue.finish(done.id, claimed[1])
    waiting = {"task": TASK, "candidate": CONTROL}
    queue.submit(JobKind.MEASURE, f"measure {CONTROL}", waiting, "measure")


def facts(float_operators: dict[str, int]) -> GraphFacts:
    """Facts of a small network."""
    return GraphFacts(parameters=1000, macs=5000, float_operators=float_operators, operators=7)


if __name__ == "__main__":
    main()
