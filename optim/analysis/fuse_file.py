"""Fold and rewrite an ONNX file that somebody else made, and time what came of it.

Everything that reads or runs the file happens in ``optim.intake.sandbox``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from optim.analysis.time_files import time_interleaved
from optim.devices.target import Target
from optim.errors import EngineError
from optim.graph.fuse import FuseReport, fuse_report
from optim.intake.gate import admit
from optim.intake.limits import limits_for
from optim.intake.reading import read_regular
from optim.intake.sandbox import Plain, run_apart
from optim.measure.measurement import Latency
from optim.progress import Progress

FUSED_NAME = "fused.onnx"


@dataclass(frozen=True, kw_only=True, eq=False)
class FusedFile:
    """Result of fusing a file.

    Attributes:
        content: the new file.
        report: what was folded and rewritten.
        latency: the new file against the one that came; None if they could not be timed.
        why_not_timed: one sentence; empty if they were.
        taken_in: files beside it whose weights stand in the new file now.
    """

    content: bytes
    report: FuseReport
    latency: Latency | None
    why_not_timed: str
    taken_in: tuple[str, ...]


def fuse_file(
    path: Path, target: Target, *, progress: Progress = lambda share, words: None
) -> FusedFile:
    """Fuse a file as ``optim.graph.fuse`` does, and time both.

    Raises:
        BrokenArtifactError: if it is no ONNX model that can be worked on within limits.
    """
    with TemporaryDirectory(prefix="edge-optim-") as folder:
        told = run_apart(
            _fuse,
            {"path": str(path.absolute()), "target": target.to_dict()},
            Path(folder),
            name=path.name,
            limits=limits_for(path),
            progress=progress,
        )
        latency = told["latency"]
        return FusedFile(
            content=read_regular(Path(folder) / FUSED_NAME, follow=False),
            report=FuseReport.from_dict(told["report"]),
            latency=None if latency is None else Latency.from_dict(latency),
            why_not_timed=told["why_not_timed"],
            taken_in=tuple(told["taken_in"]),
        )


def _fuse(argument: Plain, progress: Progress) -> Plain:
    """Fuse in the child: the new file is left in its folder."""
    progress(0.0, "reading the file")
    admitted = admit(Path(argument["path"]))
    progress(0.2, "folding and rewriting")
    fused, report = fuse_report(admitted.content)
    Path(FUSED_NAME).write_bytes(fused)
    progress(0.5, "timing both files, interleaved")
    try:
        timed = time_interleaved(admitted.content, fused, Target.from_dict(argument["target"]))
        latency, why_not = timed.to_dict(), ""
    except EngineError as error:
        latency, why_not = None, str(error)
    return {
        "report": report.to_dict(),
        "latency": latency,
        "why_not_timed": why_not,
        "taken_in": list(admitted.embedded),
    }
