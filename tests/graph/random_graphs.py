"""Random small networks in ONNX, as exporters and people write them.

Operators of the field with weights that keep numbers near 1, shared weights, inner outputs, odd
names, absent optionals, subgraphs, fixed and free shapes, opset 7 to 24. Everything follows from
the seed.
"""

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSETS = (*range(7, 25), *(13, 17, 18, 19, 20, 21) * 4)
ODD_NAMES = (
    "x", "y", "a", "b", "0", "1", "2", "10", "z", "input.dq", "4.w", "net/conv:0", "größe",
    "層", "input.q", "1.scale", "t", "tt1", "", "weight", "a b", "c.gate", "3.pooled", "x_", "é.w",
)  # fmt: skip
BATCH = 8


@dataclass(frozen=True)
class RandomGraph:
    """A network with inputs for it, shape (BATCH, ...)."""

    model: ModelProto
    examples: np.ndarray

    @property
    def content(self) -> bytes:
        return self.model.SerializeToString()

    @property
    def portions(self) -> list[np.ndarray]:
        """The examples as many at a time as the network takes."""
        batch = self.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or BATCH
        return [self.examples[i : i + batch] for i in range(0, BATCH, batch)]


def random_graph(seed: int) -> RandomGraph:
    return _Builder(np.random.default_rng(seed)).graph()


