"""Conversion of an ONNX file to a torch network of modules, operator by operator.

    ONNX nodes --fold what is constant--> layers, activations, functions --> fx.GraphModule

Layers keep the names that the file gives them, so that a recipe can name them. What depends on the
batch size stays free, also where the file was exported for one example at a time. The network is
offered only if its answers are those of the file.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, numpy_helper
from torch import fx, nn

from optim.errors import Refusal, RefusedError
from optim.graph.onnx_file import consumers, opset, read_model
from optim.graph.to_torch.activations import ACTIVATIONS, GATED
from optim.graph.to_torch.builder import DTYPES, Builder
from optim.graph.to_torch.functions import FUNCTIONS
from optim.graph.to_torch.layers import LAYERS, RECURRENT, linear, tensor
from optim.graph.to_torch.tables import Call, Sizes, Value, folded

AGREEMENT_DB = 90.0
"""Least ratio of the answers' power to that of the difference, in dB."""


def trainable(content: bytes, input_shape: tuple[int, ...] | None = None) -> fx.GraphModule:
    """Return a torch network with the weights of an ONNX file, in evaluation mode.

    Its input has a free batch size. Weights in half precision become float32; quantized files have
    no trainable form.

    Args:
        content: an ONNX file in one piece with one input whose first axis is the batch.
        input_shape: of one example; None takes what the file says, and 1 for no word.

    Returns:
        The network; its answers were compared with ONNX's reference evaluator or the engine by
        ``check_agreement``.

    Raises:
        RefusedError: naming the operator that has no trainable form, or the disagreement.
        BrokenArtifactError: if the bytes are no ONNX model.
    """
    model = read_model(content)
    _refuse_what_is_no_network(model)
    return _Converter(model, input_shape).network().eval()


def check_agreement(
    network: nn.Module, run: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray
) -> float:
    """Measure how well a converted network agrees with its file, in dB.

    Args:
        run: the file's answers, (N, ...) for inputs (N, ...).
        inputs: float32, (N, ...); each is asked alone, then all at once.

    Raises:
        RefusedError: if the agreement is below ``AGREEMENT_DB``, or examples disturb each other.
    """
    expected = np.concatenate([run(inputs[i : i + 1]) for i in range(len(inputs))])
    with torch.no_grad():
        found = network(torch.from_numpy(inputs)).numpy()
    if found.shape != expected.shape:
        raise RefusedError(_disagrees(f"its answers have the shape {found.shape}"))
    difference = float(np.square(found.astype(float) - expected).sum())
    power = float(np.square(expected.astype(float)).sum())
    agreement = 200.0 if difference == 0 else 10 * float(np.log10(max(power, 1e-30) / difference))
    if not agreement >= AGREEMENT_DB:
        raise RefusedError(_disagrees(f"its answers agree to {agreement:.0f} dB alone"))
    return agreement


def _disagrees(how: str) -> Refusal:
    return Refusal(
        reason=f"This file has no trainable form: rebuilt in torch, {how}.",
        remedy="Fusing, quantizing and measuring work without it.",
    )


def _refuse_what_is_no_network(model: ModelProto) -> None:
    """Refuse before anything is built what could not be trained anyway."""
    kinds = {node.op_type for node in model.graph.node}
    quantized = kinds & {
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger",
        "MatMulInteger", "QLinearMatMul",
    }  # fmt: skip
    if quantized:
        raise RefusedError(
            Refusal(
                reason="This file is quantized already, and rounded weights are a poor start for a "
                f"training ({', '.join(sorted(quantized))}).",
                remedy="Bring the file in FP32.",
            )
        )
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in stored]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise RefusedError(
            Refusal(
                reason=f"This file has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
                "the trainings here know networks with one of each.",
                remedy="Fusing, quantizing and measuring work without a training.",
            )
        )


