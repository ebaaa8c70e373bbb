"""The one gate for ONNX files that we did not make.

    read (regular, bounded) -> parse -> no surprises in size or depth -> self-contained -> checked

It runs in the child of ``optim.intake.sandbox``: parsing alone may take what a stranger wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from optim.errors import BrokenArtifactError
from optim.graph.onnx_file import parse_model
from optim.intake.external_data import embed
from optim.intake.reading import MAX_FILE_BYTES, read_regular
from optim.words import count, one_line

MAX_DEPTH = 20
"""Levels of If, Loop and Scan in one another."""
MAX_OPERATORS = 50_000
"""Functions of the model's own counted as often as they are called."""
MAX_ELEMENTS = 2**31
"""Of one tensor: with four bytes each it is as long as the longest file four times over."""


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A model that may be worked on.

    Attributes:
        content: the file in one piece, with nothing left outside.
        embedded: files beside it that its weights were read from.
    """

    content: bytes
    embedded: tuple[str, ...] = ()


def admit(path: Path) -> Admitted:
    """Read a model file and check it; weights in files beside it are taken in.

    Raises:
        BrokenArtifactError: with one sentence that says what must hold.
    """
    name = one_line(path.name)
    content = read_regular(path, at_most=MAX_FILE_BYTES)
    model = parse_model(content)  # its functions are inlined once their extent is known
    _check_extent(model, name)
    tensors = list(_tensors(model))
    outside = [t for t in tensors if t.data_location == TensorProto.EXTERNAL]
    for tensor in tensors:
        _check_tensor(tensor, name)
    embedded = embed(outside, path, MAX_FILE_BYTES - len(content)) if outside else ()
    for tensor in tensors:
        _check_length(tensor, name)
    _check_values(model, name)
    _check_standard(model, name)
    if outside:
        content = bytes(model.SerializeToString())
    return Admitted(content=content, embedded=embedded)


# --- what stands in a model -----------------------------------------------------------------------
def _graphs(model: ModelProto) -> Iterator[tuple[Iterable[NodeProto], GraphProto | None, int]]:
    """Yield every list of nodes, its graph (None for a function's), and how deep it lies."""
    waiting: list[tuple[Iterable[NodeProto], GraphProto | None, int]] = [
        (model.graph.node, model.graph, 0)
    ]
    waiting += [(function.node, None, 0) for function in model.functions]
    for training in model.training_info:
        waiting += [(g.node, g, 0) for g in (training.initialization, training.algorithm)]
    while waiting:
        nodes, graph, depth = waiting.pop()
        yield nodes, graph, depth
        for node in nodes:
            for inner in _inner_graphs(node):
                waiting.append((inner.node, inner, depth + 1))


def _inner_graphs(node: NodeProto) -> Iterator[GraphProto]:
    for item in node.attribute:
        if item.HasField("g"):
            yield item.g
        yield from item.graphs


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every stored tensor: initializers, attributes, sparse parts, also of functions."""
    for nodes, graph, _ in _graphs(model):
        if graph is not None:
            yield from graph.initializer
            yield from _parts(graph.sparse_initializer)
        for node in nodes:
            yield from _of_attributes(node.attribute)
    for function in model.functions:
        yield from _of_attributes(function.attribute_proto)


def _of_attributes(attributes: Iterable[Any]) -> Iterator[TensorProto]:
    for item in attributes:
        if item.HasField("t"):
            yield item.t
        yield from item.tensors
        yield from _parts([item.sparse_tensor] if item.HasField("sparse_tensor") else [])
        yield from _parts(item.sparse_tensors)


def _parts(sparse: Iterable[SparseTensorProto]) -> Iterator[TensorProto]:
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)


# --- extent ---------------------------------------------------------------------------------------
def _check_extent(model: ModelProto, name: str) -> None:
    """Refuse what nests too deep, or becomes too much once functions are written out."""
    own = {(f.domain, f.name): f for f in model.functions}
    if len(own) < len(model.functions):
        raise BrokenArtifactError(f"{name} must define each of its functions once.")
    sizes: dict[tuple[str, str], int] = {}
    for key in _callees_first(own, name):
        sizes[key] = _written_out(own[key].node, sizes, name)
    if (total := _written_out(model.graph.node, sizes, name)) > MAX_OPERATORS:
        raise BrokenArtifactError(
            f"{name} has {count(total)} operators; up to {count(MAX_OPERATORS)} can be worked on."
        )


def _written_out(nodes: Iterable[NodeProto], sizes: dict[tuple[str, str], int], name: str) -> int:
    """Count operators in these nodes and below, calls as what they call."""
    total, waiting = 0, [(nodes, 0)]
    while waiting:
        level, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise BrokenArtifactError(
                f"{name} nests If, Loop or Scan deeper than {MAX_DEPTH} levels, which is refused."
            )
        for node in level:
            total += max(1, sizes.get((node.domain, node.op_type), 1))
            waiting += [(inner.node, depth + 1) for inner in _inner_graphs(node)]
    return total


def _callees_first(own: dict[tuple[str, str], Any], name: str) -> list[tuple[str, str]]:
    """Sort functions so that each stands after those that it calls."""
    ordered: dict[tuple[str, str], None] = {}
    for first in own:
        path: list[tuple[tuple[str, str], Iterator[tuple[str, str]]]] = []
        _step_into(first, own, ordered, path)
        while path:
            key, calls = path[-1]
            callee = next(calls, None)
            if callee is None:
                ordered[key] = None
                path.pop()
            elif any(callee == above for above, _ in path):
                raise BrokenArtifactError(f"{name} has a function that calls itself.")
            else:
                _step_into(callee, own, ordered, path)
    return list(ordered)


def _step_into(
    key: tuple[str, str],
    own: dict[tuple[str, str], Any],
    ordered: dict[tuple[str, str], None],
    path: list[tuple[tuple[str, str], Iterator[tuple[str, str]]]],
) -> None:
    if key not in own or key in ordered:
        return
    waiting, called = [own[key].node], []
    while waiting:
        for node in waiting.pop():
            called.append((node.domain, node.op_type))
            waiting += [inner.node for inner in _inner_graphs(node)]
    path.append((key, iter(called)))


# --- tensors --------------------------------------------------------------------------------------
def _check_tensor(tensor: TensorProto, name: str) -> None:
    """Refuse element types that do not exist and sizes that cannot be meant."""
    _check_type(tensor.data_type, name)
    _check_sizes(tensor.dims, name)


def _check_type(data_type: int, name: str) -> None:
    if data_type not in TensorProto.DataType.values() or data_type == TensorProto.UNDEFINED:
        raise BrokenArtifactError(
            f"{name} has a tensor of an element type that ONNX does not know ({data_type})."
        )


def _check_sizes(sizes: Iterable[int], name: str) -> None:
    sizes = list(sizes)
    if any(size < 0 for size in sizes) or prod(sizes) > MAX_ELEMENTS:
        shape = " x ".join(map(str, sizes[:8]))
        raise BrokenArtifactError(
            f"{name} declares a tensor of {one_line(shape)} numbers; none may have more than "
            f"{count(MAX_ELEMENTS)}."
        )


def _check_length(tensor: TensorProto, name: str) -> None:
    """Refuse a tensor whose bytes are not as many as its shape and type need."""
    if not tensor.HasField("raw_data"):
        return
    wanted = (prod(tensor.dims) * _bits(tensor.data_type) + 7) // 8
    if len(tensor.raw_data) != wanted:
        raise BrokenArtifactError(
            f"{name} holds a tensor of {count(len(tensor.raw_data))} bytes whose shape needs "
            f"{count(wanted)}. Was the file copied in full?"
        )


def _bits(data_type: int) -> int:
    kind = TensorProto.DataType.Name(data_type)
    for letters, bits in (("INT2", 2), ("INT4", 4), ("FLOAT4", 4), ("UINT2", 2), ("UINT4", 4)):
        if kind.startswith(letters):
            return bits
    return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize) * 8


def _check_values(model: ModelProto, name: str) -> None:
    """Refuse declared inputs, outputs and inner tensors of types or sizes that cannot be meant."""
    for _, graph, _ in _graphs(model):
        if graph is None:
            continue
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.HasField("tensor_type"):
                _check_type(value.type.tensor_type.elem_type, name)
            dims = value.type.tensor_type.shape.dim
            _check_sizes([d.dim_value for d in dims if d.dim_value > 0], name)  # -1: free


# --- the standard ---------------------------------------------------------------------------------
def _check_standard(model: ModelProto, name: str) -> None:
    """Let onnx's own checker look at the whole model."""
    check: Callable[[ModelProto], None] = onnx.checker.check_model
    try:
        check(model)
    except Exception as error:  # it raises ValidationError, InferenceError and plain ones alike
        said = str(error).strip() or type(error).__name__
        raise BrokenArtifactError(
            f"{name} breaks the ONNX standard: {one_line(said.splitlines()[0])[:200]}"
        ) from error
