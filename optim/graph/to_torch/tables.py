"""Values of a converter for each tensor: a constant, a shape with the batch, or a value.

    constant    numpy array, known before anything runs
    Sizes       a vector of integers in which the batch size may stand, as ``Shape`` makes it
    fx.Node     a tensor that flows

Files compute shapes with operators (Shape, Gather, Concat, Reshape). In a network to be pruned and
exported again they must be Python numbers, so they are computed here, with the batch kept symbolic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import fx

from optim.errors import Refusal, RefusedError

BATCH = -1
"""The batch size among the entries of ``Sizes``."""
OPEN = -2
"""A size that the reader of a shape works out: -1 in a file."""


@dataclass(frozen=True)
class Sizes:
    """Integers known but for the batch size.

    Attributes:
        entries: each at least 0, or ``BATCH``, or ``OPEN``.
        scalar: True for a 0-dimensional tensor with one entry.
    """

    entries: tuple[int, ...]
    scalar: bool = False

    def array(self) -> np.ndarray:
        """Return the numbers, int64, where none of them is the batch."""
        plain = [-1 if entry == OPEN else entry for entry in self.entries]
        return np.array(plain[0] if self.scalar else plain, np.int64)


Value = np.ndarray | Sizes | fx.Node


@dataclass(frozen=True)
class Call:
    """One operator with what is known of its inputs.

    Attributes:
        node: the operator.
        inputs: a value each; None where an optional input is left out.
        shapes: of the inputs, None where the batch stands; () for one that is left out.
        opset: of the standard operators.
    """

    node: NodeProto
    inputs: tuple[Value | None, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    opset: int

    def attribute(self, name: str, default: object = None) -> object:
        """Return an attribute in Python's own types: int, float, str, list, or a numpy array."""
        for item in self.node.attribute:
            if item.name == name:
                value = helper.get_attribute_value(item)
                if isinstance(value, bytes):
                    return value.decode()
                return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
        return default

    def integer(self, name: str, default: int) -> int:
        """Return an integer attribute."""
        return int(self.attribute(name, default))  # type: ignore[call-overload, no-any-return]

    def number(self, name: str, default: float) -> float:
        """Return a float attribute."""
        return float(self.attribute(name, default))  # type: ignore[arg-type]

    def integers(self, name: str) -> list[int] | None:
        """Return a list of integers, None if the attribute is not there."""
        found = self.attribute(name)
        return None if found is None else [int(each) for each in found]  # type: ignore[attr-defined]

    def flows(self, index: int) -> fx.Node:
        """Return an input that is a tensor of the network."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(found, fx.Node):
            self.refuse(f"input {index} is a constant")
        return found

    def constant(self, index: int, default: np.ndarray | None = None) -> np.ndarray | None:
        """Return an input that is known; ``default`` where it is left out.

        Raises:
            RefusedError: if it depends on what flows.
        """
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            return default
        if isinstance(found, Sizes) and BATCH not in found.entries:
            return found.array()
        if not isinstance(found, np.ndarray):
            self.refuse(f"input {index} depends on the network's input")
        return found

    def given(self, index: int) -> bool:
        """True if an optional input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def rank(self, index: int = 0) -> int:
        """Return the rank of an input."""
        return len(self.shapes[index])

    def over_examples(self, axis: int) -> bool:
        """True if an axis of the first input is the one along which examples lie."""
        return self.shapes[0][axis % self.rank()] is None

    def features(self) -> int:
        """Return how many numbers one example of the first input has."""
        return int(np.prod([size for size in self.shapes[0] if size is not None]))

    def axes(self, index: int = 1) -> list[int] | None:
        """Return the axes of a reduction or squeeze: an attribute in old opsets, else an input."""
        named = self.integers("axes")
        if named is not None:
            return named
        found = self.constant(index)
        return None if found is None else [int(axis) for axis in np.atleast_1d(found)]

    def refuse(self, why: str) -> NoReturn:
        """Raise that this operator has no trainable form."""
        name = f" {self.node.name!r:.60}" if self.node.name else ""
        raise RefusedError(
            Refusal(
                reason="This file has no trainable form: operator "
                f"{self.node.op_type}{name}: {why}.",
                remedy="Fusing, quantizing and measuring work without it; to prune or train, bring "
                "the network by name with its weights.",
            )
        )


def folded(call: Call) -> Value | None:
    """Return the result of an operator if all of its inputs are known; None if some flow."""
    for find in (_by_sizes, _by_arithmetic, _by_reference):
        found = find(call)
        if found is not None:
            return found
    return None


