"""Dynamic quantization as a file: the range of a layer's input is found anew in every run.

    x -> DynamicQuantizeLinear -> x_q, scale_x, zero_x
    y = float(MatMulInteger(x_q - zero_x, w_q)) * scale_x * scale_w + bias

No calibration example can mislead it, and what lies between the layers stays float, as in ONNX
Runtime's own ``quantize_dynamic``. Matrix products become fast that way. Convolutions become slower
than in float32, depthwise ones most of all: ONNX Runtime's ConvInteger is a plain kernel. The
sample MobileNetV2 ran at 0.06 times its float32 speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from optim.graph.onnx_file import attribute, constants, tidy
from optim.graph.quantization.stored_weights import StoredWeights
from optim.recipe import Precision

KERNELS = {"Conv": "ConvInteger", "Gemm": "MatMulInteger", "MatMul": "MatMulInteger"}


def write_dynamic(model: ModelProto, weights: Mapping[str, StoredWeights]) -> bytes:
    """Return the file in which the layers with stored weights compute in integers.

    Args:
        model: float32, each layer with weights of its own; left alone.
        weights: by the name of the constant.
    """
    writer = _Writer(model, weights)
    nodes = list(writer.nodes())
    del writer.model.graph.node[:]
    writer.model.graph.node.extend(nodes)
    return tidy(writer.model)


class _Writer:
    """Writes the graph; initializers are added to the model as they come up."""

    def __init__(self, model: ModelProto, weights: Mapping[str, StoredWeights]) -> None:
        self.source = model
        self.model = ModelProto()
        self.model.CopyFrom(model)
        self.weights = weights
        self.values = constants(model)
        self.quantized: set[str] = set()

    def nodes(self) -> Iterator[NodeProto]:
        for node in self.source.graph.node:
            if len(node.input) > 1 and node.input[1] in self.weights:
                yield from self._input(node.input[0])
                yield from self._layer(node)
            else:
                yield node

    def _input(self, name: str) -> Iterator[NodeProto]:
        if name not in self.quantized:
            self.quantized.add(name)
            outputs = [f"{name}.q", f"{name}.scale", f"{name}.zero"]
            yield helper.make_node("DynamicQuantizeLinear", [name], outputs)

    def _layer(self, node: NodeProto) -> Iterator[NodeProto]:
        name, x, y = node.input[1], node.input[0], node.output[0]
        weights = self.weights[name]
        turned = node.op_type == "Gemm" and attribute(node, "transB") == 1
        packed = weights.packed()
        stored = self._constant(f"{name}.q", packed.T if turned else packed)
        if weights.precision is Precision.INT4:
            yield helper.make_node("Cast", [stored], [f"{name}.q8"], to=TensorProto.INT8)
            stored = f"{name}.q8"
        kernel = helper.make_node(
            KERNELS[node.op_type], [f"{x}.q", stored, f"{x}.zero"], [f"{y}.sum"], name=node.name
        )
        if node.op_type == "Conv":
            kernel.attribute.extend(node.attribute)
        yield kernel
        yield helper.make_node("Cast", [f"{y}.sum"], [f"{y}.float"], to=TensorProto.FLOAT)
        shape = (-1, *[1] * (packed.ndim - 2)) if node.op_type == "Conv" else (-1,)
        scale = self._constant(f"{name}.scale", weights.scale.reshape(shape))
        yield helper.make_node("Mul", [f"{x}.scale", scale], [f"{y}.unit"])
        biased = node.op_type != "MatMul" and len(node.input) > 2 and node.input[2] != ""
        scaled = f"{y}.scaled" if biased else y
        yield helper.make_node("Mul", [f"{y}.float", f"{y}.unit"], [scaled])
        if biased:
            bias = self._constant(f"{y}.bias", self.values[node.input[2]].reshape(shape))
            yield helper.make_node("Add", [scaled, bias], [y])

    def _constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.values:
            self.values[name] = value
            self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name
