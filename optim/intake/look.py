"""Look at a stranger's model: its inputs and outputs, its operators, its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from optim.graph.onnx_file import opset, read_model


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output.

    Attributes:
        name: in the file.
        dtype: numpy's name of the element type.
        shape: numbers where the file fixes a size, a name where it does not: the file's own, else
            the input's name and the axis.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the free sizes after the first axis, which is the batch."""
        return tuple(size for size in self.shape[1:] if isinstance(size, str))

    def words(self) -> str:
        """Name, type and shape in one line.

        >>> Port(name="x", dtype="float32", shape=("N", 3, 224, 224)).words()
        'x float32 (N, 3, 224, 224)'
        """
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True, kw_only=True)
class Look:
    """Facts of a file that are known before anything is run.

    Attributes:
        inputs, outputs: constants that stand among the inputs are left out.
        operators: how often each kind stands in the graph, the most frequent first.
        opset: of the standard operators.
        parameters: numbers in float constants, those in Constant nodes included.
        weight_types: element types of these, the one with most numbers first.
        size_bytes: of the file in one piece.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: Mapping[str, int]
    opset: int
    parameters: int
    weight_types: tuple[str, ...]
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Look:
        """Return the look that ``to_dict`` told."""

        def ports(key: str) -> tuple[Port, ...]:
            return tuple(Port(**{**each, "shape": tuple(each["shape"])}) for each in data[key])

        return cls(
            **{**data, "inputs": ports("inputs"), "outputs": ports("outputs"),
               "weight_types": tuple(data["weight_types"])}
        )  # fmt: skip


def look_at(content: bytes) -> Look:
    """Read what a model says of itself.

    Raises:
        BrokenArtifactError: if the bytes are no ONNX model.
    """
    model = read_model(content)
    numbers: Counter[str] = Counter()
    for tensor in _stored(model):
        numbers[helper.tensor_dtype_to_np_dtype(tensor.data_type).name] += prod(tensor.dims)
    floats = {kind: n for kind, n in numbers.most_common() if kind not in ("int64", "bool")}
    inner = {tensor.name for tensor in model.graph.initializer}
    return Look(
        inputs=tuple(_port(each) for each in model.graph.input if each.name not in inner),
        outputs=tuple(_port(each) for each in model.graph.output),
        operators=dict(Counter(node.op_type for node in model.graph.node).most_common()),
        opset=opset(model),
        parameters=sum(floats.values()),
        weight_types=tuple(floats),
        size_bytes=len(content),
    )


def _stored(model: ModelProto) -> list[TensorProto]:
    """Return initializers, and the values of Constant nodes."""
    held = [
        item.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for item in node.attribute
        if item.name == "value"
    ]
    return [*model.graph.initializer, *held]


def _port(value: onnx.ValueInfoProto) -> Port:
    kind = value.type.tensor_type
    dtype = "unknown"
    if kind.elem_type in (TensorProto.STRING, 0):
        dtype = "text" if kind.elem_type else dtype
    else:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    shape = tuple(size_of(dim, value.name, axis) for axis, dim in enumerate(kind.shape.dim))
    return Port(name=value.name, dtype=dtype, shape=shape)


def size_of(dim: onnx.TensorShapeProto.Dimension, name: str, axis: int) -> int | str:
    """Return a size, or the name of one that is left free; some exporters write -1 for it."""
    if dim.dim_value > 0:
        return int(dim.dim_value)
    named = dim.dim_param.strip("?-1 ")  # what stands for "no name"
    return dim.dim_param if named else f"{name}_{axis}"
