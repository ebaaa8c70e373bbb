"""Examples of a network with one input or several, cut into batches alike.

One input is a plain array, (n, ...). Several are ``NamedExamples``, which are cut like an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, ValueInfoProto


@dataclass(frozen=True, eq=False)
class NamedExamples:
    """An array for each input by name, each (n, ...) of its own element type."""

    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return min(map(len, self.arrays.values()), default=0)

    def __getitem__(self, rows: slice) -> NamedExamples:
        return NamedExamples({name: values[rows] for name, values in self.arrays.items()})


Examples = np.ndarray | NamedExamples


def examples_for(model: ModelProto, given: np.ndarray | Mapping[str, np.ndarray]) -> Examples:
    """Check examples against a model's inputs; a single input needs no name.

    Raises:
        ValueError: if there is no example, an input is missing, or a shape differs.
    """
    arrays = given if isinstance(given, Mapping) else {_inputs(model)[0]: given}
    if set(arrays) != set(_inputs(model)):
        raise ValueError(
            f"calibration must hold examples of each input ({', '.join(_inputs(model))}); "
            f"got {', '.join(arrays)}."
        )
    for value in _graph_inputs(model):
        dims = value.type.tensor_type.shape.dim
        expected = tuple(dim.dim_value for dim in dims)[1:]
        array = arrays[value.name]
        if len(array) == 0 or array.shape[1:] != expected:
            raise ValueError(
                f"calibration must hold examples of shape {expected}, one at least; "
                f"got an array of shape {array.shape}."
            )
    return NamedExamples(arrays) if len(arrays) > 1 else next(iter(arrays.values()))


def feeds_of(model: ModelProto, examples: Examples) -> dict[str, np.ndarray]:
    """An array for each input of the model."""
    if isinstance(examples, NamedExamples):
        return dict(examples.arrays)
    return {_inputs(model)[0]: examples}


def _inputs(model: ModelProto) -> list[str]:
    return [value.name for value in _graph_inputs(model)]


def _graph_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """The inputs that are no initializers."""
    constants = {constant.name for constant in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]
