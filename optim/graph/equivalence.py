"""Equivalence: does a rewritten network still answer as it did, on a few examples?

Every rewrite has a promise: an exact one keeps the answers to 1e-4 of the largest, one on a grid to
a part of the noise that the grid makes anyway. Both networks are run on the same few examples of
the network's own input, which costs two loads and two runs. Who rewrites takes back what breaks its
promise. A network without examples is asked with numbers of the types and shapes that it declares;
one that cannot run on these is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from optim.errors import BrokenArtifactError, EngineError
from optim.graph.examples import Examples, feeds_of, fixed_batch
from optim.graph.runner import Runner

EXAMPLES = 4
FREE = 16
"""Size of a free dimension that is not the batch, if nobody gives examples."""
EXACT = 1e-4
"""What an exact rewrite may change, as a share of the largest number of an output."""
Answers = Sequence[np.ndarray]
Feeds = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Question:
    """Inputs for a network and what it answers.

    Attributes:
        feeds: by input.
        answers: in the order of the outputs.
        optimize: the engine optimizes the networks that are asked, as it does when it is measured;
            False to run each operator as it stands.
    """

    feeds: Feeds
    answers: tuple[np.ndarray, ...]
    optimize: bool

    def answers_of(self, model: ModelProto) -> tuple[np.ndarray, ...] | None:
        """Return the outputs of another network; None if it cannot run."""
        return _answers(model, self.feeds, optimize=self.optimize)


def question(
    model: ModelProto, examples: Examples | None = None, *, optimize: bool
) -> Question | None:
    """Ask a network before it is rewritten; None if it cannot run on the inputs.

    Args:
        examples: the first few are taken.
        optimize: as ``Question`` has it.
    """
    feeds = _made_up(model) if examples is None else _first(model, examples)
    answers = None if feeds is None else _answers(model, feeds, optimize=optimize)
    if feeds is None or answers is None:
        return None
    return Question(feeds=feeds, answers=answers, optimize=optimize)


def largest_difference(answers: Answers | None, before: Answers) -> float:
    """Return the largest difference in any output, as a share of the largest number in it.

    Infinite if there are no answers, or others in shape, in integers or in what is no number.
    """
    if answers is None:
        return np.inf
    return max(map(_difference, answers, before), default=0.0)


def noise_db(answers: Answers | None, before: Answers) -> float:
    """Return the signal above noise in dB of the output that has the least, without integers.

    Minus infinity if there are no answers or some that are no numbers.
    """
    if answers is None:
        return -np.inf
    return min(map(_decibels, answers, before), default=np.inf)


def _difference(after: np.ndarray, before: np.ndarray) -> float:
    if after.shape != before.shape:
        return np.inf
    finite = np.isfinite(before) if before.dtype.kind == "f" else np.zeros(before.shape, bool)
    if not np.array_equal(after[~finite], before[~finite], equal_nan=before.dtype.kind == "f"):
        return np.inf
    off = np.abs(after[finite].astype(np.float64) - before[finite]).max(initial=0)
    if not np.isfinite(off):
        return np.inf
    return float(off / np.abs(before[finite]).max()) if off else 0.0


def _decibels(after: np.ndarray, before: np.ndarray) -> float:
    if before.dtype.kind != "f" or before.size == 0:
        return np.inf
    if after.shape != before.shape or not np.isfinite(after[np.isfinite(before)]).all():
        return -np.inf
    finite = np.isfinite(before)
    signal = np.square(before[finite], dtype=np.float64).sum()
    noise = np.square(after[finite].astype(np.float64) - before[finite]).sum()
    if noise == 0:
        return np.inf
    return float(10 * np.log10(signal / noise)) if signal else -np.inf


def _answers(model: ModelProto, feeds: Feeds, *, optimize: bool) -> tuple[np.ndarray, ...] | None:
    names = [value.name for value in model.graph.output if value.type.HasField("tensor_type")]
    try:
        return tuple(Runner(model, optimize=optimize).run(names, feeds))
    except (BrokenArtifactError, EngineError):
        return None


def _first(model: ModelProto, examples: Examples) -> Feeds | None:
    """Return the first examples, as many as the network takes at once."""
    inputs = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    if not inputs or len(examples) == 0:
        return _made_up(model)
    size = fixed_batch(model) or min(EXAMPLES, len(examples))
    feeds = feeds_of(model, examples[np.arange(size) % len(examples)])
    if feeds.keys() != inputs.keys():
        return _made_up(model)
    return {
        name: array.astype(helper.tensor_dtype_to_np_dtype(inputs[name]))
        for name, array in feeds.items()
    }


def _made_up(model: ModelProto) -> Feeds | None:
    """Return random inputs of the declared types and shapes; None if one is no tensor of numbers.

    Half of a batch is positive throughout, for networks that take a root or a logarithm.
    """
    rng = np.random.default_rng(0)
    sizes: dict[str, int] = {}
    feeds = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        if not tensor.HasField("shape") or tensor.elem_type == TensorProto.STRING:
            return None
        kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        numbers = rng.normal(size=_size(value, sizes))
        if numbers.ndim and kind.kind == "f":
            numbers[len(numbers) // 2 :] = np.abs(numbers[len(numbers) // 2 :])
        feeds[value.name] = (numbers if kind.kind == "f" else numbers > 0).astype(kind)
    return feeds


def _size(value: ValueInfoProto, sizes: dict[str, int]) -> list[int]:
    """Return the declared shape; dimensions of one name get one size."""
    shape = []
    for axis, dim in enumerate(value.type.tensor_type.shape.dim):
        free = EXAMPLES if axis == 0 else FREE
        named = sizes.setdefault(dim.dim_param, free) if dim.dim_param else free
        shape.append(dim.dim_value or named)
    return shape
