"""A torch network becomes an ONNX file with a free batch size, which is looked at and tried."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from onnx import ModelProto
from torch import nn

from optim.errors import OptimError, Refusal, RefusedError
from optim.graph.onnx_file import tidy
from optim.graph.runner import Runner

MAX_BATCH = 4096
EXPORTED_WITH = 2
TRIED_WITH = (1, EXPORTED_WITH, 3)
"""Batches at which the file must answer as the network does."""
AGREE = 1e-3
"""Of the largest answer: how far the file may be from the network."""


def export_onnx(network: nn.Module, input_shape: tuple[int, ...]) -> bytes:
    """Export for inference: input ``input`` (N, ...), output ``logits`` (N, classes), float32.

    Equal networks give equal bytes; names, documentation and provenance that exporters add are
    gone. Batch norms that follow a convolution are folded into it by the exporter.

    Args:
        network: any device, any mode; it is left alone.
        input_shape: of one example, without the batch.

    Raises:
        ValueError: if the shape is empty or holds a number below 1.
        RefusedError: if torch cannot express the network in ONNX, or not for any batch, or the
            file answers otherwise than the network.
    """
    if not input_shape or min(input_shape) < 1:
        raise ValueError(
            f"input_shape must be that of one example, such as (1, 28, 28); got {input_shape}."
        )
    frozen = copy.deepcopy(network).cpu().eval().to(memory_format=torch.contiguous_format)
    try:
        return _checked(frozen, _exported(frozen, input_shape), input_shape)
    except RefusedError as refused:  # its code may count the batch, which it cannot for one example
        try:
            alone = _exported(_OneByOne(frozen).eval(), input_shape)
            return _checked(frozen, alone, input_shape)
        except RefusedError:
            raise refused from refused.__cause__


class _OneByOne(nn.Module):
    """A network that sees each example of a batch alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = torch.vmap(lambda example: self.network(example[None])[0])(x)
        return answers


def _exported(frozen: nn.Module, input_shape: tuple[int, ...]) -> ModelProto:
    batch = torch.export.Dim("N", min=1, max=MAX_BATCH)
    try:
        with _quiet():
            program = torch.onnx.export(
                frozen,
                (torch.zeros(EXPORTED_WITH, *input_shape),),
                dynamo=True,
                dynamic_shapes=({0: batch},),
                external_data=False,
                input_names=["input"],
                output_names=["logits"],
                verbose=False,
            )
    except Exception as error:  # whatever the exporter or the network's own code raises
        raise RefusedError(_refusal(f"torch cannot express it: {_told(error)}")) from error
    if program is None:
        raise AssertionError("the dynamo exporter always returns a program")
    return program.model_proto


def _checked(frozen: nn.Module, exported: ModelProto, input_shape: tuple[int, ...]) -> bytes:
    """Tidy a file, and compare it with the network at several batches.

    Raises:
        RefusedError: if its batch is not free, or it answers otherwise.
    """
    model = tidy(exported)
    read = ModelProto.FromString(model)
    fixed = "its code makes a fixed number of the batch, so the file would take no other"
    if read.graph.input and read.graph.input[0].type.tensor_type.shape.dim[0].dim_value:
        raise RefusedError(_refusal(fixed))
    outputs = [value.name for value in read.graph.output]
    for n in TRIED_WITH:
        x = torch.randn(n, *input_shape, generator=torch.Generator().manual_seed(n))
        expected = _answers(frozen, x)
        if not all(np.isfinite(answer).all() for answer in expected):
            x = x.abs() + 0.1  # a network with a logarithm or a root in front
            expected = _answers(frozen, x)
        try:
            found = Runner(read).run(outputs, {"input": x.numpy()})
        except OptimError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions share no narrower base
            raise RefusedError(_refusal(f"{fixed} ({_told(error)})")) from error
        if not all(_same(*pair) for pair in zip(found, expected, strict=True)):
            raise RefusedError(
                _refusal(f"its file answers otherwise than the network at a batch of {n}")
            )
    return model


def _answers(network: nn.Module, x: torch.Tensor) -> list[np.ndarray]:
    with torch.inference_mode():
        leaves = torch.utils._pytree.tree_leaves(network(x))
    return [value.float().numpy() for value in leaves if isinstance(value, torch.Tensor)]


def _same(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.shape != expected.shape or not expected.size:
        return found.shape == expected.shape
    scale = float(np.abs(np.nan_to_num(expected, posinf=0.0, neginf=0.0)).max())
    return np.allclose(found, expected, rtol=0, atol=AGREE * scale, equal_nan=True)


def _refusal(why: str) -> Refusal:
    return Refusal(
        reason=f"this network cannot become an ONNX file with a free batch: {why}.",
        remedy="Write what it does to the batch with operations on whole tensors, such as "
        "x.flatten(1).",
    )


def _told(error: Exception) -> str:
    told = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {told:.200}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and deprecation notes from the user's terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
