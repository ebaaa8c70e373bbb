"""An ONNX file in torch answers as the file does; it can be pruned, trained and exported again."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from optim.compress.pruning.cutting import cut, masked
from optim.compress.pruning.find_groups import channel_groups
from optim.errors import RefusedError
from optim.graph.export import export_onnx
from optim.graph.to_torch.convert import check_agreement, trainable
from tests.graph.running import answers


def random(*shape: int, seed: int = 0, scale: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def file_of(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    shape: tuple[int | str, ...],
    *,
    opset: int = 18,
) -> bytes:
    """A file from ``input`` to ``output`` whose output shape is not declared."""
    graph = helper.make_graph(
        nodes,
        "file",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info("output")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", opset)])
    return model.SerializeToString()


def agrees(content: bytes, shape: tuple[int, ...], seed: int = 5) -> None:
    """The converted network answers as ONNX's own reference does, each example alone."""
    network = trainable(content, shape)
    reference = ReferenceEvaluator(onnx.load_model_from_string(content))
    inputs = random(3, *shape, seed=seed, scale=1.0)
    check_agreement(network, lambda x: reference.run(None, {"input": x})[0], inputs)


N = helper.make_node


# --- networks of our own come back ---------------------------------------------------------------
class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.a = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 16, 1))
        self.gate = nn.Sequential(nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1), nn.Sigmoid())
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.hardswish(self.stem(x))
        y = nn.functional.silu(self.a(x))
        y = y * self.gate(y.mean((2, 3), keepdim=True))
        return self.head((x + y).mean((2, 3)))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.qkv, self.proj = nn.Linear(16, 48), nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, t, 3, 4, c // 4).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v
        x = x + self.proj(mixed.transpose(1, 2).reshape(n, t, c))
        return self.head(nn.functional.gelu(x).mean(1))


NETWORKS = {
    "plain": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU6(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 5)
    ), (3, 8, 8)),
    "residual": (Residual, (3, 12, 12)),
    "attention": (Attention, (6, 16)),
    "series": (lambda: nn.Sequential(
        nn.Conv1d(6, 16, 5, padding=2), nn.LeakyReLU(), nn.AvgPool1d(4), nn.Conv1d(16, 8, 3),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4),
    ), (6, 32)),
    "bigger": (lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ConvTranspose2d(4, 4, 2, stride=2), nn.PReLU(4), nn.Conv2d(4, 3, 3, stride=4),
    ), (2, 6, 6)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_an_exported_network_comes_back_and_is_exported_again(name: str) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    content = export_onnx(make().eval(), shape)
    network = trainable(content)
    inputs = random(3, *shape, scale=1.0)
    assert check_agreement(network, lambda x: answers(content, x), inputs) > 90
    again = export_onnx(network, shape)
    np.testing.assert_allclose(answers(again, inputs), answers(content, inputs), atol=1e-5)


def test_layers_keep_the_names_that_the_file_gives_them() -> None:
    content = export_onnx(Residual().eval(), (3, 12, 12))
    layers = {
        name for name, module in trainable(content).named_modules() if hasattr(module, "weight")
    }
    assert {"stem", "a.0", "a.1", "gate.0", "gate.2", "head"} == layers


def test_activations_are_modules_that_can_be_replaced() -> None:
    network = trainable(export_onnx(Residual().eval(), (3, 12, 12)))
    kinds = [type(module) for module in network.modules()]
    assert nn.Hardswish in kinds
    assert nn.SiLU in kinds
    assert kinds.count(nn.Sigmoid) == 1


