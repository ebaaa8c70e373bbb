"""Synthetic candidates with realistic figures, for tests that need no network and no engine."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from optim.artifact import Artifact, GraphFacts
from optim.candidate import Candidate, role_of
from optim.devices.environment import Environment
from optim.measure.measurement import Latency, Score
from optim.recipe import Fuse, Precision, Prune, Quantize, Recipe, recipe_of

BASELINE_MS = 2.62
BASELINE_BYTES = 7_900_000
N = 10_000
BASELINE_CORRECT = 9_400
BASELINE_SHA = hashlib.sha256(b"baseline").hexdigest()

ENVIRONMENT = Environment(
    cpu="AMD EPYC",
    instructions=("avx2", "avx512_vnni"),
    cores=2,
    threads=1,
    engine="onnxruntime",
    engine_version="1.32.0",
)


def latency_of(
    speedup: float, *, noise: float = 0.02, seed: int = 0, baseline_ms: float = BASELINE_MS
) -> Latency:
    """15 rounds of 30 runs, interleaved with the baseline; spread like a quiet machine's."""
    rng = np.random.default_rng(seed)

    def runs(ms: float) -> np.ndarray:
        return (ms * (1 + noise * rng.gamma(1.0, 1.0, (15, 30)))).astype(np.float32)

    return Latency(
        baseline_ms=runs(baseline_ms),
        candidate_ms=runs(baseline_ms / speedup),
        null_ms=runs(baseline_ms),
        baseline_sha256=BASELINE_SHA,
        cold_start_ms=35.0,
        environment=ENVIRONMENT,
    )


def accuracy_of(
    lost: int, *, better: int = 5, recorded: bool = False, n: int = N, correct: int | None = None
) -> Score:
    """Answers that lose ``lost`` examples net against the baseline's 9,400 of 10,000."""
    base = round(n * BASELINE_CORRECT / N) if correct is None else correct
    return Score(
        n=n,
        correct=base - lost,
        worse=lost + better if lost + better > 0 else 0,
        better=better if lost + better > 0 else -lost,
        changed=round(1.1 * (max(lost, 0) + 2 * better)),
        split="test",
        baseline_sha256=BASELINE_SHA,
        recorded=recorded,
    )


def candidate(
    recipe: Recipe,
    *,
    speedup: float = 1.0,
    size_bytes: int = BASELINE_BYTES,
    lost: int = 0,
    better: int = 5,
    recorded: bool = False,
    created: float = 0.0,
    noise: float = 0.02,
    task: str = "fashion-resnet",
) -> Candidate:
    """A measured candidate; its id comes from the recipe."""
    sha = hashlib.sha256(recipe.fingerprint.encode()).hexdigest()
    is_baseline = not recipe.steps
    return Candidate(
        id=recipe.fingerprint[:12],
        task=task,
        recipe=recipe,
        role=role_of(recipe),
        artifact=Artifact(
            path=Path("/nowhere") / f"{sha}.onnx",
            sha256=BASELINE_SHA if is_baseline else sha,
            size_bytes=size_bytes,
            compressed_bytes=int(size_bytes * 0.9),
        ),
        facts=GraphFacts(
            parameters=size_bytes // 4, macs=40_000_000, float_operators={}, operators=12
        ),
        latency=latency_of(speedup, noise=noise, seed=int(recipe.fingerprint[:6], 16)),
        score=accuracy_of(lost, better=0 if is_baseline else better, recorded=recorded),
        created=created,
        seconds=42.0,
    )


def control(ratio: float, precision: Precision = Precision.FP32, *, epochs: float = 6.0) -> Recipe:
    """The recipe of a small network trained from scratch."""
    steps: tuple[Prune | Fuse | Quantize, ...] = (
        Prune(ratio=ratio, epochs=epochs, distill=False, keep_weights=False),
    )
    if precision is not Precision.FP32:
        steps += (Quantize(precision=precision),)
    return Recipe(steps=steps)


def sample_candidates() -> tuple[Candidate, ...]:
    """What the ResNet's front looks like after a while, baseline first."""
    rows = [
        (recipe_of(), 1.0, 7_900_000, 0, 0, False),
        (recipe_of(precision="fp16"), 0.86, 3_960_000, 1, 2, False),
        (recipe_of(precision="int8"), 3.4, 2_020_000, 4, 5, False),
        (recipe_of(precision="int4"), 0.94, 1_180_000, 118, 30, False),
        (recipe_of(pruning_ratio=0.25), 1.6, 4_500_000, 21, 40, False),
        (recipe_of(pruning_ratio=0.5), 3.9, 2_000_000, 66, 60, True),
        (recipe_of(pruning_ratio=0.5, precision="int8"), 10.9, 545_000, 69, 62, True),
        (recipe_of(pruning_ratio=0.75), 14.2, 520_000, 231, 80, True),
        (recipe_of(pruning_ratio=0.75, precision="int8"), 26.5, 164_000, 241, 84, False),
        (recipe_of(pruning_ratio=0.5, precision="fp16"), 3.3, 1_010_000, 67, 60, False),
        (control(0.75), 14.4, 520_000, 236, 120, False),
    ]
    return tuple(
        candidate(
            recipe,
            speedup=speedup,
            size_bytes=size_bytes,
            lost=lost,
            better=better,
            recorded=recorded,
            created=1_000.0 + i,
        )
        for i, (recipe, speedup, size_bytes, lost, better, recorded) in enumerate(rows)
    )


def many_candidates(n: int, *, seed: int = 0) -> tuple[Candidate, ...]:
    """The baseline and n - 1 pruned candidates with random figures."""
    rng = np.random.default_rng(seed)
    made = [candidate(recipe_of())]
    for i in range(n - 1):
        ratio = 0.05 + 0.9 * i / n
        speedup = float(1 / (1 - ratio) ** 1.5 * rng.uniform(0.5, 1.0))
        made.append(
            candidate(
                recipe_of(pruning_ratio=ratio, seed=i),
                speedup=speedup,
                size_bytes=int(BASELINE_BYTES * (1 - ratio) ** 2) + 10_000,
                lost=int(700 * ratio**2 + rng.integers(0, 200)),
                created=float(i),
            )
        )
    return tuple(made)
