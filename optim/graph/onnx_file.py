"""Reading and writing ONNX files so that the bytes hold the network and nothing else.

Exporters and optimizers leave documentation, provenance and long names behind: tens of kilobytes,
which count in a file of a hundred. ``tidy`` removes them and makes the bytes a function of the
network. Layers keep their names (as node names); tensors get short ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, NodeProto, TensorProto, TypeProto, helper, numpy_helper
from onnx.shape_inference import InferenceError

from optim.errors import BrokenArtifactError
from optim.graph.passes import lean
from optim.graph.subgraphs import defined_inside, reads, rename_reads

IR_VERSION = 10
"""The oldest that holds INT4 and opset 21; older runtimes can still read the file."""

LAYERS = ("Conv", "Gemm", "MatMul")
"""Operators with weights that do nearly all of the work."""
INTEGER_LAYERS = ("ConvInteger", "MatMulInteger")
"""What they become where activations are quantized anew in every run."""


STANDARD = ("", "ai.onnx")
"""Both names of the domain of the standard operators."""


def read_model(content: bytes) -> ModelProto:
    """Parse the bytes of an ONNX file; functions of its own are inlined.

    Raises:
        BrokenArtifactError: if they are not a model with a graph, or its functions were written for
            other versions of the operators.
    """
    model = parse_model(content)
    return _inlined(model) if model.functions else model


def parse_model(content: bytes) -> ModelProto:
    """Parse the bytes of an ONNX file as they stand: what its functions grow to is not known yet.

    Raises:
        BrokenArtifactError: if they are not a model with a graph.
    """
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise BrokenArtifactError(
            "the file is not a readable ONNX model. Was it copied in full?"
        ) from error
    if not model.graph.node:
        raise BrokenArtifactError("the ONNX file holds no operators. Was it copied in full?")
    return model


def _inlined(model: ModelProto) -> ModelProto:
    """Return the same network with the bodies of its functions in the place of their calls."""
    try:
        inlined = onnx.inliner.inline_local_functions(model)
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise BrokenArtifactError(
            f"the functions of the ONNX file cannot be inlined: {_first_line(error)}"
        ) from error
    if inlined.functions:
        names = ", ".join(sorted(function.name for function in inlined.functions))
        raise BrokenArtifactError(
            "the functions of an ONNX file must use the same versions of the operators as its "
            f"graph; {names:.200} use others. Export the network without functions."
        )
    return inlined


def opset(model: ModelProto) -> int:
    """Return the version of the standard operators that the file uses; 0 without any."""
    versions = (int(entry.version) for entry in model.opset_import if entry.domain in STANDARD)
    return next(versions, 0)


def constants(model: ModelProto) -> dict[str, np.ndarray]:
    """Return initializers by name, as read-only arrays."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def attribute(node: NodeProto, name: str, default: int = 0) -> int:
    """Return an integer attribute of a node."""
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def consumers(nodes: Iterable[NodeProto]) -> dict[str, list[NodeProto]]:
    """Return the readers of each tensor, subgraphs included; twice if a node reads it twice."""
    readers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for name in reads(node):
            readers.setdefault(name, []).append(node)
    return readers


def producers(nodes: Iterable[NodeProto]) -> dict[str, NodeProto]:
    """Return the writer of each tensor."""
    return {name: node for node in nodes for name in node.output}