class _Converter:
    """Walks the operators once, in order, and builds the graph of the network beside them."""

    def __init__(self, model: ModelProto, input_shape: tuple[int, ...] | None) -> None:
        self.model, self.opset = model, opset(model)
        self.values: dict[str, Value | None] = {
            t.name: numpy_helper.to_array(t) for t in model.graph.initializer
        }
        source = next(v for v in model.graph.input if v.name not in self.values)
        kind = source.type.tensor_type
        declared = tuple(max(1, int(dim.dim_value)) for dim in kind.shape.dim[1:])
        dtype = DTYPES.get(kind.elem_type, torch.float32)
        self.build = Builder(input_shape or declared, dtype)
        self.values[source.name] = self.build.x
        self.readers = consumers(model.graph.node)
        self.outputs = {value.name for value in model.graph.output}
        self.absorbed: set[int] = set()

    def network(self) -> fx.GraphModule:
        """Return the finished network."""
        for node in self.model.graph.node:
            if id(node) not in self.absorbed:
                self._take(node)
        answer = self.values.get(self.model.graph.output[0].name)
        if not isinstance(answer, fx.Node):
            raise RefusedError(_disagrees("its answer does not depend on the input"))
        if not self.build.counts_examples(answer):
            raise RefusedError(_disagrees("it moves examples out of the first axis"))
        return self.build.finished(answer)

    def _take(self, node: NodeProto) -> None:
        call = self._call(node)
        if node.domain not in ("", "ai.onnx"):
            call.refuse(f"it belongs to {node.domain}, not to standard ONNX")
        if node.op_type == "Constant":
            found: Any = _constant(node)
        else:
            found = folded(call)
        if found is None:
            try:
                found = self._moving(node, call)
            except (RuntimeError, TypeError, IndexError, ValueError, NotImplementedError) as error:
                call.refuse(f"torch cannot run it: {str(error).splitlines()[0]:.120}")
        found = found if isinstance(found, tuple) else (found,)
        for name, value in zip(node.output, found, strict=False):
            if name:
                self.values[name] = value

    def _call(self, node: NodeProto) -> Call:
        missing = [name for name in node.input if name and name not in self.values]
        call = Call(
            node,
            tuple(self.values.get(name) if name else None for name in node.input),
            tuple(self._shape(name) for name in node.input),
            self.opset,
        )
        if missing:
            call.refuse(f"its input {missing[0]!r:.40} is made by an operator without such a form")
        return call

    def _shape(self, name: str) -> tuple[int | None, ...]:
        """Return the shape of a value, None where it differs from batch to batch."""
        value = self.values.get(name)
        match value:
            case np.ndarray():
                return value.shape
            case Sizes():
                return () if value.scalar else (len(value.entries),)
            case fx.Node():
                return self.build.shape(value)
            case None:
                return ()

    def _moving(self, node: NodeProto, call: Call) -> fx.Node | tuple[fx.Node, ...]:
        """Return the operator in torch: a layer, an activation, or a function."""
        kind = node.op_type
        if kind == "Mul" and (gated := self._gated(call)) is not None:
            return gated
        if kind == "MatMul" and isinstance(call.inputs[1], np.ndarray) and call.inputs[1].ndim == 2:
            return self._linear(node, call)
        if kind in LAYERS:
            return self._layer(node, call)
        if kind in ACTIVATIONS:
            module = ACTIVATIONS[kind](call)
            return self.build.module(node.name or kind.lower(), module, call.flows(0))
        rule = FUNCTIONS.get(kind)
        if rule is None:
            call.refuse("it is not among those that are known here")
        return rule(call, self.build)

    def _layer(self, node: NodeProto, call: Call) -> fx.Node | tuple[fx.Node, ...]:
        modules = LAYERS[node.op_type](call)
        name = self._layer_name(node)
        found = call.flows(0)
        for before in modules[:-1]:
            found = self.build.module(f"{name}_pad", before, found)
        if node.op_type not in RECURRENT:
            return self.build.module(name, modules[-1], found)
        found = self.build.module(name, modules[-1], found, *_first_states(call))
        return tuple(self.build(operator.getitem, found, i) for i in range(len(node.output)))

    def _linear(self, node: NodeProto, call: Call) -> fx.Node:
        """Return the linear layer of a product with constant weights, the sum behind as bias."""
        weight = tensor(np.asarray(call.inputs[1])).T
        bias, end = self._bias_behind(node, len(weight))
        layer = linear(weight, bias)
        found = self.build.module(self._layer_name(node), layer, call.flows(0))
        if end is not None:
            self.values[end.output[0]] = found
            self.absorbed.add(id(end))
        return found

    def _bias_behind(
        self, node: NodeProto, width: int
    ) -> tuple[torch.Tensor | None, NodeProto | None]:
        """Return the constant vector that alone is added to a product."""
        name = node.output[0]
        readers = self.readers.get(name, [])
        if name in self.outputs or len(readers) != 1 or readers[0].op_type != "Add":
            return None, None
        other = next((each for each in readers[0].input if each != name), "")
        value = self.values.get(other)
        if not isinstance(value, np.ndarray) or value.size != width or value.shape[-1:] != (width,):
            return None, None
        return tensor(value.reshape(-1)), readers[0]

    def _gated(self, call: Call) -> fx.Node | None:
        """Recognise x times its own gate as SiLU or HardSwish."""
        for x, gate in (call.inputs, call.inputs[::-1]):
            if not isinstance(x, fx.Node) or not isinstance(gate, fx.Node):
                return None
            if gate.op != "call_module" or gate.args != (x,):
                continue
            kind = GATED.get(type(self.build.root.get_submodule(str(gate.target))))
            if kind is not None:
                name = call.node.name or kind.__name__.lower()
                return self.build.module(name, kind(), x)
        return None

    def _layer_name(self, node: NodeProto) -> str:
        """Return the layer's name in the file, else that of its weight's module, else its kind."""
        weight = node.input[1].removesuffix(".weight") if len(node.input) > 1 else ""
        named = weight if node.input[1:2] and node.input[1].endswith(".weight") else node.name
        return named or node.op_type.lower()


def _first_states(call: Call) -> list[fx.Node]:
    """Return the states that a recurrent layer starts from, none for zeros."""
    given = [value for value in call.inputs[5:7] if value is not None]
    moving = [value for value in given if isinstance(value, fx.Node)]
    if len(moving) != len(given) and any(np.any(np.asarray(v)) for v in given):
        call.refuse("it starts from a constant state that is not zero")
    return moving if len(moving) == len(given) else []


def _constant(node: NodeProto) -> np.ndarray:
    """Return the value of a Constant, in whichever attribute it stands."""
    item = node.attribute[0]
    value = onnx.helper.get_attribute_value(item)
    return numpy_helper.to_array(value) if item.name == "value" else np.asarray(value)
