"""Activation quantizers: placed in training where the file will have them.

The rules are those of the quantizer of files: the input and the output of each layer, of each sum,
product and average; behind a ReLU where one follows, since the file's range ends where it clips.
The parts of a concatenation are rounded together, after it. What follows the last layer stays
float, as does the output of a last linear layer.
"""

from __future__ import annotations

import copy
import operator

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from optim.compress.qat.fake_quantize import ActivationQuantizer
from optim.compress.qat.fold import Layer, trace

CLIPPING = (nn.ReLU, nn.ReLU6, nn.Hardtanh, F.relu, F.relu6, torch.relu, "relu", "relu_", "clamp")
NO_OPS = (nn.Identity, nn.Dropout, nn.Dropout2d)
"""Not in the file at all."""
DATA_MOVEMENT = (
    nn.MaxPool1d, nn.MaxPool2d, nn.Flatten, F.max_pool1d, F.max_pool2d, torch.flatten,
    "flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze",
)  # fmt: skip
"""Move numbers without computing: the output has the quantizer of the input."""
JOINS = (torch.cat, torch.concat)
ARITHMETIC = (
    operator.add, operator.iadd, torch.add, "add", "add_", operator.mul, operator.imul, torch.mul,
    "mul", "mul_", "mean", torch.mean, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, F.avg_pool2d, F.adaptive_avg_pool2d, *JOINS,
)  # fmt: skip


def with_activation_quantizers(network: nn.Module) -> fx.GraphModule:
    """Return a copy that fake-quantizes activations; its modules keep their names.

    Args:
        network: folded, in evaluation mode; it is left alone.

    Raises:
        RefusedError: if the network cannot be traced.
    """
    network = copy.deepcopy(network)
    graph = trace(network)
    places = _Places(network, graph).found()
    module = fx.GraphModule(network, graph)
    for i, node in enumerate(places):
        module.add_submodule(f"grid_{i}", ActivationQuantizer())
        with graph.inserting_after(node):
            rounded = graph.call_module(f"grid_{i}", (node,))
        node.replace_all_uses_with(rounded)
        rounded.args = (node,)
    module.recompile()
    return module


def observe(network: nn.Module, inputs: np.ndarray, *, batch_size: int = 128) -> None:
    """Set the range of every quantizer, in place, to the smallest and largest value seen.

    Args:
        network: on the CPU, in evaluation mode.
        inputs: calibration examples, float32, (n, ...).
    """
    quantizers = [module for module in network.modules() if isinstance(module, ActivationQuantizer)]
    for quantizer in quantizers:
        quantizer.observing = True
    with torch.no_grad():
        for start in range(0, len(inputs), batch_size):
            network(torch.from_numpy(inputs[start : start + batch_size]))
    for quantizer in quantizers:
        quantizer.observing = False


class _Places:
    """Finds the nodes behind which activations are rounded."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        self.modules = dict(network.named_modules())
        self.nodes = list(graph.nodes)

    def found(self) -> list[fx.Node]:
        before_a_layer = self._before_a_layer()
        places: dict[fx.Node, None] = {}
        joined: set[fx.Node] = set()
        for node in self.nodes:
            if self._is_layer(node):
                places[self._source(node.all_input_nodes[0])] = None
                if node in before_a_layer or not self._is(node, (nn.Linear,)):
                    places[self._settled(node)] = None
            elif self._is(node, ARITHMETIC) and node in before_a_layer:
                parts = [self._source(part) for part in node.all_input_nodes]
                places.update(dict.fromkeys([*parts, self._settled(node)]))
                if self._is(node, JOINS):
                    joined.update(part for part in parts if len(part.users) == 1)
        return [node for node in places if node not in joined]

    def _before_a_layer(self) -> set[fx.Node]:
        """Return the nodes whose output some layer reads, directly or later."""
        found: set[fx.Node] = set()
        for node in reversed(self.nodes):
            if any(self._is_layer(user) or user in found for user in node.users):
                found.add(node)
        return found

    def _settled(self, node: fx.Node) -> fx.Node:
        """Return the clamp that follows alone, or the node itself."""
        last = node
        while len(node.users) == 1:
            node = next(iter(node.users))
            if self._is(node, CLIPPING):
                last = node
            elif not self._is(node, NO_OPS):
                break
        return last

    def _source(self, node: fx.Node) -> fx.Node:
        """Return the node that computed what arrives here."""
        while self._is(node, NO_OPS + DATA_MOVEMENT):
            node = node.all_input_nodes[0]
        return node

    def _is_layer(self, node: fx.Node) -> bool:
        return node.op == "call_module" and isinstance(self.modules[str(node.target)], Layer)

    def _is(self, node: fx.Node, kinds: tuple[object, ...]) -> bool:
        if node.op == "call_module":
            classes = tuple(kind for kind in kinds if isinstance(kind, type))
            return isinstance(self.modules[str(node.target)], classes)
        return node.op in ("call_function", "call_method") and node.target in kinds
