"""Mutated files of every kind that a stranger may bring: a result or one sentence, nothing else."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from optim.errors import BrokenArtifactError, OptimError
from optim.intake.limits import Limits
from optim.intake.sandbox import run_apart
from optim.recipe import Distill, Prune, Quantize, Recipe
from optim.task.task import load_task
from tests.faults import fuzzed
from tests.faults.tally import Tally, sizes
from tests.graph.quantized import inverted_residual, silu
from tests.intake import hostile

AT_ONCE = 500
"""Files in one child: if it is lost, the next one goes on behind it."""
LIMITS = Limits(memory_bytes=8 * 2**30, silence_s=90)


def an_onnx(folder: Path) -> Path:
    return hostile.saved(silu(), folder / "model.onnx")


def an_int8(folder: Path) -> Path:
    return hostile.saved(inverted_residual(8), folder / "model.onnx")


def a_control_flow(folder: Path) -> Path:
    return hostile.saved(hostile.nested(3), folder / "model.onnx")


def an_npz(folder: Path) -> Path:
    np.savez_compressed(
        folder / "data.npz", inputs=np.zeros((4, 6, 8), np.float32), targets=np.arange(4)
    )
    return folder / "data.npz"


def weights(folder: Path) -> Path:
    return load_task("motion-cnn").weights_path


def a_recipe(folder: Path) -> Path:
    recipe = Recipe(steps=(Prune(ratio=0.5), Distill(), Quantize()))
    (folder / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    return folder / "recipe.yaml"


KINDS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "onnx": ("onnx", an_onnx),
    "onnx with If": ("onnx", a_control_flow),
    "fields of an ONNX file": ("fields", an_onnx),
    "fields of one with If": ("fields", a_control_flow),
    "fields of an INT8 file": ("fields", an_int8),
    "npz": ("npz", an_npz),
    "safetensors": ("safetensors", weights),
    "recipe": ("recipe", a_recipe),
}


@pytest.mark.parametrize(
    ("what", "tries"),
    [
        *(pytest.param(what, 30, id=f"{what}, short") for what in KINDS if "fields" not in what),
        *(
            pytest.param(
                what,
                1500,
                id=f"{what}, full",
                marks=[pytest.mark.faults, pytest.mark.timeout(3600)],
            )
            for what in KINDS
        ),
    ],
)
def test_a_mutated_file_gives_a_result_or_one_sentence(
    what: str, tries: int, tally: Callable[[str], Tally], tmp_path: Path
) -> None:
    kind, make = KINDS[what]
    path, row = make(tmp_path), tally(f"mutations: {what}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for first in range(0, tries, AT_ONCE):
        last = min(tries, first + AT_ONCE)
        with TemporaryDirectory() as folder:
            argument = {"path": str(path), "kind": kind, "first": first, "last": last}
            told = run_apart(fuzzed.fuzz, argument, Path(folder), name=what, limits=LIMITS)
        for end, seeds in told["ends"].items():
            row.tried += len(seeds)
            if end not in ("done", "refused"):
                row.wrong += [f"{end}, seed {seed}" for seed in seeds]
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > 500_000:
        row.wrong.append("this process grew by more than 500 MB")
    row.lost = tries - row.tried
    row.check()


@sizes(3, 60)
def test_a_file_that_runs_wild_ends_within_its_limits(
    tries: int, tally: Callable[[str], Tally], tmp_path: Path
) -> None:
    row = tally("children over a limit")
    path = hostile.saved(hostile.endless_loop(), tmp_path / "wild.onnx")
    for _ in range(tries):
        begun = time.monotonic()
        with TemporaryDirectory() as folder:
            row.tried += 1
            try:
                run_apart(
                    fuzzed.run_it, {"path": str(path)}, Path(folder), name="wild.onnx",
                    limits=Limits(silence_s=2),
                )  # fmt: skip
                row.wrong.append("an endless loop came to an end")
            except BrokenArtifactError as error:
                if "takes too long" not in str(error):
                    row.wrong.append(str(error))
            except OptimError as error:
                row.wrong.append(repr(error))
        if time.monotonic() - begun > 20:
            row.wrong.append("it was not ended in time")
    row.check()
