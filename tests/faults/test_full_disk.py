"""A disk that fills: no half file under a final name, one sentence, and all goes on with room."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import optim
from tests.faults.tally import Tally, sizes

ROOT = Path(optim.__file__).resolve().parents[1]
SCRIPT = """
    import os, random, sys
    from pathlib import Path
    from optim.artifact import sha256_of, store_artifact
    from optim.errors import DiskFullError
    from optim.jobs.job import JobKind
    from optim.jobs.queue import JobQueue

    folder, chance = Path("small"), random.Random(int(sys.argv[1]))
    queue = JobQueue(folder)
    asked = []
    full = 0
    for i in range(200):
        try:
            store_artifact(chance.randbytes(chance.randrange(1, 60_000)), folder / "artifacts")
            asked.append(queue.submit(JobKind.MAKE, f"key {i}", {}, "words").id)
        except DiskFullError as error:
            assert "is full" in str(error), error
            full += 1
            if full > 20:
                break
    assert full, "the disk never filled"
    for path in (folder / "artifacts").rglob("*.onnx"):
        assert sha256_of(path.read_bytes()) == path.stem, "half a file"
    assert not list(folder.rglob("*.part"))
    for path in list((folder / "artifacts").rglob("*.onnx"))[::2]:
        path.unlink()
    asked.append(queue.submit(JobKind.MAKE, "with room", {}, "words").id)
    assert [job.id for job in reversed(queue.list(500))] == asked
"""


@sizes(2, 40)
def test_a_disk_that_fills(tries: int, tally: Callable[[str], Tally], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    (tmp_path / "small").mkdir()
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    allowed = subprocess.run(
        [*mount, "mount -t tmpfs -o size=1m none small"], cwd=tmp_path, capture_output=True
    )
    if allowed.returncode != 0:
        pytest.skip("this system lets nobody mount a small disk")
    row = tally("a disk that fills")
    for seed in range(tries):
        process = subprocess.run(
            [*mount, 'mount -t tmpfs -o size=1m none small && exec "$@"', "sh", sys.executable,
             "script.py", str(seed)],
            cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        row.tried += 1
        if process.returncode != 0:
            row.wrong.append(process.stderr[-300:])
    row.check()
