"""Pieces of a model that the engine runs by themselves.

The large constants of a model are given to the engine once for all pieces: writing each piece out
and reading it back would cost as much as running it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from optim.graph.runner import Runner, share
from optim.graph.subgraphs import reads as needed

BATCH = 32
LARGE = 1024
"""Values from which on a constant is handed to the engine as it lies in memory."""


class Loader:
    """Has the engine load pieces of one model; large constants are handed over, not copied."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.large = {
            tensor.name: share(numpy_helper.to_array(tensor))
            for tensor in model.graph.initializer
            if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= LARGE
        }
        self.tensors = [
            _elsewhere(tensor) if tensor.name in self.large else tensor
            for tensor in model.graph.initializer
        ]

    def load(
        self,
        nodes: Sequence[NodeProto],
        shapes: Mapping[str, tuple[int | None, ...]],
        outputs: Sequence[str],
    ) -> Runner:
        """Load some nodes of the model, with the constants that they read."""
        used = {name for node in nodes for name in needed(node)}
        tensors = [tensor for tensor in self.tensors if tensor.name in used]
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            nodes,
            "piece",
            [info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            tensors,
        )
        piece = helper.make_model(
            graph, ir_version=self.model.ir_version, opset_imports=self.model.opset_import
        )
        large = {
            tensor.name: self.large[tensor.name] for tensor in tensors if tensor.name in self.large
        }
        return Runner(piece, shared=large, fuse_quantizers=False)


def _elsewhere(tensor: TensorProto) -> TensorProto:
    """Return the name and shape of a constant, without its values."""
    stub = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    stub.data_location = TensorProto.EXTERNAL
    stub.external_data.add(key="location", value=tensor.name)
    return stub


def run_piece(
    loader: Loader,
    nodes: Sequence[NodeProto],
    state: dict[str, np.ndarray],
    wanted: Sequence[str],
) -> dict[str, np.ndarray]:
    """Return the wanted tensors, of which some may be there already."""
    missing = [name for name in wanted if name not in state]
    found = {name: state[name] for name in wanted if name in state}
    if missing:
        feeds = {name: value for name, value in state.items() if reads(nodes, name)}
        shapes = {name: (None, *value.shape[1:]) for name, value in feeds.items()}
        found |= run(loader.load(nodes, shapes, missing), missing, feeds, {})
    return found


def run(
    runner: Runner,
    outputs: Sequence[str],
    feeds: Mapping[str, np.ndarray],
    fixed: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Run in batches; ``fixed`` is the same for each."""
    n = len(next(iter(feeds.values())))
    parts = [
        runner.run(outputs, {name: v[i : i + BATCH] for name, v in feeds.items()} | dict(fixed))
        for i in range(0, n, BATCH)
    ]
    return {
        name: np.concatenate(columns)
        for name, columns in zip(outputs, zip(*parts, strict=True), strict=True)
    }


def reads(nodes: Sequence[NodeProto], name: str) -> bool:
    """True if one of the nodes reads this tensor."""
    return any(name in needed(node) for node in nodes)
