"""Graphs inside nodes (If, Loop, Scan) and the names that they share with the graph around them.

A subgraph reads tensors of the outer graph by name, without listing them among the node's inputs.
Whoever renames, removes or moves tensors has to ask ``reads`` instead of ``node.input``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnx import GraphProto, NodeProto


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs that a node holds as attributes; most nodes hold none."""
    for item in node.attribute:
        if item.HasField("g"):
            yield item.g
        yield from item.graphs


def reads(node: NodeProto) -> tuple[str, ...]:
    """Return every tensor that a node needs: its inputs and what its subgraphs take from outside.

    A tensor that is read twice comes twice; absent optional inputs do not come.
    """
    inputs = [name for name in node.input if name]
    return (*inputs, *(name for graph in subgraphs(node) for name in _taken(graph)))


def defined_inside(node: NodeProto) -> set[str]:
    """Return the names that the subgraphs of a node give to tensors of their own."""
    found: set[str] = set()
    for graph in subgraphs(node):
        found |= _defined(graph)
        for inner in graph.node:
            found |= defined_inside(inner)
    return found


def rename_reads(node: NodeProto, names: Mapping[str, str]) -> None:
    """Rename what a node and its subgraphs read, in place; what a subgraph defines stays."""
    node.input[:] = [names.get(name, name) for name in node.input]
    for graph in subgraphs(node):
        outer = {old: new for old, new in names.items() if old not in _defined(graph)}
        for inner in graph.node:
            rename_reads(inner, outer)
        for value in graph.output:
            value.name = outer.get(value.name, value.name)


def _defined(graph: GraphProto) -> set[str]:
    return {
        *(value.name for value in graph.input),
        *(tensor.name for tensor in graph.initializer),
        *(tensor.values.name for tensor in graph.sparse_initializer),
        *(name for node in graph.node for name in node.output),
    }


def _taken(graph: GraphProto) -> list[str]:
    """Return names that a subgraph reads and does not define, in the order of use."""
    wanted = [name for node in graph.node for name in reads(node)]
    wanted += [value.name for value in graph.output]
    defined = _defined(graph)
    return [name for name in dict.fromkeys(wanted) if name not in defined]
