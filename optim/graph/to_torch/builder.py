"""The graph of a network in the making: calls are added one by one, and their shapes followed."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from optim.graph.to_torch.layers import tensor

BATCHES = (2, 3)
"""Shapes are followed for these: what differs between them is the batch."""

DTYPES = {
    1: torch.float32, 10: torch.float32, 11: torch.float32, 16: torch.float32, 6: torch.int32,
    7: torch.int64, 9: torch.bool, 3: torch.int8, 2: torch.uint8,
}  # fmt: skip
"""ONNX's numbers of types; all floats are float32 in a network that is trained."""


class Builder:
    """Calls of torch functions, methods and modules in the order in which a network makes them.

    Calling it with a function adds a call of that function.

    Attributes:
        root: holds the modules and the kept constants.
        graph: the calls.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        """Begin with the input ``x``, (N, *shape)."""
        self.root, self.graph = nn.Module(), fx.Graph()
        self.x = self.graph.placeholder("x")
        self._ran: dict[fx.Node, tuple[Any, ...]] = {
            self.x: tuple(torch.empty((n, *shape), dtype=dtype, device="meta") for n in BATCHES)
        }

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        """Add a call of a function."""
        return self._run(self.graph.call_function(function, args, kwargs), function)

    def method(self, name: str, *args: Any) -> fx.Node:
        """Add a call of a tensor's method; the tensor comes first."""
        return self._run(self.graph.call_method(name, args), partial(_call_method, name))

    def attempt(self, name: str, *args: Any) -> fx.Node | None:
        """Add a call of a tensor's method, or None if the shapes do not fit."""
        try:
            return self.method(name, *args)
        except RuntimeError:  # torch's word for shapes that do not fit
            self.graph.erase_node(next(reversed(self.graph.nodes)))
            return None

    def constant(self, value: np.ndarray) -> fx.Node:
        """Keep a constant in the network."""
        name = f"constant_{sum(1 for _ in self.root.buffers())}"
        kept = tensor(value)
        self.root.register_buffer(name, kept)
        node = self.graph.get_attr(name)
        self._ran[node] = (kept.to("meta"),) * len(BATCHES)
        return node

    def embedding(self, index: fx.Node, table: np.ndarray) -> fx.Node:
        """Return rows of a table (rows, features), which can be trained."""
        rows = nn.Embedding(table.shape[0], table.shape[1], _weight=tensor(table))
        return self.module("embedding", rows, index)

    def repeated(self, value: np.ndarray) -> fx.Node:
        """Return a constant (1, ...) once for each example."""
        count = self.method("size", self.x, 0)
        return self.method("expand", self.constant(value), count, *[-1] * (value.ndim - 1))

    def module(self, name: str, module: nn.Module, *inputs: fx.Node) -> fx.Node:
        """Put a module into the network under a name of its own, and call it."""
        path = _free_path(self.root, name)
        parent = self.root
        for part in path.split(".")[:-1]:
            if part not in dict(parent.named_children()):
                parent.add_module(part, nn.Module())
            parent = parent.get_submodule(part)
        parent.add_module(path.split(".")[-1], module)
        without_numbers = copy.deepcopy(module).to("meta")
        return self._run(self.graph.create_node("call_module", path, inputs), without_numbers)

    def shape(self, node: fx.Node) -> tuple[int | None, ...]:
        """Return the shape of what a call gives, None where it differs from batch to batch."""
        first, second = (each.shape for each in self._ran[node])
        return tuple(int(a) if a == b else None for a, b in zip(first, second, strict=True))

    def counts_examples(self, node: fx.Node) -> bool:
        """True if the first axis of what a call gives is the batch."""
        return tuple(each.shape[0] for each in self._ran[node] if each.ndim) == BATCHES

    def finished(self, answer: fx.Node) -> fx.GraphModule:
        """Return the network that gives ``answer``, without what nothing reads."""
        self.graph.output(answer)
        network = fx.GraphModule(self.root, self.graph)
        network.graph.eliminate_dead_code()
        network.recompile()
        network.delete_all_unused_submodules()
        return network

    def _run(self, node: fx.Node, call: Callable[..., Any]) -> fx.Node:
        """Follow the shapes through a call, for each size of batch, without any numbers."""
        kept = []
        for i in range(len(BATCHES)):

            def of_batch(other: fx.Node, i: int = i) -> Any:
                return self._ran[other][i]

            args, kwargs = fx.map_arg((node.args, node.kwargs), of_batch)
            kept.append(call(*args, **kwargs))
        self._ran[node] = tuple(kept)
        return node


def _call_method(name: str, x: Any, *args: Any) -> Any:
    return getattr(x, name)(*args)


_NOT_IN_A_NAME = re.compile(r"[^0-9A-Za-z_.]+")


def _free_path(root: nn.Module, name: str) -> str:
    """Return a module path for a name out of a file: Python's letters, and not taken yet."""
    parts = [part for part in _NOT_IN_A_NAME.sub(".", name).split(".") if part]
    parts = [part if not hasattr(nn.Module, part) else f"{part}_" for part in parts] or ["layer"]
    path, number = ".".join(parts), 1
    taken = {each for each, _ in root.named_modules()}
    while path in taken or any(path == each.rpartition(".")[0] for each in taken):
        number += 1
        path = f"{'.'.join(parts)}_{number}"
    return path
