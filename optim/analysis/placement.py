"""Measured placement: what is slower in INT8 on this engine and machine stays in FP32.

A profile says which layers these are. Leaving one in FP32 can also add conversions around it, which
no profile of the two uniform files shows; so the placed file is interleaved with the INT8 file,
and kept only if it is really faster.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optim.analysis.sensitivity import layer_times
from optim.artifact import store_artifact
from optim.engines.profile import Profile
from optim.errors import Refusal, RefusedError
from optim.measure.latency import measure
from optim.measure.measurement import Latency
from optim.measure.profile import profile
from optim.pipeline.make import file_of
from optim.progress import Progress
from optim.recipe import Precision, Quantize, Recipe
from optim.recipe.edit import keep_in_float
from optim.task.task import Task

if TYPE_CHECKING:
    from optim.devices.target import Target
    from optim.store.results import Results


MOST_TRIES = 3
RESOLUTION_MS = 0.001
"""The profiler's times are whole microseconds; no layer is slower by less."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A file with some layers in FP32, timed interleaved with the INT8 file.

    Attributes:
        layers: that stay in FP32.
        speedup: time of the INT8 file over that of this one.
        interval: 95 %.
    """

    layers: tuple[str, ...]
    speedup: float
    interval: tuple[float, float]

    @property
    def faster(self) -> bool:
        """True if it is faster beyond the interval of measurement."""
        return self.interval[0] > 1


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Result of leaving slow layers in FP32.

    Attributes:
        recipe: the INT8 recipe with the layers of the fastest trial in FP32; the plain INT8 recipe
            if none was really faster.
        slower: layers that the profile shows slower in INT8, the greatest loss first.
        trials: what was tried.
    """

    recipe: Recipe
    slower: tuple[str, ...]
    trials: tuple[Trial, ...]


def keep_in_float_where_slower(fp32: Profile, int8: Profile) -> tuple[str, ...]:
    """Return layers whose own kernels take longer in the INT8 file, the greatest loss first."""
    before, after = layer_times(fp32), layer_times(int8)
    lost = {name: after[name] - before[name] for name in before if name in after}
    return tuple(sorted((n for n in lost if lost[n] > RESOLUTION_MS), key=lambda name: -lost[name]))


def tries(fp32: Profile, int8: Profile) -> tuple[tuple[str, ...], ...]:
    """Return what to leave in FP32: all that the profiles name, then the worse half, and so on."""
    left = keep_in_float_where_slower(fp32, int8)
    if set(left) >= set(layer_times(int8)):
        left = left[:-1]  # one layer at least must be INT8, else the file is the parent's
    halves = (left[: len(left) >> i] for i in range(MOST_TRIES))
    return tuple(half for half in halves if half)


def compared(layers: tuple[str, ...], placed: Latency, plain: Latency) -> Trial:
    """Return a trial of two files that were timed interleaved with the original, each on its own.

    Both ratios vary, so the interval is the widest that theirs allow.
    """
    (low, high), (plain_low, plain_high) = placed.speedup_interval, plain.speedup_interval
    return Trial(
        layers=layers,
        speedup=placed.speedup / plain.speedup,
        interval=(low / plain_high, high / plain_low),
    )


def place(
    results: Results, task: Task, parent: Recipe, target: Target, *, progress: Progress
) -> Placement:
    """Find layers that make the INT8 file faster by staying in FP32, and prove it.

    Args:
        parent: steps of training alone.
        target: whose engine and threads decide.

    Raises:
        RefusedError: if the network cannot be quantized to INT8.
    """
    if parent.steps != parent.training_steps():
        raise RefusedError(
            Refusal(
                reason=f"placement starts at a float network, and {parent.words()} is not one.",
                remedy="Start at its float parent.",
            )
        )
    plain = replace(parent, steps=(*parent.steps, Quantize(precision=Precision.INT8)))
    example = task.example(target.batch)
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as folder:
        progress(0.0, "profiling FP32 and INT8")
        files = [
            store_artifact(file_of(results, task, recipe), Path(folder))
            for recipe in (parent, plain)
        ]
        fp32, int8 = (profile(f.path, example, target) for f in files)
        planned = tries(fp32, int8)
        for left in planned:
            progress((1 + len(trials)) / (1 + MOST_TRIES), f"timing {len(left)} layers in FP32")
            placed = store_artifact(
                file_of(results, task, keep_in_float(plain, left)), Path(folder)
            )
            latency = measure(placed, files[1], target, example=example)
            trials.append(
                Trial(layers=left, speedup=latency.speedup, interval=latency.speedup_interval)
            )
            if trials[-1].faster:
                break
    best = next((trial for trial in trials if trial.faster), None)
    return Placement(
        recipe=plain if best is None else keep_in_float(plain, best.layers),
        slower=planned[0] if planned else (),
        trials=tuple(trials),
    )
