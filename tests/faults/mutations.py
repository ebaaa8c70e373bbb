"""Files with a few bytes changed, cut out, doubled or moved; the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

SWAPS = (
    b"\xff" * 8,
    b"\0" * 8,
    b"\x80" * 4 + b"\x01",
    b"-1",
    b"nan",
    b"\x1b[31m",
    b"../",
    b"[" * 40,
)


def mutated(content: bytes, seed: int) -> bytes:
    """One to six changes."""
    chance, changed = random.Random(seed), bytearray(content)
    for _ in range(chance.randint(1, 6)):
        if not changed:
            break
        at = chance.randrange(len(changed))
        length = chance.choice((1, 1, 2, 4, 16, 200))
        match chance.randrange(7):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at] = chance.randrange(256)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                swap = chance.choice(SWAPS)
                changed[at : at + len(swap)] = swap
            case 5:
                to = chance.randrange(len(changed))
                changed[to : to + length] = changed[at : at + length]
            case _:
                del changed[at:]
    return bytes(changed)


OPERATORS = (
    "Conv", "Gemm", "MatMul", "Relu", "Add", "Mul", "BatchNormalization", "ReduceMean", "Reshape",
    "Transpose", "QuantizeLinear", "DequantizeLinear", "Constant", "Cast", "Concat", "Identity",
    "GlobalAveragePool", "MatMulInteger", "ConvInteger", "SequenceConstruct", "Nonsense", "",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 7, 255, -(2**31), 2**31, 2**62, 2**63 - 1)


def restructured(content: bytes, seed: int) -> bytes:
    """A model with one to three fields that still parses: other operators, names, sizes, types."""
    import onnx

    chance, model = random.Random(seed), onnx.load_model_from_string(content)
    for _ in range(chance.randint(1, 3)):
        _change(model, chance)
    return bytes(model.SerializeToString())


def _change(model: Any, chance: random.Random) -> None:
    graph = model.graph
    node = chance.choice(graph.node) if graph.node else None
    tensor = chance.choice(graph.initializer) if graph.initializer else None
    values = [*graph.input, *graph.output]
    match chance.randrange(14):
        case 0 if node is not None:
            node.op_type = chance.choice(OPERATORS)
        case 1 if node is not None and node.input:
            node.input[chance.randrange(len(node.input))] = chance.choice(["", "nobody", "output"])
        case 2 if node is not None and node.input:
            del node.input[chance.randrange(len(node.input)) :]
        case 3 if node is not None:
            node.input.append(chance.choice(["", "input", "output"]))
        case 4 if node is not None and node.output:
            del node.output[:]
        case 5 if node is not None and node.attribute:
            item = chance.choice(node.attribute)
            item.i = chance.choice(NUMBERS)
            item.ints[:] = [chance.choice(NUMBERS) for _ in item.ints]
        case 6 if node is not None and node.attribute:
            del node.attribute[chance.randrange(len(node.attribute))]
        case 7 if tensor is not None:
            tensor.dims[:] = [chance.choice(NUMBERS) for _ in range(chance.randrange(4))]
        case 8 if tensor is not None:
            tensor.data_type = chance.choice([0, 1, 2, 3, 7, 8, 9, 10, 11, 16, 22, 9999])
        case 9 if tensor is not None:
            tensor.name = chance.choice(["", "input", "other", "\x1b[31m"])
        case 10 if values:
            kind = chance.choice(values).type.tensor_type
            kind.elem_type = chance.choice([0, 1, 7, 8, 9, 99])
        case 11 if values:
            dims = chance.choice(values).type.tensor_type.shape.dim
            if dims:
                chance.choice(dims).dim_value = chance.choice(NUMBERS)
        case 12 if model.opset_import:
            model.opset_import[0].version = chance.choice([0, 1, 6, 7, 11, 13, 18, 24, 99])
        case _:
            del chance.choice([graph.output, graph.input, model.opset_import, graph.node])[-1:]
