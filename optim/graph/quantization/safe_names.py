"""Names that quantization can add to: ``4.w``, ``4.dq``.

A fused file numbers its tensors, but inputs, outputs and what lies inside subgraphs keep the names
that their author gave them, and ``4.w`` or ``input.dq`` may be one of these. Where such a name is,
every tensor of the outer graph is numbered anew behind a prefix that nobody uses, and the inputs
and outputs get their names back at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnx import ModelProto

from optim.graph.examples import Examples, NamedExamples
from optim.graph.onnx_file import read_model, tidy
from optim.graph.subgraphs import defined_inside, reads, rename_reads


@dataclass(frozen=True, kw_only=True)
class AuthorNames:
    """Names of inputs and outputs in the author's file.

    Attributes:
        prefix: no name of the author's begins with it.
        authors: by the safe name; empty if every name was safe.
    """

    prefix: str
    authors: Mapping[str, str]


def with_safe_names(model: ModelProto) -> tuple[ModelProto, AuthorNames]:
    """Return a copy in which no name starts another, and the old names of inputs and outputs.

    Args:
        model: fused; left alone. It comes back as it is if its names are safe.
    """
    ends = [value.name for value in (*model.graph.input, *model.graph.output)]
    inside = {name for node in model.graph.node for name in defined_inside(node)}
    kept = inside.union(ends)
    if not any("." in name for name in kept):
        return model, AuthorNames(prefix="", authors={})
    prefix = "t"
    while any(name.startswith(prefix) for name in kept):
        prefix += "t"
    numbered = {name: f"{prefix}{i}" for i, name in enumerate(_outer_names(model))}
    authors = {numbered[name]: name for name in ends}
    return _renamed(model, numbered), AuthorNames(prefix=prefix, authors=authors)


def with_safe_inputs(examples: Examples, names: AuthorNames) -> Examples:
    """Return the same examples by the safe names of the inputs."""
    if not names.authors or not isinstance(examples, NamedExamples):
        return examples
    safe = {author: name for name, author in names.authors.items()}
    return NamedExamples({safe[name]: array for name, array in examples.arrays.items()})


def with_authors_names(content: bytes, names: AuthorNames) -> bytes:
    """Return the same file with inputs and outputs called as their author called them."""
    if not names.authors:
        return content
    model = read_model(content)
    moved = {name: f"{names.prefix}{i}" for i, name in enumerate(_outer_names(model))}
    return tidy(_renamed(model, moved | dict(names.authors)))


def _outer_names(model: ModelProto) -> list[str]:
    graph = model.graph
    found = [value.name for value in (*graph.input, *graph.output)]
    found += [tensor.name for tensor in graph.initializer]
    found += [name for node in graph.node for name in (*reads(node), *filter(None, node.output))]
    return list(dict.fromkeys(found))


def _renamed(model: ModelProto, names: Mapping[str, str]) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    graph.ClearField("value_info")
    for item in (*graph.input, *graph.output, *graph.initializer):
        item.name = names[item.name]
    for node in graph.node:
        rename_reads(node, names)
        node.output[:] = [names.get(name, name) for name in node.output]
    return copy
