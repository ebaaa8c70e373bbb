"""Examples of a network with one input or several, cut into batches alike.

One input is a plain array, (n, ...). Several are ``NamedExamples``, which are cut like an array.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

BATCH = 32


@dataclass(frozen=True, eq=False)
class NamedExamples:
    """An array for each input by name, each (n, ...) of its own element type."""

    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return min(map(len, self.arrays.values()), default=0)

    def __getitem__(self, rows: slice | np.ndarray) -> NamedExamples:
        return NamedExamples({name: values[rows] for name, values in self.arrays.items()})


Examples = np.ndarray | NamedExamples


def examples_for(model: ModelProto, given: np.ndarray | Mapping[str, np.ndarray]) -> Examples:
    """Check examples against a model's inputs; a single input needs no name.

    Returns:
        The examples in the types that the inputs have.

    Raises:
        ValueError: if there is no example, an input is missing, or a shape or type differs.
    """
    names = _inputs(model)
    arrays = given if isinstance(given, Mapping) else dict.fromkeys(names[:1], given)
    if set(arrays) != set(names) or not names:
        raise ValueError(
            f"calibration must hold one array for each input ({', '.join(names) or 'none'}); "
            f"got {', '.join(arrays) or 'an array'}."
        )
    typed = {value.name: _checked(value, arrays[value.name]) for value in _graph_inputs(model)}
    return NamedExamples(typed) if len(typed) > 1 else typed[names[0]]


def fixed_batch(model: ModelProto) -> int | None:
    """Return how many examples the model takes at once; None if their number is free."""
    for value in _graph_inputs(model):
        dims = value.type.tensor_type.shape.dim
        if dims and dims[0].dim_value:
            return int(dims[0].dim_value)
    return None


def batches(model: ModelProto, examples: Examples) -> Iterator[Examples]:
    """Yield the examples in portions that the model takes; a last one that is short is filled."""
    fixed = fixed_batch(model)
    size = fixed or BATCH
    for start in range(0, len(examples), size):
        if fixed and start + size > len(examples):
            yield examples[np.arange(start, start + size) % len(examples)]
        else:
            yield examples[start : start + size]


def feeds_of(model: ModelProto, examples: Examples) -> dict[str, np.ndarray]:
    """Return an array for each input of the model."""
    if isinstance(examples, NamedExamples):
        return dict(examples.arrays)
    return {_inputs(model)[0]: examples}


def _checked(value: ValueInfoProto, array: np.ndarray) -> np.ndarray:
    """Return the examples of one input in its type, if they have a shape that it takes."""
    tensor = value.type.tensor_type
    expected = tuple(dim.dim_value or None for dim in tensor.shape.dim)[1:]
    fits = array.ndim == len(expected) + 1 and all(
        size in (None, given) for size, given in zip(expected, array.shape[1:], strict=True)
    )
    if len(array) == 0 or (not fits and tensor.HasField("shape")):
        shape = ", ".join("any" if size is None else str(size) for size in expected)
        raise ValueError(
            f"calibration must hold examples of shape ({shape}), one at least; "
            f"got an array of shape {array.shape}."
        )
    kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type or TensorProto.FLOAT)
    if kind.kind != "f" and kind != array.dtype:
        raise ValueError(
            f"calibration must hold examples of type {kind}, as the network takes them; "
            f"got {array.dtype}."
        )
    return np.ascontiguousarray(array, kind)


def _inputs(model: ModelProto) -> list[str]:
    return [value.name for value in _graph_inputs(model)]


def _graph_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """Return the inputs that are no initializers."""
    constants = {constant.name for constant in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]
