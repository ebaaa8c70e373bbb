"""Reading and writing ONNX files so that the bytes hold the network and nothing else.

Exporters and optimizers leave documentation, provenance and long names behind: tens of kilobytes,
which count in a file of a hundred. ``tidy`` removes them and makes the bytes a function of the
network. Layers keep their names (as node names); tensors get short ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from optim.errors import BrokenArtifactError

IR_VERSION = 10
"""The oldest that holds INT4 and opset 21; older runtimes can still read the file."""

LAYERS = ("Conv", "Gemm", "MatMul")
"""Operators with weights that do nearly all of the work."""
INTEGER_LAYERS = ("ConvInteger", "MatMulInteger")
"""What they become where activations are quantized anew in every run."""


def read_model(content: bytes) -> ModelProto:
    """Parse the bytes of an ONNX file.

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


def opset(model: ModelProto) -> int:
    """Version of the standard operators that the file uses."""
    return next(
        int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")
    )


def constants(model: ModelProto) -> dict[str, np.ndarray]:
    """Initializers by name, as read-only arrays."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def attribute(node: NodeProto, name: str, default: int = 0) -> int:
    """An integer attribute of a node."""
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def consumers(nodes: Iterable[NodeProto]) -> dict[str, list[NodeProto]]:
    """Who reads each tensor."""
    readers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def producers(nodes: Iterable[NodeProto]) -> dict[str, NodeProto]:
    """Who writes each tensor."""
    return {name: node for node in nodes for name in node.output}


def float_tensor_shapes(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Shapes of all float tensors, None for the batch, by ONNX's shape inference."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        value.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else None
            for dim in value.type.tensor_type.shape.dim
        )
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
    }


def tidy(model: ModelProto) -> bytes:
    """Strip, share equal constants, shorten names, check, and serialize; ``model`` is left alone.

    Returns:
        Bytes that are equal for equal networks.

    Raises:
        BrokenArtifactError: if the model breaks the standard.
    """
    nodes = [_copy_node(node) for node in model.graph.node]
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = list(_lift_constants(nodes, tensors))
    _name_layers(nodes)
    _share_equal(nodes, tensors)
    inputs = [value for value in model.graph.input if value.name not in tensors]
    kept = {value.name for value in (*inputs, *model.graph.output)}
    names = _short_names(nodes, kept)
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    graph = helper.make_graph(
        nodes,
        "network",
        [_plain_value(value) for value in inputs],
        [_plain_value(value) for value in model.graph.output],
        [_plain_tensor(tensors[name], names[name]) for name in names if name in tensors],
    )
    clean = helper.make_model(
        graph,
        producer_name="edge-optim",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", opset(model))]
        + [entry for entry in model.opset_import if entry.domain not in ("", "ai.onnx")],
    )
    try:
        onnx.checker.check_model(clean, full_check=True)
    except onnx.checker.ValidationError as error:
        raise BrokenArtifactError(
            f"the network cannot stand in an ONNX file: {str(error).strip().splitlines()[0]:.200}"
        ) from error
    return bytes(clean.SerializeToString(deterministic=True))


def _copy_node(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.ClearField("doc_string")
    copy.ClearField("metadata_props")
    return copy


def _lift_constants(nodes: list[NodeProto], tensors: dict[str, TensorProto]) -> Iterator[NodeProto]:
    """Turn Constant nodes into initializers and drop Identity nodes inside the graph."""
    for node in nodes:
        value = next((item for item in node.attribute if item.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            tensors[node.output[0]] = value.t
        else:
            yield node


def _name_layers(nodes: list[NodeProto]) -> None:
    """Layers are called after their weights where those still have a module's name."""
    for node in nodes:
        weight = node.input[1] if node.op_type in LAYERS else ""
        if weight.endswith(".weight"):
            node.name = weight.removesuffix(".weight")
        elif node.op_type not in (*LAYERS, *INTEGER_LAYERS):
            node.ClearField("name")


def _share_equal(nodes: list[NodeProto], tensors: dict[str, TensorProto]) -> None:
    """Let equal constants be one."""
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    alias: dict[str, str] = {}
    for name, tensor in tensors.items():
        array = numpy_helper.to_array(tensor)
        key = (tensor.data_type, tuple(tensor.dims), array.tobytes())
        alias[name] = first.setdefault(key, name)
    for node in nodes:
        node.input[:] = [alias.get(name, name) for name in node.input]


def _short_names(nodes: list[NodeProto], kept: set[str]) -> dict[str, str]:
    """Number the tensors in the order of use; unused constants get no name and fall away."""
    names: dict[str, str] = {name: name for name in kept}
    for node in nodes:
        for name in (*node.input, *node.output):
            if name and name not in names:
                names[name] = np.base_repr(len(names), 36).lower()
    return names


def _plain_value(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    plain = onnx.ValueInfoProto(name=value.name)
    plain.type.CopyFrom(value.type)
    return plain


def _plain_tensor(tensor: TensorProto, name: str) -> TensorProto:
    plain = TensorProto()
    plain.CopyFrom(tensor)
    plain.name = name
    plain.ClearField("doc_string")
    plain.ClearField("metadata_props")
    return plain