@pytest.mark.parametrize("name", ["plain", "residual", "series"])
def test_what_comes_back_is_pruned_as_its_masked_twin(name: str) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(1)
    network = trainable(export_onnx(make().eval(), shape))
    groups = channel_groups(network, shape)
    free = [group for group in groups if group.prunable]
    assert free
    leaving = {group.name: tuple(range(0, group.units, 2)) for group in free}
    x = torch.randn(2, *shape)
    with torch.no_grad():
        expected, found = masked(network, groups, leaving)(x), cut(network, groups, leaving)(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_it_learns() -> None:
    network = trainable(export_onnx(Residual().eval(), (3, 12, 12))).train()
    x, wanted = torch.randn(8, 3, 12, 12), torch.arange(8) % 5
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(network(x), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


# --- files of other exporters --------------------------------------------------------------------
def test_shapes_that_a_file_computes_become_numbers_with_a_free_batch() -> None:
    nodes = [
        N("Conv", ["input", "w"], ["c"], pads=[1, 1, 1, 1]),
        N("Shape", ["c"], ["s"]),
        N("Gather", ["s", "zero"], ["n"]),
        N("Unsqueeze", ["n", "axis"], ["n1"]),
        N("Concat", ["n1", "rest"], ["target"], axis=0),
        N("Reshape", ["c", "target"], ["r"]),
        N("ReduceMean", ["r", "last"], ["output"], keepdims=0),
    ]
    constants = {
        "w": random(4, 2, 3, 3), "zero": np.int64(0), "axis": np.array([0]),
        "rest": np.array([4, -1]), "last": np.array([2]),
    }  # fmt: skip
    agrees(file_of(nodes, constants, ("N", 2, 6, 6)), (2, 6, 6))


def test_a_file_for_one_example_at_a_time_takes_many() -> None:
    nodes = [
        N(
            "Conv",
            ["input", "w"],
            ["c"],
            kernel_shape=[3, 3],
            auto_pad="SAME_UPPER",
            strides=[2, 2],
        ),
        N("Reshape", ["c", "flat"], ["f"]),
        N("MatMul", ["f", "m"], ["p"]),
        N("Add", ["p", "b"], ["output"]),
    ]
    constants = {
        "w": random(4, 2, 3, 3), "flat": np.array([1, 36]), "m": random(36, 5), "b": random(5),
    }  # fmt: skip
    content = file_of(nodes, constants, (1, 2, 5, 6))
    agrees(content, (2, 5, 6))
    layer = dict(trainable(content).named_modules())["matmul"]
    assert isinstance(layer, nn.Linear)
    assert layer.bias is not None


@pytest.mark.parametrize(
    ("node", "constants", "opset"),
    [
        (N("Clip", ["input"], ["output"], min=0.0, max=6.0), {}, 10),
        (N("Clip", ["input", "", "high"], ["output"]), {"high": np.float32(0.5)}, 18),
        (N("HardSigmoid", ["input"], ["output"], alpha=0.3, beta=0.4), {}, 18),
        (N("Softmax", ["input"], ["output"], axis=1), {}, 18),
        (N("ReduceMean", ["input"], ["output"], axes=[2, 3], keepdims=0), {}, 13),
        (N("ReduceL2", ["input", "axes"], ["output"]), {"axes": np.array([1])}, 18),
        (N("Pow", ["input", "two"], ["output"]), {"two": np.float32(2)}, 18),
        (N("Max", ["low", "input"], ["output"]), {"low": np.float32(0.1)}, 18),
        (N("Slice", ["input", "from", "to", "axes"], ["output"]),
         {"from": np.array([1, -2]), "to": np.array([3, 2**62]), "axes": np.array([1, 3])}, 18),
        (N("Gather", ["input", "rows"], ["output"], axis=1), {"rows": np.array([2, 0, 0])}, 18),
        (N("Pad", ["input", "pads"], ["output"]), {"pads": np.array([0, 0, 1, 0, 0, 0, 0, 2])}, 18),
        (N("Pad", ["input", "pads"], ["output"], mode="reflect"),
         {"pads": np.array([0, 0, 1, 1, 0, 0, 2, 0])}, 18),
        (N("Transpose", ["input"], ["output"], perm=[0, 2, 3, 1]), {}, 18),
        (N("AveragePool", ["input"], ["output"], kernel_shape=[3, 3], pads=[0, 0, 1, 1]), {}, 18),
        (N("AveragePool", ["input"], ["output"], kernel_shape=[3, 3], pads=[1, 1, 1, 1],
           count_include_pad=1), {}, 18),
        (N("MaxPool", ["input"], ["output"], kernel_shape=[3, 3], pads=[0, 0, 1, 1],
           strides=[2, 2]), {}, 18),
        (N("InstanceNormalization", ["input", "s", "b"], ["output"]),
         {"s": random(4), "b": random(4, seed=1)}, 18),
        (N("BatchNormalization", ["input", "s", "b", "m", "v"], ["output"]),
         {"s": random(4), "b": random(4, seed=1), "m": random(4, seed=2),
          "v": np.abs(random(4, seed=3)) + 0.5}, 18),
        (N("Expand", ["input", "to"], ["output"]), {"to": np.array([1, 4, 6, 6])}, 18),
        (N("Where", ["mask", "input", "input"], ["output"]), {"mask": np.array(True)}, 18),
        (N("Mod", ["input", "one"], ["output"], fmod=1), {"one": np.float32(1)}, 18),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)  # fmt: skip
def test_an_operator_agrees_with_the_reference_or_is_refused_by_name(
    node: onnx.NodeProto, constants: dict[str, np.ndarray], opset: int
) -> None:
    content = file_of([node], constants, ("N", 4, 6, 6), opset=opset)
    if node.op_type in ("Mod", "Where"):
        with pytest.raises(RefusedError, match=node.op_type):
            trainable(content)
    else:
        agrees(content, (4, 6, 6))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers_have_torchs_order_of_gates(kind: str, directions: int) -> None:
    gates = 4 if kind == "LSTM" else 3
    options = {"hidden_size": 5, "direction": "bidirectional" if directions == 2 else "forward"}
    if kind == "GRU":
        options["linear_before_reset"] = 1
    nodes = [
        N("Transpose", ["input"], ["t"], perm=[1, 0, 2]),
        N(kind, ["t", "w", "r", "b"], ["y"], **options),
        N("ReduceMean", ["y", "axes"], ["output"], keepdims=0),
    ]
    constants = {
        "w": random(directions, gates * 5, 3), "r": random(directions, gates * 5, 5, seed=1),
        "b": random(directions, gates * 10, seed=2), "axes": np.array([0, 1]),
    }  # fmt: skip
    content = file_of(nodes, constants, ("N", 7, 3))
    network = trainable(content, (7, 3))
    inputs = random(3, 7, 3, scale=1.0)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    check_agreement(network, lambda x: session.run(None, {"input": x})[0], inputs)


# --- what has no trainable form ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("nodes", "constants", "why"),
    [
        ([N("Conv", ["input", "w"], ["c"]), N("NonZero", ["c"], ["output"])],
         {"w": random(4, 2, 3, 3)}, "NonZero"),
        ([N("ReduceMean", ["input", "axes"], ["output"])], {"axes": np.array([0])},
         "reduces over the examples"),
        ([N("Reshape", ["input", "flat"], ["output"])], {"flat": np.array([-1])},
         "moves examples out of the first axis"),
        ([N("QuantizeLinear", ["input", "s", "z"], ["q"]),
          N("DequantizeLinear", ["q", "s", "z"], ["output"])],
         {"s": np.float32(0.1), "z": np.uint8(3)}, "quantized already"),
        ([N("ConstantOfShape", ["s"], ["k"]), N("ReduceSum", ["k"], ["t"]),
          N("Add", ["input", "t"], ["output"])], {"s": np.array([2**20, 2**20])}, "too large"),
    ],
    ids=["operator", "mean", "reshape", "quantized", "large"],
)  # fmt: skip
def test_what_has_no_trainable_form_is_refused_with_its_reason(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], why: str
) -> None:
    with pytest.raises(RefusedError, match=why):
        trainable(file_of(nodes, constants, ("N", 2, 6, 6)))


def test_a_network_that_answers_otherwise_is_not_offered() -> None:
    network = nn.Linear(4, 3)
    wrong = random(3, 4)
    with pytest.raises(RefusedError, match="dB alone"):
        check_agreement(network, lambda x: x @ wrong.T, random(4, 4, seed=9))
