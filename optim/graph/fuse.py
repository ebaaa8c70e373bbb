"""Fold everything that can be folded exactly, with standard ONNX operators only.

ONNX Runtime's basic optimizations fold batch norms, constants and no-ops. On top of that a mean
over all of space becomes the operator made for it,

    ReduceMean(axes = space)  ->  GlobalAveragePool,

which is exact, and which quantizers know how to compute in INT8.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper

from optim.errors import BrokenArtifactError
from optim.graph.onnx_file import (
    attribute,
    constants,
    consumers,
    float_tensor_shapes,
    read_model,
    tidy,
)


def fuse(model: bytes) -> bytes:
    """Fold batch norms and constants in the file; the answers stay the same to 1e-5.

    Deterministic, and applied twice it changes nothing more. Weights stay inside the file, the
    batch stays free.

    Raises:
        BrokenArtifactError: if ONNX Runtime cannot read the file.
    """
    graph = read_model(_basic_optimizations(tidy(read_model(model))))
    _pool_globally(graph)
    return tidy(graph)


def _basic_optimizations(model: bytes) -> bytes:
    """What ONNX Runtime does at level BASIC: only standard operators come out."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fused.onnx"
        options.optimized_model_filepath = str(path)
        try:
            ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no narrower base
            raise BrokenArtifactError(
                f"ONNX Runtime cannot read the model: {str(error).splitlines()[0]}"
            ) from error
        content = path.read_bytes()
    optimized = onnx.load_model_from_string(content)
    del optimized.opset_import[:]
    optimized.opset_import.extend(read_model(model).opset_import)
    return bytes(optimized.SerializeToString())


def _pool_globally(model: ModelProto) -> None:
    """Rewrite means over all of space, in place.

    torch writes its 1-D average pooling as Unsqueeze(-2), ReduceMean(-1, -2), Squeeze(-2).
    """
    shapes = float_tensor_shapes(model)
    values = constants(model)
    readers = consumers(model.graph.node)
    dropped: set[str] = set()
    for node in model.graph.node:
        if dropped.intersection(node.output):
            continue
        if node.op_type == "ReduceMean" and _is_over_space(node, shapes, values):
            node.CopyFrom(helper.make_node("GlobalAveragePool", [node.input[0]], node.output))
        elif node.op_type == "Unsqueeze" and len(shapes.get(node.input[0], ())) == 3:
            chain = _chain(node, ("ReduceMean", "Squeeze"), readers)
            if chain and all(_is_over_space(item, shapes, values) for item in chain[:1]):
                mean, squeeze = chain
                if _axes(node, 4, values) == _axes(squeeze, 4, values) == [2]:
                    pooled = helper.make_node("GlobalAveragePool", [node.input[0]], squeeze.output)
                    node.CopyFrom(pooled)
                    dropped.update((*mean.output, *squeeze.output))
    kept = [
        node
        for node in model.graph.node
        if node.op_type == "GlobalAveragePool" or not dropped.intersection(node.output)
    ]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _chain(
    node: NodeProto, kinds: tuple[str, ...], readers: dict[str, list[NodeProto]]
) -> tuple[NodeProto, ...]:
    """The nodes after ``node``, if they are of these kinds and nobody else reads in between."""
    found: tuple[NodeProto, ...] = ()
    for kind in kinds:
        following = readers.get(node.output[0], [])
        if len(following) != 1 or following[0].op_type != kind:
            return ()
        node = following[0]
        found += (node,)
    return found


def _is_over_space(
    node: NodeProto, shapes: dict[str, tuple[int | None, ...]], values: dict[str, np.ndarray]
) -> bool:
    rank = len(shapes.get(node.input[0], ()))
    space = list(range(2, rank))
    return rank >= 3 and attribute(node, "keepdims", 1) == 1 and _axes(node, rank, values) == space


def _axes(node: NodeProto, rank: int, values: dict[str, np.ndarray]) -> list[int] | None:
    """The constant axes of a node, sorted and counted from the front; None if there are none."""
    axes = values.get(node.input[1]) if len(node.input) > 1 else None
    return None if axes is None else sorted(int(axis) % rank for axis in axes)
