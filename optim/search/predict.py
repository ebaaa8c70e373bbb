"""Prediction of a candidate before it is made: interpolation over what is measured.

In the logarithm, latency and parameters are modelled as the sum of a curve over the pruning ratio,
a constant per precision and a constant per variant (blocks removed, another calibration,
quantization-aware training, another way to choose channels); accuracy is modelled the same way,
without logarithm:

    y(ratio, precision, variant) = curve(ratio) + offset(precision) + offset(variant).

What is arithmetic is not fitted: a file has parameters x bits of its weights, and an overhead of
its graph as measured in the nearest file of its precision; only how many parameters a network has
that was never made is fitted. An engine that computes FP16 in FP32 is not faster with it.

The curve runs piecewise linearly through the measured ratios, fitted together with the offsets by
backfitting (Hastie and Tibshirani 1990, section 4.4). The uncertainty is the leave-one-out error of
this very model on the measured points, and grows with the distance to the nearest measured ratio.
A prediction is never a ``Measurement`` and is drawn hollow.

The ratio is one of channels, whatever it was given in. Zeros change neither the time nor the size
of a dense file, so only accuracy has a variant for them. A student is another network: nothing is
said of one that is not measured in any precision, and none bends the curve of the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, assert_never

import numpy as np

from optim.candidate import Candidate, Role
from optim.recipe import (
    Criterion,
    Distill,
    Fuse,
    MixedPrecision,
    Precision,
    Prune,
    PruningUnit,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Scope,
    Sparsify,
    step_words,
)

Quantity = Literal["latency", "size", "parameters", "accuracy"]

MIN_UNCERTAINTY: dict[Quantity, float] = {
    "latency": 0.05,
    "size": 0.01,
    "parameters": 0.01,
    "accuracy": 0.003,
}
BACKFITTING_ROUNDS = 20
MOST_LEFT_OUT = 40
"""How many points the leave-one-out error is taken over, evenly spaced, if there are more."""
PRIOR: dict[Quantity, float] = {
    "latency": 0.5,
    "size": 0.3,
    "parameters": 0.3,
    "accuracy": 0.02,
}
"""One standard deviation where nothing similar is measured: log, log, share."""


BITS = {Precision.FP32: 32, Precision.FP16: 16, Precision.INT8: 8, Precision.INT4: 4}
"""Of one weight in a file; what is kept wider counts as overhead."""
FLOAT16_IN_FLOAT32 = ("onnxruntime",)
"""Engines that compute FP16 in FP32 on a CPU: the file is smaller, and not faster."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A guess with its doubt; every interval is about 80 %.

    Attributes:
        latency_ms, size_bytes, score: the guess.
        latency_interval, size_interval, score_interval: low and high.
        from_candidates: how many measured candidates it rests on.
    """

    recipe: Recipe
    latency_ms: float
    latency_interval: tuple[float, float]
    size_bytes: float
    size_interval: tuple[float, float]
    score: float
    score_interval: tuple[float, float]
    from_candidates: int


@dataclass(frozen=True, kw_only=True)
class _Points:
    """Measured values of one quantity, shape (n,) each; words stand as numbers of their own."""

    ratios: np.ndarray
    precisions: np.ndarray
    variants: np.ndarray
    values: np.ndarray
    numbers: Mapping[str, int]


def predict(recipe: Recipe, measured: Sequence[Candidate]) -> Prediction | None:
    """Predict from the measured candidates of the same task.

    Args:
        recipe: what is asked.
        measured: any candidates of the task; the unmeasured and the controls are ignored.

    Returns:
        None if fewer than two candidates, or not the baseline, are measured, if it is about a
        student and none like it is, or if their score is no share: of others the model knows
        nothing.
    """
    like = (None, student_of(recipe))
    usable = [
        c
        for c in measured
        if c.measured
        and c.score is not None
        and c.score.moments is None
        and c.role is not Role.CONTROL
        and student_of(c.recipe) in like
    ]
    if len(usable) < 2 or not any(not c.recipe.steps for c in usable):
        return None
    if like[1] is not None and not any(student_of(c.recipe) == like[1] for c in usable):
        return None
    usable = _nearest_training(usable, recipe)
    latency = _latency(usable, recipe)
    size = _size(usable, recipe)
    accuracy = _fit(usable, recipe, "accuracy", recipe.precision)
    return Prediction(
        recipe=recipe,
        latency_ms=math.exp(latency[0]),
        latency_interval=(math.exp(latency[1]), math.exp(latency[2])),
        size_bytes=size[0],
        size_interval=size[1:],
        score=min(1.0, max(0.0, accuracy[0])),
        score_interval=(max(0.0, accuracy[1]), min(1.0, accuracy[2])),
        from_candidates=len(usable),
    )


def student_of(recipe: Recipe) -> Replace | None:
    """Return the student of a recipe whatever its training; None if the network itself goes on."""
    step = recipe.step(Replace)
    return None if step is None else replace(step, epochs=1.0, distill=True)


def channel_ratio(step: Prune | None) -> float:
    """Return roughly the share of the channels that a pruning step removes, 0..1.

    Parameters and MACs fall with the square of the channels that stay.

    >>> channel_ratio(Prune(ratio=0.75, unit=PruningUnit.MACS))
    0.5
    """
    if step is None or step.unit is PruningUnit.CHANNELS:
        return 0.0 if step is None else step.ratio
    return 1 - math.sqrt(1 - step.ratio)


def _ratio(recipe: Recipe) -> float:
    return channel_ratio(recipe.step(Prune))


def _nearest_training(usable: Sequence[Candidate], recipe: Recipe) -> list[Candidate]:
    """Keep, of candidates that differ only in training, the one most like ``recipe``."""
    wanted = _epochs(recipe)

    def distance(candidate: Candidate) -> float:
        return abs(_epochs(candidate.recipe) - wanted) if _epochs(candidate.recipe) else 0.0

    best: dict[tuple[float, Precision, str], Candidate] = {}
    for candidate in sorted(usable, key=distance, reverse=True):
        own = candidate.recipe
        best[_ratio(own), own.precision, _variant(own, "accuracy")] = candidate
    return list(best.values())


def _epochs(recipe: Recipe) -> float:
    """Return the epochs of a student and after pruning, by which figures of one variant differ."""
    steps = (recipe.step(Replace), recipe.step(Prune))
    known = [step.epochs for step in steps if step is not None]
    return sum(known) if known else 1.0


def _variant(recipe: Recipe, what: Quantity) -> str:
    """Return what moves this quantity, but for ratio, precision and epochs, in words."""
    learns = what == "accuracy"
    told = []
    for step in recipe.steps:
        match step:
            case Prune():
                told.append(_kind_of_pruning(step, learns=learns))
            case Replace():
                told.append(_words(replace(step, epochs=0.0, distill=True)))
            case Distill() | Sparsify():
                told.append(_words(step) if learns else "")
            case Quantize():
                words = _words(step).removeprefix(step.precision.upper())
                told.append("" if what == "parameters" else words)
            case Fuse():
                pass
            case ReplaceActivation() | QuantizeAware() | MixedPrecision():
                told.append("" if what == "parameters" else _words(step))
            case _:
                assert_never(step)
    return ", ".join(filter(None, told))


def _kind_of_pruning(step: Prune, *, learns: bool) -> str:
    """Return how it is pruned, without the ratio; the choice of channels changes no shape."""
    rest = tuple((k, v) for k, v in vars(step).items() if k not in ("ratio", "epochs"))
    return _kind_words(rest, is_cut=step.ratio > 0, learns=learns)


@lru_cache(maxsize=4096)
def _kind_words(rest: tuple[tuple[str, Any], ...], *, is_cut: bool, learns: bool) -> str:
    """Return the words of a step by its other fields: thousands of candidates share a few kinds."""
    step = Prune(**dict(rest), ratio=0.5, epochs=1.0)
    kind = replace(
        step,
        blocks=0,
        layers=(),
        keep_weights=True,
        distill=step.distill or not learns,
        criterion=step.criterion if learns or step.scope is Scope.GLOBAL else Criterion.L2,
        rounds=step.rounds if learns else 1,
    )
    usual = step_words(Prune(ratio=0.5))
    parts = [
        f"{step.blocks} blocks" if step.blocks else "",
        str(step.layers) if step.layers else "",
        step_words(kind) if is_cut and step_words(kind) != usual else "",
    ]
    return ", ".join(filter(None, parts))


_words = lru_cache(maxsize=4096)(step_words)


def _latency(usable: Sequence[Candidate], recipe: Recipe) -> tuple[float, float, float]:
    """Guess, low and high of the logarithm of the latency."""
    own = _fit(usable, recipe, "latency", recipe.precision)
    engines = {c.latency.environment.engine for c in usable if c.latency is not None}
    if recipe.precision is not Precision.FP16 or not engines <= {*FLOAT16_IN_FLOAT32}:
        return own
    in_float = _fit(usable, recipe, "latency", Precision.FP32)
    is_measured = any(c.recipe.precision is Precision.FP16 for c in usable)
    return max(own, in_float) if is_measured else in_float


def _size(usable: Sequence[Candidate], recipe: Recipe) -> tuple[float, float, float]:
    """Guess, low and high of the bytes of the file: parameters x bits, and overhead."""
    counted = [c for c in usable if c.facts is not None]
    if recipe.step(MixedPrecision) is not None or len(counted) < len(usable):
        guess, low, high = _fit(usable, recipe, "size", recipe.precision)
        return math.exp(guess), math.exp(low), math.exp(high)
    counted = [c for c in counted if c.recipe.step(MixedPrecision) is None]
    network = _network(recipe)
    alike = [c for c in counted if _network(c.recipe) == network]
    parameters = [float(c.facts.parameters) for c in alike if c.facts is not None][:1] * 3
    if not parameters:
        found = _fit(usable, recipe, "parameters", Precision.FP32)
        parameters = [math.exp(each) for each in found]
    each = BITS[recipe.precision] / 8
    overhead = _overhead(counted, recipe)
    low, high = (parameters[i] * each + overhead for i in (1, 2))
    doubt = MIN_UNCERTAINTY["size"]
    return parameters[0] * each + overhead, low * (1 - doubt), high * (1 + doubt)


def _network(recipe: Recipe) -> tuple[float, str]:
    """Return what recipes of networks of one shape share, whatever their precision and training."""
    return _ratio(recipe), _variant(recipe, "parameters")


def _overhead(counted: Sequence[Candidate], recipe: Recipe) -> float:
    """Return bytes of the graph, its scales and biases, as in the nearest file of the precision.

    Where none is measured it is that of a float file, which is less than a quantized one's.
    """
    for precision in (recipe.precision, Precision.FP32):
        of_it = [c for c in counted if c.recipe.precision is precision]
        if of_it:
            nearest = min(of_it, key=lambda c: (abs(_ratio(c.recipe) - _ratio(recipe)), c.id))
            assert nearest.artifact is not None
            assert nearest.facts is not None
            weights = nearest.facts.parameters * BITS[precision] / 8
            return max(0.0, nearest.artifact.size_bytes - weights)
    return 0.0


def _fit(
    usable: Sequence[Candidate], recipe: Recipe, what: Quantity, precision: Precision
) -> tuple[float, float, float]:
    """Guess, low and high of one quantity (logarithms but for accuracy)."""
    points = _points(usable, what)
    ratio, variant = _ratio(recipe), _variant(recipe, what)
    number = 0 if what == "parameters" else points.numbers.get(precision, -1)
    guess = _interpolate(points, ratio, number, points.numbers.get(variant, -1))
    n = len(points.values)
    left_out = range(0, n, max(1, n // MOST_LEFT_OUT)) if n > 2 else range(0)
    errors = [
        abs(
            points.values[i]
            - _interpolate(
                _without(points, i), points.ratios[i], points.precisions[i], points.variants[i]
            )
        )
        for i in left_out
    ]
    typical = float(np.median(errors)) if errors else PRIOR[what]
    nearest = float(np.min(np.abs(points.ratios - ratio)))
    unknown = 1.0 if number in points.precisions else 3.0
    doubt = max(MIN_UNCERTAINTY[what], typical) * (0.5 + 4.0 * nearest) * unknown
    if points.numbers.get(variant, -1) not in points.variants:  # at no ratio is anything like it
        doubt = max(doubt, PRIOR[what] / 2)
    doubt = min(max(doubt, MIN_UNCERTAINTY[what]), PRIOR[what] * 2)
    return guess, guess - 1.28 * doubt, guess + 1.28 * doubt


def _points(usable: Sequence[Candidate], what: Quantity) -> _Points:
    values = []
    for c in usable:
        assert c.latency is not None  # `measured` has checked all three
        assert c.score is not None
        assert c.artifact is not None
        match what:
            case "latency":
                values.append(math.log(c.latency.p50_ms))
            case "size":
                values.append(math.log(c.artifact.size_bytes))
            case "parameters":
                assert c.facts is not None
                values.append(math.log(max(1, c.facts.parameters)))
            case "accuracy":
                values.append(c.score.value)
    numbers: dict[str, int] = {"": 0}

    def number(word: str) -> int:
        return numbers.setdefault(word, len(numbers))

    same = what == "parameters"  # in every precision
    return _Points(
        ratios=np.array([_ratio(c.recipe) for c in usable]),
        precisions=np.array([0 if same else number(c.recipe.precision) for c in usable]),
        variants=np.array([number(_variant(c.recipe, what)) for c in usable]),
        values=np.array(values),
        numbers=numbers,
    )


def _without(points: _Points, i: int) -> _Points:
    keep = np.arange(len(points.values)) != i
    return _Points(
        ratios=points.ratios[keep],
        precisions=points.precisions[keep],
        variants=points.variants[keep],
        values=points.values[keep],
        numbers=points.numbers,
    )


def _interpolate(points: _Points, ratio: float, precision: int, variant: int) -> float:
    """Backfit offsets and curve, then read the model at one point."""
    knots, at_knot = np.unique(points.ratios, return_inverse=True)
    names, at_name = np.unique(points.precisions, return_inverse=True)
    kinds, at_kind = np.unique(points.variants, return_inverse=True)
    curve, offsets, extras = np.zeros(len(knots)), np.zeros(len(names)), np.zeros(len(kinds))
    for _ in range(BACKFITTING_ROUNDS):
        curve = _mean_by(at_knot, points.values - offsets[at_name] - extras[at_kind])
        offsets = _mean_by(at_name, points.values - curve[at_knot] - extras[at_kind])
        extras = _mean_by(at_kind, points.values - curve[at_knot] - offsets[at_name])
        extras -= extras[kinds == 0].sum()  # what is usual adds nothing
    known = dict(zip(names.tolist(), offsets.tolist(), strict=True)).get(precision, 0.0)
    known += dict(zip(kinds.tolist(), extras.tolist(), strict=True)).get(variant, 0.0)
    beyond = 0.0
    if ratio > knots[-1] and len(knots) > 1:  # go on with the last slope
        slope = (curve[-1] - curve[-2]) / (knots[-1] - knots[-2])
        beyond = slope * (ratio - knots[-1])
    return float(np.interp(ratio, knots, curve) + beyond + known)


def _mean_by(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of the values in each group, shape (groups,)."""
    means: np.ndarray = np.bincount(group, weights=values) / np.bincount(group)
    return means