class _Builder:
    """Grows a network operator by operator; shapes are those of one example, batch first."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.opset = int(rng.choice(OPSETS))
        self.batch = int(rng.choice([0, 0, 0, 0, 1, 2, 4]))  # 0 is free
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.constant_nodes: list[NodeProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {}  # without the batch
        self.alive: list[str] = []
        self.odd = [str(n) for n in rng.permutation([n for n in ODD_NAMES if n])]
        self.names: set[str] = set()

    # -- names, constants, nodes

    def name(self, stem: str = "t") -> str:
        if self.odd and self.rng.random() < 0.15:
            found = self.odd.pop()
        else:
            found = f"{stem}{len(self.names)}"
        while found in self.names:
            found += "'"
        self.names.add(found)
        return found

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, *items):
        return items[int(self.rng.integers(len(items)))]

    def constant(self, value: np.ndarray, stem: str = "c") -> str:
        value = np.asarray(value)
        name = self.name(stem)
        if self.opset >= 9 and self.chance(0.1):
            self.constant_nodes.append(
                helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))
            )
        else:
            self.constants[name] = value
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64), "i")

    def weight(self, *shape: int, fan_in: int) -> str:
        """Weights that keep the size of numbers; sometimes those of a layer before."""
        if self.chance(0.15):
            same = [n for n, v in self.constants.items() if v.shape == shape and v.dtype == "f4"]
            if same:
                return same[0]
        value = self.rng.normal(size=shape) / np.sqrt(fan_in)
        if self.chance(0.06):
            value[int(self.rng.integers(shape[0]))] = 0
        if self.chance(0.05):
            value[int(self.rng.integers(shape[0]))] *= 1e-9
        return self.constant(value.astype(np.float32), "w")

    def vector(self, n: int, *, around: float = 0.0, spread: float = 0.3) -> str:
        return self.constant(self.rng.normal(around, spread, n).astype(np.float32), "v")

    def bias(self, n: int) -> list[str]:
        kind = self.rng.random()
        if kind < 0.3:
            return []
        if kind < 0.33:
            return [self.constant(np.full(n, -40, np.float32), "dead")]
        return [self.vector(n)]

    def node(self, kind: str, inputs: list[str], shape: tuple[int, ...], **attributes) -> str:
        name = self.name()
        self.nodes.append(helper.make_node(kind, inputs, [name], self.pick("", name), **attributes))
        return self.put(name, shape)

    def put(self, name: str, shape: tuple[int, ...]) -> str:
        self.shapes[name] = tuple(shape)
        self.alive.append(name)
        return name

    # -- the whole

    def graph(self) -> RandomGraph:
        shape = self.pick((3, 8, 8), (4, 6, 6), (2, 9, 7), (3, 16), (4, 12), (6, 8), (12,), (8, 6))
        source = self.name("input")
        self.put(source, shape)
        current = source
        for _ in range(int(self.rng.integers(2, 11))):
            current = self.step(current)
        outputs = [self.ended(current)]
        for name in self.alive:
            if name not in (source, *outputs) and self.chance(0.06):
                outputs.append(name)
        free = "N" if not self.batch else self.batch
        inner = [self.pick(size, size, size, f"d{i}") for i, size in enumerate(shape)]
        fixed = any(node.op_type == "Reshape" for node in self.nodes) or len(shape) < 3
        if not fixed and self.chance(0.3):
            given = (free, shape[0], *inner[1:])
        else:
            given = (free, *shape)
        declared = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, (free, *sizes))
            for name in outputs
            for sizes in [self.pick(self.shapes[name], (None,) * len(self.shapes[name]))]
        ]
        graph = helper.make_graph(
            [*self.constant_nodes, *self.nodes],
            "random",
            [helper.make_tensor_value_info(source, TensorProto.FLOAT, given)],
            declared,
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        examples = self.rng.normal(size=(BATCH, *shape)).astype(np.float32)
        return RandomGraph(model, examples)

    def ended(self, x: str) -> str:
        """A head on what was computed, so that the network ends as classifiers do."""
        if self.chance(0.2):
            return x
        shape = self.shapes[x]
        if len(shape) > 1:
            wide = np.prod(shape) > 600  # GPTQ takes minutes for thousands of inputs
            x = self.flattened(self.pooled(x) if wide or self.chance(0.6) else x)
        return self.dense(x)

    def step(self, x: str) -> str:
        rank = len(self.shapes[x])
        if rank == 3:
            steps = (
                self.conv, self.conv, self.conv, self.depthwise, self.transposed_conv, self.norm,
                self.activation, self.activation, self.pool, self.pad, self.resize, self.joined,
                self.residual, self.gated, self.arithmetic, self.branch, self.mean, self.reordered,
                self.product,
            )  # fmt: skip
        elif rank == 2:
            steps = (
                self.conv, self.conv, self.depthwise, self.norm, self.activation, self.pool,
                self.joined, self.residual, self.gated, self.arithmetic, self.branch, self.mean,
                self.product, self.product, self.layer_norm, self.rms_norm, self.attention,
                self.recurrent, self.reordered, self.pad, self.stack,
            )  # fmt: skip
        else:
            steps = (
                self.dense, self.dense, self.activation, self.arithmetic, self.branch,
                self.residual, self.joined, self.layer_norm, self.product, self.norm,
            )  # fmt: skip
        return self.pick(*steps)(x)

    # -- layers

    def conv(self, x: str) -> str:
        channels, *space = self.shapes[x]
        kernel = [int(self.pick(1, 1, 3, 3, 2)) for _ in space]
        if any(k > n for k, n in zip(kernel, space, strict=True)):
            kernel = [1] * len(space)
        groups = self.pick(1, 1, 1, *[g for g in (2, channels) if channels % g == 0])
        out = groups * int(self.rng.integers(1, max(2, 12 // groups)))
        return self._conv(x, out, kernel, groups)

    def depthwise(self, x: str) -> str:
        """An inverted residual with 34 to 40 channels now and then."""
        channels, *space = self.shapes[x]
        if self.chance(0.4):
            x = self.activation(self._conv(x, int(self.pick(34, 36, 40)), [1] * len(space), 1))
            channels, *space = self.shapes[x]
        kernel = [3 if n >= 3 else 1 for n in space]
        return self._conv(x, channels, kernel, channels)

    def _conv(self, x: str, out: int, kernel: list[int], groups: int) -> str:
        channels, *space = self.shapes[x]
        stride = int(self.pick(1, 1, 1, 2))
        dilation = int(self.pick(1, 1, 1, 2)) if min(space) >= 5 else 1
        reach = [(k - 1) * dilation + 1 for k in kernel]
        attributes: dict = {"strides": [stride] * len(space), "dilations": [dilation] * len(space)}
        if self.chance(0.15) and dilation == 1:
            attributes["auto_pad"] = self.pick("SAME_UPPER", "SAME_LOWER")
            size = [-(-n // stride) for n in space]
        else:
            tight = any(r > n for r, n in zip(reach, space, strict=True))
            pads = [r // 2 for r in reach] if tight or self.chance(0.7) else [0] * len(space)
            attributes["pads"] = [*pads, *pads]
            room = [n + 2 * p - r for n, p, r in zip(space, pads, reach, strict=True)]
            size = [n // stride + 1 for n in room]
        fan_in = channels // groups * int(np.prod(kernel))
        weight = self.weight(out, channels // groups, *kernel, fan_in=fan_in)
        more = self.bias(out) or self.pick([], [])
        if groups > 1:
            attributes["group"] = groups
        return self.node("Conv", [x, weight, *more], (out, *size), **attributes)

    def transposed_conv(self, x: str) -> str:
        channels, *space = self.shapes[x]
        if max(space) > 12:
            return self.activation(x)
        out = int(self.rng.integers(1, 8))
        weight = self.weight(channels, out, *[2] * len(space), fan_in=channels)
        size = [2 * n for n in space]
        return self.node(
            "ConvTranspose", [x, weight, *self.bias(out)], (out, *size), strides=[2] * len(space)
        )

    def dense(self, x: str) -> str:
        (inputs,) = self.shapes[x]
        out = int(self.rng.integers(2, 12))
        turned = self.chance(0.5)
        weight = self.weight(*((out, inputs) if turned else (inputs, out)), fan_in=inputs)
        if self.opset < 11:
            more = [self.vector(out)]
        else:
            more = self.pick(self.bias(out), [""], [self.constant(np.float32([[0.3]]))])
            if self.batch > 1 and self.chance(0.4):
                shape = self.pick((self.batch, 1), (self.batch, out))
                more = [self.constant(self.rng.normal(size=shape).astype(np.float32))]
        attributes = {"transB": 1} if turned else {}
        if self.chance(0.1):
            attributes["alpha"] = 0.5
        return self.node("Gemm", [x, weight, *more], (out,), **attributes)

    def product(self, x: str) -> str:
        *lead, inputs = self.shapes[x]
        out = int(self.rng.integers(2, 10))
        weight = self.weight(inputs, out, fan_in=inputs)
        y = self.node("MatMul", [x, weight], (*lead, out))
        if self.chance(0.6):
            y = self.node("Add", self.pick([y, self.vector(out)]), (*lead, out))
        return y

    def stack(self, x: str) -> str:
        """A product with one matrix for each of the first dimension."""
        rows, inputs = self.shapes[x]
        lent = self.moved(x, "Unsqueeze", [2], (rows, 1, inputs))
        out = int(self.rng.integers(2, 8))
        weight = self.weight(rows, inputs, out, fan_in=inputs)
        y = self.node("MatMul", [lent, weight], (rows, 1, out))
        return self.moved(y, "Squeeze", [2], (rows, out))

    def recurrent(self, x: str) -> str:
        steps, inputs = self.shapes[x]
        kind, gates = self.pick(("LSTM", 4), ("GRU", 3))
        hidden = int(self.rng.integers(2, 6))
        first = self.node("Transpose", [x], (steps, inputs), perm=[1, 0, 2])
        self.alive.pop()  # its first dimension is not the batch
        w = self.weight(1, gates * hidden, inputs, fan_in=inputs)
        r = self.weight(1, gates * hidden, hidden, fan_in=hidden)
        b = self.constant(self.rng.normal(0, 0.2, (1, 2 * gates * hidden)).astype(np.float32))
        name = self.name()
        outputs = self.pick([name], [name, ""], [name, self.name("last")])
        inputs = [first, w, r, *self.pick([], [b], [""])]
        self.nodes.append(helper.make_node(kind, inputs, outputs, hidden_size=hidden))
        y = self.moved(name, "Squeeze", [1], (steps, hidden))
        self.alive.pop()
        return self.node("Transpose", [y], (steps, hidden), perm=[1, 0, 2])

    def attention(self, x: str) -> str:
        """Scaled products of two activations."""
        steps, width = self.shapes[x]
        q, k, v = (
            self.node("MatMul", [x, self.weight(width, width, fan_in=width)], (steps, width))
            for _ in range(3)
        )
        turned = self.node("Transpose", [k], (width, steps), perm=[0, 2, 1])
        scores = self.node("MatMul", [q, turned], (steps, steps))
        scale = self.constant(np.float32(1 / np.sqrt(width)))
        scores = self.node("Mul", [scores, scale], (steps, steps))
        share = self.node("Softmax", [scores], (steps, steps), axis=2)
        return self.node("MatMul", [share, v], (steps, width))

    # -- norms, activations

    def norm(self, x: str) -> str:
        channels = self.shapes[x][0]
        if len(self.shapes[x]) > 1 and self.chance(0.2):
            scale, bias = self.vector(channels, around=1), self.vector(channels)
            inputs = [x, scale, bias]
            return self.node("InstanceNormalization", inputs, self.shapes[x], epsilon=0.01)
        variance = self.constant(self.rng.uniform(0.5, 2, channels).astype(np.float32))
        parts = [self.vector(channels, around=1), self.vector(channels), self.vector(channels)]
        return self.node("BatchNormalization", [x, *parts, variance], self.shapes[x])

    def layer_norm(self, x: str) -> str:
        width = self.shapes[x][-1]
        if self.opset < 17:
            return self.rms_norm(x)
        # Not "": ONNX Runtime 1.32 ends the process where an absent bias is written out here.
        more = self.pick([self.vector(width)], [])
        inputs = [x, self.vector(width, around=1), *more]
        return self.node("LayerNormalization", inputs, self.shapes[x], axis=-1, epsilon=0.01)

    def rms_norm(self, x: str) -> str:
        """By hand, from parts that engines fuse."""
        shape = self.shapes[x]
        one = (*shape[:-1], 1)
        square = self.node("Pow", [x, self.constant(np.float32(2))], shape)
        mean = self.reduced("ReduceMean", square, [len(shape)], one, keepdims=1)
        safe = self.node("Add", [mean, self.constant(np.float32(0.05))], one)
        root = self.node("Sqrt", [safe], one)
        y = self.node("Div", [x, root], shape)
        return self.node("Mul", [y, self.vector(shape[-1], around=1)], shape)

    def activation(self, x: str) -> str:
        shape = self.shapes[x]
        kind = self.pick(
            "Relu", "Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "HardSigmoid", "silu",
            "hard", "gelu", "PRelu", "HardSwish", "Softplus", "Identity", "Dropout",
        )  # fmt: skip
        match kind:
            case "Clip":
                return self.clip(x)
            case "silu" | "hard":
                gate = self.node("Sigmoid" if kind == "silu" else "HardSigmoid", [x], shape)
                return self.node("Mul", self.pick([x, gate], [gate, x]), shape)
            case "gelu" if self.opset >= 20 and self.chance(0.5):
                return self.node("Gelu", [x], shape)
            case "gelu" if self.opset >= 9:
                part = self.node("Div", [x, self.constant(np.float32(np.sqrt(2)))], shape)
                erf = self.node("Erf", [part], shape)
                shifted = self.node("Add", [erf, self.constant(np.float32(1))], shape)
                y = self.node("Mul", [x, shifted], shape)
                return self.node("Mul", [y, self.constant(np.float32(0.5))], shape)
            case "gelu":
                return self.node("Tanh", [x], shape)
            case "PRelu":
                slope = self.rng.uniform(0.05, 0.4, (shape[0], *[1] * (len(shape) - 1)))
                return self.node("PRelu", [x, self.constant(slope.astype(np.float32))], shape)
            case "HardSwish" if self.opset < 14:
                return self.node("Relu", [x], shape)
            case "HardSigmoid":
                alpha, beta = self.pick((1 / 6, 0.5), (0.2, 0.5), (0.3, 0.1))
                return self.node(kind, [x], shape, alpha=alpha, beta=beta)
            case _:
                return self.node(kind, [x], shape)

    def clip(self, x: str) -> str:
        low, high = self.pick(
            (0.0, 6.0), (0.0, 1.0), (-1.0, 1.0), (0.1, 2.0), (None, 1.0), (-0.5, None)
        )
        if self.opset < 11:
            given = {"min": low, "max": high}
            bounds = {key: value for key, value in given.items() if value is not None}
            return self.node("Clip", [x], self.shapes[x], **bounds)
        names = ["" if end is None else self.constant(np.float32(end)) for end in (low, high)]
        return self.node("Clip", [x, *names], self.shapes[x])

    # -- arithmetic, joins, control

    def arithmetic(self, x: str) -> str:
        shape = self.shapes[x]
        other = self.pick((), (1,), (shape[0], *[1] * (len(shape) - 1)), shape[-1:])
        value = self.constant(self.rng.uniform(0.5, 1.5, other).astype(np.float32))
        kind = self.pick("Add", "Mul", "Sub", "Div", "Mul", "Add")
        pair = [x, value] if kind in ("Sub", "Div") or self.chance(0.7) else [value, x]
        return self.node(kind, pair, shape)

    def _alike(self, x: str) -> list[str]:
        return [name for name in self.alive if self.shapes[name] == self.shapes[x]]

    def residual(self, x: str) -> str:
        other = self.pick(*self._alike(x))
        kind = self.pick("Add", "Add", "Mul", "Sub")
        return self.node(kind, self.pick([x, other], [other, x]), self.shapes[x])

    def joined(self, x: str) -> str:
        shape = self.shapes[x]
        others = [self.pick(*self._alike(x)) for _ in range(int(self.pick(1, 1, 2)))]
        axis = int(self.rng.integers(len(shape)))
        if shape[axis] > 20:
            return self.activation(x)
        size = tuple(n * (len(others) + 1) if i == axis else n for i, n in enumerate(shape))
        axis = self.pick(axis + 1, axis - len(shape))
        return self.node("Concat", [x, *others], size, axis=axis)

    def gated(self, x: str) -> str:
        """Squeeze-excite, or a gate of one channel for all."""
        channels, *space = self.shapes[x]
        if self.chance(0.6):
            given = self.pooled_kept(x)
            out, size = channels, [1] * len(space)
        else:
            given, out, size = x, 1, space
        weight = self.weight(out, channels, *[1] * len(space), fan_in=channels)
        before = self.node("Conv", [given, weight, *self.bias(out)], (out, *size))
        kind, more = self.pick(("Sigmoid", {}), ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}))
        gate = self.node(kind, [before], (out, *size), **more)
        return self.node("Mul", self.pick([x, gate], [gate, x]), self.shapes[x])

    def branch(self, x: str) -> str:
        """An If whose branches read the outer graph and hold a constant of their own."""
        shape = self.shapes[x]
        if self.nodes and self.nodes[-1].op_type in ("Add", "Mul", "Div", "LayerNormalization"):
            # ONNX Runtime 1.32 ends the process where it fuses a norm that only a subgraph reads.
            x = self.node("Neg", [x], shape)
        total = self.name("sum")
        source = next(iter(self.shapes))  # a sum of the input is far enough from any limit
        self.nodes.append(helper.make_node("ReduceSum", [source], [total], keepdims=0))
        condition = self.name("cond")
        limit = self.constant(np.float32(self.pick(-1e9, 1e9, 0.0)))
        kind = "Greater" if self.opset >= 9 else "Less"
        self.nodes.append(helper.make_node(kind, [total, limit], [condition]))
        shared = self.constant(self.rng.uniform(0.5, 1.5, shape[-1]).astype(np.float32))
        bodies = {}
        for key, inner in (("then_branch", "Mul"), ("else_branch", "Add")):
            out, own, middle = self.name(), self.name(), self.name()
            nodes = [
                helper.make_node(inner, [x, self.pick(shared, own)], [middle]),
                helper.make_node(self.pick("Tanh", "Relu"), [middle], [out]),
            ]
            value = self.rng.uniform(0.5, 1, shape[-1]).astype(np.float32)
            free = [None] * (len(shape) + 1)
            bodies[key] = helper.make_graph(
                nodes,
                key,
                [],
                [helper.make_tensor_value_info(out, TensorProto.FLOAT, free)],
                [numpy_helper.from_array(value, own)],
            )
        return self.node("If", [condition], shape, **bodies)

    # -- space, shape

    def pool(self, x: str) -> str:
        channels, *space = self.shapes[x]
        if min(space) < 2:
            return self.activation(x)
        if self.chance(0.25):
            return self.pooled_kept(x)
        kind = self.pick("MaxPool", "AveragePool")
        kernel, stride = self.pick((2, 2), (2, 1), (3, 1)) if min(space) >= 3 else (2, 1)
        pad = 1 if kernel == 3 else 0
        more = {}
        if kind == "AveragePool" and pad:
            more["count_include_pad"] = self.pick(0, 1)
        size = [(n + 2 * pad - kernel) // stride + 1 for n in space]
        n = len(space)
        return self.node(
            kind, [x], (channels, *size), kernel_shape=[kernel] * n, strides=[stride] * n,
            pads=[pad] * 2 * n, **more,
        )  # fmt: skip

    def pooled_kept(self, x: str) -> str:
        channels, *space = self.shapes[x]
        shape = (channels, *[1] * len(space))
        if self.chance(0.5):
            return self.node("GlobalAveragePool", [x], shape)
        return self.reduced("ReduceMean", x, list(range(2, 2 + len(space))), shape, keepdims=1)

    def pooled(self, x: str) -> str:
        """Global pooling in one of the forms that exporters write."""
        channels, *space = self.shapes[x]
        form = self.pick("keep", "drop", "max", "line")
        if form == "drop":
            axes = list(range(2, 2 + len(space)))
            return self.reduced("ReduceMean", x, axes, (channels,), keepdims=0)
        if form == "max":
            return self.node("GlobalMaxPool", [x], (channels, *[1] * len(space)))
        if form == "line" and len(space) == 1:
            lent = self.moved(x, "Unsqueeze", [2], (channels, 1, *space))
            mean = self.reduced("ReduceMean", lent, [-1, -2], (channels, 1, 1), keepdims=1)
            return self.moved(mean, "Squeeze", [2], (channels, 1))
        return self.pooled_kept(x)

    def mean(self, x: str) -> str:
        shape = self.shapes[x]
        axis = int(self.rng.integers(len(shape)))
        if self.chance(0.3) and len(shape) == 3:
            return self.pooled_kept(x)
        reduced = tuple(1 if i == axis else n for i, n in enumerate(shape))
        kind = self.pick("ReduceMean", "ReduceMean", "ReduceMax")
        mean = self.reduced(kind, x, [axis + 1], reduced, keepdims=1)
        return self.node("Sub", [x, mean], shape)

    def reduced(
        self, kind: str, x: str, axes: list[int], shape: tuple[int, ...], keepdims: int
    ) -> str:
        if self.opset >= 18:
            return self.node(kind, [x, self.ints(*axes)], shape, keepdims=keepdims)
        axes = axes if self.opset >= 11 else [axis % (len(self.shapes[x]) + 1) for axis in axes]
        return self.node(kind, [x], shape, axes=axes, keepdims=keepdims)

    def moved(self, x: str, kind: str, axes: list[int], shape: tuple[int, ...]) -> str:
        if self.opset >= 13:
            return self.node(kind, [x, self.ints(*axes)], shape)
        return self.node(kind, [x], shape, axes=axes)

    def flattened(self, x: str) -> str:
        size = int(np.prod(self.shapes[x]))
        if self.chance(0.5):
            return self.node("Flatten", [x], (size,))
        return self.node("Reshape", [x, self.ints(self.pick(0, self.batch or 0), size)], (size,))

    def reordered(self, x: str) -> str:
        """Another order or grouping of the axes, and of a picture a sequence."""
        shape = self.shapes[x]
        if len(shape) == 2:
            return self.node("Transpose", [x], shape[::-1], perm=[0, 2, 1])
        channels, height, width = shape
        if self.chance(0.5):
            return self.node("Transpose", [x], (channels, width, height), perm=[0, 1, 3, 2])
        y = self.node("Reshape", [x, self.ints(0, 0, height * width)], (channels, height * width))
        return self.node("Transpose", [y], (height * width, channels), perm=[0, 2, 1])

    def pad(self, x: str) -> str:
        channels, *space = self.shapes[x]
        if max(space) > 14:
            return self.activation(x)
        before = [0, 0] + [int(self.pick(0, 1)) for _ in space]
        after = [0, 0] + [int(self.pick(0, 1)) for _ in space]
        whole = zip(space, before[2:], after[2:], strict=True)
        shape = (channels, *[n + a + b for n, a, b in whole])
        mode = self.pick("constant", "edge", "reflect") if min(space) > 1 else "constant"
        if self.opset >= 11:
            more = self.pick([], [self.constant(np.float32(0.5))]) if mode == "constant" else []
            return self.node("Pad", [x, self.ints(*before, *after), *more], shape, mode=mode)
        return self.node("Pad", [x], shape, pads=[*before, *after], mode=mode)

    def resize(self, x: str) -> str:
        channels, *space = self.shapes[x]
        if self.opset < 13 or max(space) > 10:
            return self.activation(x)
        scales = self.constant(np.array([1, 1, *[2] * len(space)], np.float32))
        shape = (channels, *[2 * n for n in space])
        if self.chance(0.5):
            return self.node(
                "Resize", [x, "", scales], shape, mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            )  # fmt: skip
        return self.node("Resize", [x, "", scales], shape, mode="linear")
