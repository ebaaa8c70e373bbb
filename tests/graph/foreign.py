"""Small networks as other tools and people write them, and what they really answer."""

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

node = helper.make_node


def normal(*shape, seed=0, size=1.0):
    return (np.random.default_rng(seed).normal(size=shape) * size).astype(np.float32)


def network(nodes, constants, *, given=("N", 3, 6, 6), outputs=("out",), opset=18, source="in"):
    """A model with one float input and float outputs, whose shapes are left out."""
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, given)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    for value in graph.output:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def right(model, x):
    """By ONNX's reference evaluator; ``x`` by name if there are several inputs."""
    feeds = x if isinstance(x, dict) else {model.graph.input[0].name: x}
    return ReferenceEvaluator(model).run(None, feeds)


def run(content, x):
    """By ONNX Runtime with all of its optimizations."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feeds = x if isinstance(x, dict) else {session.get_inputs()[0].name: x}
    return session.run(None, feeds)


def signal_db(found, expected):
    """Signal above noise; the least of several outputs."""
    return min(
        float(10 * np.log10(np.square(b, dtype=np.float64).sum() / np.square(a - b).sum()))
        if not np.array_equal(a, b) else np.inf
        for a, b in zip(found, expected, strict=True)
    )  # fmt: skip
