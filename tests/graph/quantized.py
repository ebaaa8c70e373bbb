"""Small INT8 graphs written by hand, Q/DQ pair by pair."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class Sketch:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self, channels=3, size=6, seed=0):
        self.nodes, self.constants = [], {}
        self.rng = np.random.default_rng(seed)
        self.shape = ("N", channels, size, size)

    def constant(self, name, value):
        self.constants[name] = np.asarray(value)
        return name

    def node(self, kind, *inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def grid(self, name, low, high, kind=np.uint8):
        """Quantize a tensor to [low, high] and back."""
        scale = np.float32((high - low) / 255)
        zero = np.rint(-low / scale) + (-128 if kind is np.int8 else 0)
        parameters = (
            self.constant(f"{name}.scale", scale), self.constant(f"{name}.zero", kind(zero))
        )  # fmt: skip
        return self.node(
            "DequantizeLinear", self.node("QuantizeLinear", name, *parameters), *parameters
        )

    def conv(self, name, inputs, outputs, *, kernel=1, group=1, bias=True):
        """A convolution with INT8 weights; ``inputs`` are channels."""
        layer = f"c{len(self.nodes)}"
        shape = (outputs, inputs // group, kernel, kernel)
        weights = self.node(
            "DequantizeLinear",
            self.constant(f"{layer}.q", self.rng.integers(-127, 128, shape, dtype=np.int8)),
            self.constant(f"{layer}.s", self.rng.uniform(0.002, 0.01, outputs).astype(np.float32)),
            axis=0,
        )
        floats = self.rng.normal(size=outputs).astype(np.float32)
        more = [self.constant(f"{layer}.b", floats)] if bias else []
        pads = [kernel // 2] * 4
        return self.node("Conv", name, weights, *more, group=group, pads=pads, name=layer)

    def model(self, result, channels):
        """The finished model: ``result`` becomes the output ``logits``."""
        self.nodes.append(helper.make_node("Identity", [result], ["logits"]))
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, self.shape)],
            [
                helper.make_tensor_value_info(
                    "logits", TensorProto.FLOAT, ("N", channels, None, None)
                )
            ],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", 20)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def hard_swish(reach, *, whole=False):
    """Conv, HardSwish, Conv: all on grids; the first one's results reach from -reach to reach.

    ``whole``: as one operator.
    """
    sketch = Sketch()
    x = sketch.grid(sketch.conv(sketch.grid("input", -3, 3), 3, 16), -reach, reach)
    if whole:
        y = sketch.node("HardSwish", x)
    else:
        gate = sketch.grid(sketch.node("HardSigmoid", x, alpha=1 / 6, beta=0.5), 0, 1)
        y = sketch.node("Mul", x, gate)
    y = sketch.grid(y, -0.375, reach)
    return sketch.model(sketch.grid(sketch.conv(y, 16, 8), -reach, reach), 8)


def squeeze_excite(*, bias=True, gate="HardSigmoid"):
    """A feature map times the gate that a convolution of its mean gives."""
    sketch = Sketch()
    x = sketch.grid(sketch.conv(sketch.grid("input", -3, 3), 3, 16), -4, 4)
    mean = sketch.grid(sketch.node("GlobalAveragePool", x), -2, 2)
    before = sketch.grid(sketch.conv(mean, 16, 16, bias=bias), -4, 4)
    attributes = {"alpha": 1 / 6, "beta": 0.5} if gate == "HardSigmoid" else {}
    scale = sketch.grid(sketch.node(gate, before, **attributes), 0, 1)
    return sketch.model(sketch.grid(sketch.node("Mul", x, scale), -4, 4), 16)


def silu():
    """Conv, SiLU, Conv."""
    sketch = Sketch()
    x = sketch.grid(sketch.conv(sketch.grid("input", -3, 3), 3, 16), -4, 4)
    gate = sketch.grid(sketch.node("Sigmoid", x), 0, 1)
    y = sketch.grid(sketch.node("Mul", x, gate), -0.3, 4)
    return sketch.model(sketch.grid(sketch.conv(y, 16, 8), -4, 4), 8)


def inverted_residual(channels, *, residual=False, leaves=False):
    """Expand, depthwise with a gate, project, as in MobileNetV3."""
    sketch = Sketch()
    wide = sketch.grid(sketch.conv(sketch.grid("input", -3, 3), 3, channels), -4, 4)
    deep = sketch.grid(sketch.conv(wide, channels, channels, kernel=3, group=channels), 0, 4)
    gate = sketch.grid(sketch.node("GlobalAveragePool", deep), 0, 2)
    gate = sketch.grid(sketch.conv(gate, channels, channels), -1, 1)
    gate = sketch.grid(sketch.node("Sigmoid", gate), 0, 1)
    deep = sketch.grid(sketch.node("Mul", deep, gate), 0, 4)
    if residual:
        deep = sketch.grid(sketch.node("Add", deep, wide), -4, 8)
    if leaves:
        return sketch.model(deep, channels)
    return sketch.model(sketch.grid(sketch.conv(deep, channels, 8), -4, 4), 8)