def _by_sizes(call: Call) -> Value | None:
    """Return the shape of a tensor, and what is done to shapes, with the batch kept apart."""
    if call.node.op_type == "Shape":
        return _shape(call)
    first = call.inputs[0] if call.inputs else None
    vectors = [_sizes(value) for value in call.inputs]
    if call.node.op_type == "Concat" and all(vector is not None for vector in vectors):
        if not any(isinstance(value, Sizes) for value in call.inputs):
            return None
        return Sizes(tuple(entry for v in vectors if v is not None for entry in v.entries))
    if not isinstance(first, Sizes):
        return None
    rule = _ON_SIZES.get(call.node.op_type)
    return None if rule is None else rule(call, first)


def _shape(call: Call) -> Sizes:
    shape = call.shapes[0]
    part = shape[slice(call.integer("start", 0), call.integer("end", len(shape)))]
    return Sizes(tuple(BATCH if size is None else size for size in part))


def _sizes(value: Value | None) -> Sizes | None:
    if isinstance(value, Sizes):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim <= 1:
        entries = tuple(OPEN if each == -1 else int(each) for each in np.atleast_1d(value))
        return Sizes(entries, scalar=value.ndim == 0) if min(entries, default=0) >= OPEN else None
    return None


def _gathered(call: Call, first: Sizes) -> Sizes | None:
    index = call.constant(1)
    if index is None or index.ndim > 1:
        return None
    chosen = tuple(first.entries[int(i)] for i in np.atleast_1d(index))
    return Sizes(chosen, scalar=index.ndim == 0)


def _sliced(call: Call, first: Sizes) -> Sizes | None:
    starts, ends = call.constant(1), call.constant(2)
    if starts is None or ends is None:
        starts, ends = np.array(call.integers("starts")), np.array(call.integers("ends"))
    steps = call.constant(4, np.ones(1, np.int64))
    assert steps is not None
    cut = slice(*(int(np.ravel(each)[0]) for each in (starts, ends, steps)))
    return Sizes(first.entries[cut])


def _scaled(call: Call, first: Sizes) -> Sizes | None:
    """Return a size times or through a number: of the batch only 1 is allowed."""
    other = call.constant(1)
    if other is None or other.size != 1:
        return None
    factor = int(other.ravel()[0])
    if factor == 1:
        return first
    if min(first.entries) < 0:
        return None
    if call.node.op_type == "Mul":
        return Sizes(tuple(entry * factor for entry in first.entries), scalar=first.scalar)
    return Sizes(tuple(entry // factor for entry in first.entries), scalar=first.scalar)


_ON_SIZES: dict[str, Callable[[Call, Sizes], Sizes | None]] = {
    "Gather": _gathered,
    "Slice": _sliced,
    "Cast": lambda call, first: first,
    "Identity": lambda call, first: first,
    "Unsqueeze": lambda call, first: Sizes(first.entries),
    "Squeeze": lambda call, first: Sizes(first.entries, scalar=len(first.entries) == 1),
    "Mul": _scaled,
    "Div": _scaled,
}


def _by_arithmetic(call: Call) -> Value | None:
    """Compute on sizes without a batch, which are constants; from here on they are arrays."""
    if not call.inputs or not any(isinstance(value, Sizes) for value in call.inputs):
        return None
    known = [_array(value) for value in call.inputs]
    if any(value is None for value in known):
        return None
    return _by_reference(Call(call.node, tuple(known), call.shapes, call.opset))


def _array(value: Value | None) -> np.ndarray | None:
    if isinstance(value, Sizes) and BATCH not in value.entries:
        return value.array()
    return value if isinstance(value, np.ndarray) else None


LARGEST_CONSTANT = 2**26
"""Numbers in a constant that is computed here: a file may ask for any size."""


def _by_reference(call: Call) -> Value | None:
    """Compute with ONNX's own reference evaluator, on constants alone."""
    from onnx.reference import ReferenceEvaluator

    if not all(value is None or isinstance(value, np.ndarray) for value in call.inputs):
        return None
    if call.node.op_type in _RANDOM or len(call.node.output) != 1:
        return None
    if call.node.op_type == "ConstantOfShape":
        wanted = call.constant(0)
        if wanted is not None and np.prod(wanted.astype(float)) > LARGEST_CONSTANT:
            call.refuse("it makes a constant that is too large")
    named = [name for name in call.node.input if name]
    feeds = {
        name: value
        for name, value in zip(call.node.input, call.inputs, strict=False)
        if isinstance(value, np.ndarray)
    }
    if set(named) - set(feeds):
        return None
    graph = helper.make_graph(
        [call.node],
        "constant",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in feeds.items()
        ],
        [helper.make_empty_tensor_value_info(call.node.output[0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", call.opset)])
    try:
        return np.asarray(next(iter(ReferenceEvaluator(model).run(None, feeds))))
    except Exception as error:  # the evaluator's exceptions share no narrower base
        call.refuse(f"its constants cannot be computed ({type(error).__name__})")


_RANDOM: Sequence[str] = (
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
    "Bernoulli",
)  # fmt: skip
