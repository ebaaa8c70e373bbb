"""Files that nobody should trust, made anew for each test; each is named after what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

node = helper.make_node


def value(
    name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    *,
    constants: dict[str, np.ndarray] | None = None,
    shape: Sequence[int | str] = ("B", 4),
    answer: Sequence[int | str] = ("B", 4),
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Sequence[str] = (),
) -> ModelProto:
    """From ``input`` to ``output``, both float."""
    graph = helper.make_graph(
        list(nodes), "g", [value("input", shape)], [value("output", answer)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def harmless() -> ModelProto:
    return model(
        [node("MatMul", ["input", "w"], ["m"]), node("Relu", ["m"], ["output"])],
        constants={"w": np.eye(4, dtype=np.float32)},
    )


def endless_loop(shape: Sequence[int | str] = ("B", 4)) -> ModelProto:
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("Add", ["carried", "carried"], ["next"])],
        "body",
        [
            value("i", [], TensorProto.INT64),
            value("go", [], TensorProto.BOOL),
            value("carried", []),
        ],
        [value("go_on", [], TensorProto.BOOL), value("next", [])],
    )
    return model(
        [
            node("ReduceSum", ["input"], ["start"], keepdims=0),
            node("Loop", ["trips", "always", "start"], ["end"], body=body),
            node("Add", ["input", "end"], ["output"]),
        ],
        constants={"trips": np.int64(2**62), "always": np.bool_(True)},
        shape=shape,
        answer=shape,
    )


def huge_constant(gib: int, shape: Sequence[int | str] = ("B", 4)) -> ModelProto:
    return model(
        [
            node("ReduceSum", ["input"], ["zero"], keepdims=1),
            node("Cast", ["zero"], ["whole"], to=TensorProto.INT64),
            node("Mul", ["whole", "none"], ["nothing"]),
            node("Reshape", ["nothing", "one"], ["flat"]),
            node("Add", ["flat", "size"], ["wanted"]),
            node("ConstantOfShape", ["wanted"], ["huge"]),
            node("ReduceMax", ["huge"], ["most"], keepdims=0),
            node("Add", ["input", "most"], ["output"]),
        ],
        constants={
            "size": np.array([gib * 2**28]), "none": np.array([[0]]), "one": np.array([1]),
        },
        shape=shape,
        answer=shape,
    )  # fmt: skip


def nested(levels: int) -> ModelProto:
    inner = helper.make_graph(
        [node("Relu", ["input"], ["r0"])], "deepest", [], [value("r0", ["B", 4])]
    )
    for level in range(1, levels + 1):
        name = f"r{level}"
        branch = node("If", ["yes"], [name], then_branch=inner, else_branch=_relu(f"e{level}"))
        inner = helper.make_graph([branch], name, [], [value(name, ["B", 4])])
    return model(
        [node("If", ["yes"], ["output"], then_branch=inner, else_branch=_relu("e"))],
        constants={"yes": np.bool_(True)},
    )


def _relu(name: str) -> onnx.GraphProto:
    return helper.make_graph([node("Relu", ["input"], [name])], name, [], [value(name, ["B", 4])])


def doubling_functions(times: int) -> ModelProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = [
        helper.make_function("own", "f0", ["x"], ["y"], [node("Relu", ["x"], ["y"])], opsets)
    ]
    for level in range(1, times + 1):
        below = f"f{level - 1}"
        calls = [node(below, ["x"], ["h"], domain="own"), node(below, ["h"], ["y"], domain="own")]
        functions.append(helper.make_function("own", f"f{level}", ["x"], ["y"], calls, opsets))
    return model(
        [node(f"f{times}", ["input"], ["output"], domain="own")],
        functions=functions, domains=["own"],
    )  # fmt: skip


def function_that_calls_itself() -> ModelProto:
    own = helper.make_function(
        "own", "f", ["x"], ["y"], [node("f", ["x"], ["y"], domain="own")],
        [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
    )  # fmt: skip
    return model([node("f", ["input"], ["output"], domain="own")], functions=[own], domains=["own"])


def long_chain(operators: int) -> ModelProto:
    names = ["input", *(f"t{i}" for i in range(operators - 1)), "output"]
    return model([node("Neg", [a], [b]) for a, b in pairwise(names)])


def huge_input() -> ModelProto:
    return model([node("Relu", ["input"], ["output"])], shape=[2**40, 2**40], answer=[2**40, 2**40])


def huge_weight() -> ModelProto:
    made = harmless()
    made.graph.initializer[0].dims[:] = [2**40, 2**40]
    return made


def short_weight() -> ModelProto:
    made = harmless()
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:-3]
    return made


def unknown_element_type() -> ModelProto:
    made = harmless()
    made.graph.initializer[0].data_type = 9999
    return made


def declared_type(elem_type: int) -> ModelProto:
    made = harmless()
    made.graph.output[0].type.tensor_type.elem_type = elem_type
    return made


def unknown_domain() -> ModelProto:
    return model([node("Magic", ["input"], ["output"], domain="evil")], domains=["evil"])


def negative_size() -> ModelProto:
    made = harmless()
    made.graph.initializer[0].dims[:] = [-4, -4]
    return made


def escape_codes() -> ModelProto:
    return model([node("Ev\x1b[31mil\n[bold]", ["input"], ["output"], name="\x1b]0;title\x07")])


OUTSIDE: dict[str, Callable[[TensorProto], ModelProto]] = {
    "initializer": lambda t: _with_initializer(t),
    "Constant": lambda t: model(
        [node("Constant", [], ["w"], value=t), node("MatMul", ["input", "w"], ["output"])]
    ),
    "subgraph": lambda t: _in_subgraph(t),
    "function": lambda t: _in_function(t),
    "sparse": lambda t: _in_sparse(t),
}
"""Where a tensor with its data outside may hide; each takes 16 floats."""


def _with_initializer(tensor: TensorProto) -> ModelProto:
    made = model([node("MatMul", ["input", "w"], ["output"])])
    made.graph.initializer.append(tensor)
    return made


def _in_subgraph(tensor: TensorProto) -> ModelProto:
    branch = helper.make_graph(
        [node("MatMul", ["input", "w"], ["yes"])], "b", [], [value("yes", ["B", 4])], [tensor]
    )
    return model(
        [node("If", ["true"], ["output"], then_branch=branch, else_branch=_relu("no"))],
        constants={"true": np.bool_(True)},
    )


def _in_function(tensor: TensorProto) -> ModelProto:
    inner = [node("Constant", [], ["w"], value=tensor), node("MatMul", ["x", "w"], ["y"])]
    own = helper.make_function("own", "f", ["x"], ["y"], inner, [helper.make_opsetid("", 17)])
    return model([node("f", ["input"], ["output"], domain="own")], functions=[own], domains=["own"])


def _in_sparse(tensor: TensorProto) -> ModelProto:
    made = model([node("MatMul", ["input", "w"], ["output"])])
    indices = numpy_helper.from_array(np.arange(16), "i")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [4, 4]))
    return made


def outside(location: str, where: str = "initializer") -> ModelProto:
    """A model one of whose tensors has its 64 bytes in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT)
    tensor.dims[:] = [16] if where == "sparse" else [4, 4]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return OUTSIDE[where](tensor)


def saved(made: ModelProto, path: Path) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def sparse_file(path: Path, length: int) -> Path:
    with path.open("wb") as file:
        os.truncate(file.fileno(), length)
    return path
