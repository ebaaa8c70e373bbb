"""A torch network becomes an ONNX file with a free batch size."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from optim.graph.onnx_file import tidy

MAX_BATCH = 4096


def export_onnx(network: nn.Module, input_shape: tuple[int, ...]) -> bytes:
    """Export for inference: input ``input`` (N, ...), output ``logits`` (N, classes), float32.

    Equal networks give equal bytes; names, documentation and provenance that exporters add are
    gone. Batch norms that follow a convolution are folded into it by the exporter.

    Args:
        network: any device, any mode; it is left alone.
        input_shape: of one example, without the batch.

    Raises:
        ValueError: if the shape is empty or holds a number below 1.
        torch.onnx.errors.OnnxExporterError: if torch cannot express the network in ONNX.
    """
    if not input_shape or min(input_shape) < 1:
        raise ValueError(
            f"input_shape must be that of one example, such as (1, 28, 28); got {input_shape}."
        )
    frozen = copy.deepcopy(network).cpu().eval().to(memory_format=torch.contiguous_format)
    batch = torch.export.Dim("N", min=1, max=MAX_BATCH)
    with _quiet():
        program = torch.onnx.export(
            frozen,
            (torch.zeros(2, *input_shape),),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            external_data=False,
            input_names=["input"],
            output_names=["logits"],
            verbose=False,
        )
    if program is None:
        raise AssertionError("the dynamo exporter always returns a program")
    return tidy(program.model_proto)


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
