"""The only door to torch-pruning: its dependency graph, and what of it has no public name.

The graph is that of Fang et al. 2023, "DepGraph: Towards Any Structural Pruning": an edge says that
who loses channel i here loses channel j there. Private names of the library are used here and
nowhere else; pyproject.toml keeps to the versions that have them.
"""

from __future__ import annotations

import warnings
from enum import Enum, auto
from typing import Any

import torch
from torch import nn

from optim.compress.pruning.probe import tensors_of
from optim.errors import Refusal, RefusedError

Pairs = tuple[tuple[int, int], ...]
"""A channel of a node, and the channel that it leaves with in the layer a walk set out from."""


class NodeKind(Enum):
    """What stands at a node of the graph."""

    LAYER = auto()
    """A module of the network, a parameter, or an operation that only moves channels about."""
    OUTPUT = auto()
    """The network's output."""
    COPIES = auto()
    """Channels are unbound or repeated."""
    ELEMENTWISE = auto()
    """An operation without weights."""


def dependency_graph(network: nn.Module, input_shape: tuple[int, ...]) -> Any:
    """Draw the graph, by one run on zeros.

    Args:
        network: in evaluation mode.
        input_shape: of one example.

    Raises:
        RefusedError: if torch-pruning cannot trace the network.
    """
    import torch_pruning as tp

    trained = [parameter.requires_grad for parameter in network.parameters()]
    network.requires_grad_(True)  # the graph is read off what autograd has seen
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            return tp.DependencyGraph().build_dependency(
                network,
                example_inputs=torch.zeros(2, *input_shape),
                forward_fn=lambda network, x: network(x),
                output_transform=lambda answer: list(tensors_of(answer)),
                verbose=False,
            )
    except Exception as error:  # whatever the tracer or the network's own code raises
        told = " ".join(str(error).split()) or "no message"
        raise RefusedError(
            Refusal(
                reason="this network cannot be traced by torch-pruning, so nothing is known of "
                f"which channels belong together: {type(error).__name__}: {told:.200}",
                remedy="Quantize it, or make single weights zero.",
            )
        ) from error
    finally:
        for parameter, before in zip(network.parameters(), trained, strict=True):
            parameter.requires_grad_(before)


def across(edge: Any, pairs: Pairs) -> Pairs:
    """What leaves at the end of an edge where these leave at its start."""
    import torch_pruning as tp

    indices = [tp._helpers._HybridIndex(idx=i, root_idx=origin) for i, origin in pairs]
    for mapping in edge.index_mapping:
        indices = mapping(indices) if mapping is not None else indices
    return tuple((index.idx, index.root_idx) for index in indices)


def kind_of(module: Any) -> NodeKind:
    """What the module of a node is."""
    import torch_pruning as tp

    match module:
        case tp.ops._OutputOp():
            return NodeKind.OUTPUT
        case tp.ops._UnbindOp() | tp.ops._ExpandOp():
            return NodeKind.COPIES
        case tp.ops._ElementWiseOp():
            return NodeKind.ELEMENTWISE
        case _:
            return NodeKind.LAYER


def operation(module: Any) -> str:
    """What an elementwise node computes, by autograd's name, such as ``Softmax``."""
    return str(module._grad_fn).removesuffix("Backward0")