def tensor_shapes(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of tensors of known rank, None for a free dimension."""
    return {value.name: shape for value, shape in _inferred(model)}


def float_tensor_shapes(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of all float tensors, None for the batch, by ONNX's shape inference."""
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    return {
        value.name: shape
        for value, shape in _inferred(model)
        if value.type.tensor_type.elem_type in floats
    }


def _inferred(
    model: ModelProto,
) -> Iterator[tuple[onnx.ValueInfoProto, tuple[int | None, ...]]]:
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        if value.type.tensor_type.HasField("shape"):
            yield (
                value,
                tuple(
                    dim.dim_value if dim.HasField("dim_value") else None
                    for dim in value.type.tensor_type.shape.dim
                ),
            )


def tidy(model: ModelProto) -> bytes:
    """Strip, share equal constants, shorten names, check, and serialize; ``model`` is left alone.

    Inputs and outputs keep their names, and tensors inside subgraphs theirs. Where the declared
    shape of an output is missing or contradicts the operators, it is what they give.

    Returns:
        Bytes that are equal for equal networks.

    Raises:
        BrokenArtifactError: if the model breaks the standard, or keeps weights elsewhere or sparse.
    """
    _refuse_unusual_storage(model)
    named = ModelProto()
    named.CopyFrom(model)
    _name_layers(named.graph.node)  # before equal weights become one
    graph = lean(named).graph
    nodes, inputs, tensors = graph.node, graph.input, {t.name: t for t in graph.initializer}
    names = _short_names(nodes, [value.name for value in (*inputs, *model.graph.output)])
    for node in nodes:
        _leave_out_absent(node)
        rename_reads(node, names)
        node.output[:] = [names.get(name, name) for name in node.output]
    network = helper.make_graph(
        nodes,
        "network",
        [_plain_value(value) for value in inputs],
        [_plain_value(value) for value in model.graph.output],
        [_plain_tensor(tensors[name], names[name]) for name in names if name in tensors],
    )
    clean = helper.make_model(
        network,
        producer_name="edge-optim",
        ir_version=IR_VERSION,
        opset_imports=([helper.make_opsetid("", opset(model))] if opset(model) else [])
        + [entry for entry in model.opset_import if entry.domain not in STANDARD],
    )
    _check(clean)
    return bytes(clean.SerializeToString(deterministic=True))


def _check(model: ModelProto) -> None:
    """Check against the standard; correct declared output shapes, in place, if they are wrong."""
    try:
        try:
            _correct_outputs(model, lambda tensor: not tensor.HasField("shape"))
            onnx.checker.check_model(model, full_check=True)
        except InferenceError:  # engines run such files, with a warning
            _correct_outputs(model, lambda tensor: True)
            onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise BrokenArtifactError(
            f"the network cannot stand in an ONNX file: {_first_line(error):.200}"
        ) from error
    except InferenceError as error:
        raise BrokenArtifactError(
            f"the shapes in the network contradict each other: {_first_line(error):.200}"
        ) from error


def _correct_outputs(model: ModelProto, wrong: Callable[[TypeProto.Tensor], bool]) -> None:
    """Give outputs the shapes that the operators give them, in place, where these are known."""
    chosen = [
        value for value in model.graph.output
        if value.type.HasField("tensor_type") and wrong(value.type.tensor_type)
    ]  # fmt: skip
    if not chosen:
        return
    for value in chosen:
        value.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    found = {value.name: value.type for value in inferred.graph.output}
    for value in chosen:
        value.type.CopyFrom(found[value.name])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _refuse_unusual_storage(model: ModelProto) -> None:
    if model.graph.sparse_initializer:
        raise BrokenArtifactError(
            "an ONNX file must store its constants as dense tensors; this one has "
            f"{len(model.graph.sparse_initializer)} sparse ones. Export the network with dense "
            "weights."
        )
    outside = [t.name for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    if outside:
        raise BrokenArtifactError(
            f"an ONNX file must hold its weights itself; {len(outside)} tensors of this one lie in "
            "a second file. Save it again as one file."
        )


def _leave_out_absent(node: NodeProto) -> None:
    """Cut off, in place, optional inputs and outputs at the end that are absent anyway."""
    for names in (node.input, node.output):
        while len(names) > 1 and not names[-1]:
            del names[-1]


def _name_layers(nodes: Iterable[NodeProto]) -> None:
    """Name layers after their weights where those still have a module's name."""
    for node in nodes:
        weight = node.input[1] if node.op_type in LAYERS else ""
        if weight.endswith(".weight"):
            node.name = weight.removesuffix(".weight")
        elif node.op_type not in (*LAYERS, *INTEGER_LAYERS):
            node.ClearField("name")


def _short_names(nodes: Sequence[NodeProto], kept: Sequence[str]) -> dict[str, str]:
    """Number the tensors in the order of use, past every name that stays.

    Unused constants get no name and fall away.
    """
    names: dict[str, str] = {name: name for name in kept}
    taken = names.keys() | {name for node in nodes for name in defined_inside(node)}
    number = len(names)
    for node in nodes:
        for name in (*reads(node), *filter(None, node.output)):
            if name in names:
                continue
            while (short := np.base_repr(number, 36).lower()) in taken:
                number += 1
            names[name] = short
            number += 1
    return names


def _plain_value(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    plain = onnx.ValueInfoProto(name=value.name)
    plain.type.CopyFrom(value.type)
    for dim in plain.type.tensor_type.shape.dim:
        if dim.dim_value < 0:  # some exporters write a free dimension so
            dim.Clear()
    return plain


def _plain_tensor(tensor: TensorProto, name: str) -> TensorProto:
    plain = TensorProto()
    plain.CopyFrom(tensor)
    plain.name = name
    plain.ClearField("doc_string")
    plain.ClearField("metadata_props")
    return plain
