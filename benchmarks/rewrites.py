"""What INT8 gives on networks for photographs, and how much of it the rewrite rules are.

    python benchmarks/rewrites.py [NETWORK ...] [--remedy] [--rounds 40]

Random weights, 224 x 224 pixels, batch 1, one thread. All files of a network are interleaved, a
few runs each, round after round; a figure is how many times faster than the network's own FP32
file, which is loaded with all of ONNX Runtime's optimizations, like every other. `stock` is
`onnxruntime.quantization.quantize_static` on the exported file, unsigned activations, a scale per
channel. `no rules` is ours without the rules for integer kernels. `float start` leaves the first
layers in FP32, as many as the profiles of the two files say
(`optim.analysis.remedies.slow_start`). `relu` rows are other networks: ReLU in place of HardSwish
and SiLU, which needs fine-tuning to be of use; their FP32 is the one with ReLU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from unittest import mock

import numpy as np
import timm
import torch
import torchvision
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import nn

from optim.analysis.remedies import slow_start
from optim.compress.replace import replace_activations
from optim.devices.target import Target
from optim.engines.engine import run_single
from optim.engines.onnxruntime.engine import ONNX_RUNTIME
from optim.engines.onnxruntime.explainer import EXPLAINER
from optim.engines.onnxruntime.profiler import profile
from optim.graph.export import export_onnx
from optim.graph.quantization import quantize as quantization
from optim.graph.quantization.quantize import quantize
from optim.recipe import Precision, Quantize, ReplaceActivation

NETWORKS = (
    "resnet18", "mobilenetv2_100", "mobilenetv3_large_100", "efficientnet_lite0", "efficientnet_b0",
    "squeezenet1_1",
)  # fmt: skip
SHAPE = (3, 224, 224)
RUNS = 6


def main() -> None:
    """Make the files, time them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--remedy", action="store_true", help="also with ReLU")
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(Target().environment.words())
    print(f"{'':24s}{'':20s} ms (p5)   times faster than its FP32 (quartiles of rounds)")
    for name in arguments.networks:
        with tempfile.TemporaryDirectory() as folder:
            files = dict(_files(name, Path(folder), remedy=arguments.remedy))
            _print(name, _timed(files, rounds=arguments.rounds))


def _files(name: str, folder: Path, *, remedy: bool) -> Iterator[tuple[str, Path]]:
    examples = np.random.default_rng(0).normal(size=(8, *SHAPE)).astype(np.float32)
    network = _network(name)
    exported = _written(folder, "FP32", export_onnx(network, SHAPE))
    yield "FP32", exported
    yield "stock", _stock(exported, examples)
    with mock.patch.object(quantization, "rewrite_integers", lambda model: model):
        yield "no rules", _quantized(exported, examples, "no-rules")
    yield from _ours(exported, examples, "")
    if remedy and name in ("mobilenetv3_large_100", "efficientnet_b0"):
        relu = replace_activations(network, ReplaceActivation())
        exported = _written(folder, "relu", export_onnx(relu, SHAPE))
        yield "relu FP32", exported
        yield from _ours(exported, examples, "relu ")


def _ours(exported: Path, examples: np.ndarray, prefix: str) -> Iterator[tuple[str, Path]]:
    ours = _quantized(exported, examples, f"{exported.stem}-ours")
    yield f"{prefix}ours", ours
    own, before = (profile(path, examples[:1], threads=1) for path in (ours, exported))
    layers, _ = slow_start(own, before, EXPLAINER.float_stops_before)
    if layers:
        floats = dict.fromkeys(layers, Precision.FP32)
        path = _quantized(exported, examples, f"{exported.stem}-start", floats)
        yield f"{prefix}float start {len(layers)}", path


def _quantized(
    exported: Path,
    examples: np.ndarray,
    stem: str,
    layers: Mapping[str, Precision] = MappingProxyType({}),
) -> Path:
    step = Quantize(calibration_examples=8)
    content = quantize(exported.read_bytes(), step, examples, layers=layers)
    return _written(exported.parent, stem, content)


def _network(name: str) -> nn.Module:
    """Random weights, batch norms with statistics of what they see."""
    torch.manual_seed(0)
    network: nn.Module = (
        torchvision.models.squeezenet1_1() if name == "squeezenet1_1" else timm.create_model(name)
    )
    with torch.no_grad():
        network.train()(torch.randn(4, *SHAPE))
    return network.eval()


def _written(folder: Path, stem: str, content: bytes) -> Path:
    path = folder / f"{stem}.onnx"
    path.write_bytes(content)
    return path


class _Examples(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, examples: np.ndarray) -> None:
        self._left = iter(examples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        example = next(self._left, None)
        return None if example is None else {"input": example[None]}


def _stock(exported: Path, examples: np.ndarray) -> Path:
    path = exported.with_name("stock.onnx")
    quantize_static(
        exported, path, _Examples(examples), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return path


def _timed(files: dict[str, Path], *, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds by file, shape (rounds, RUNS)."""
    example = np.random.default_rng(1).normal(size=(1, *SHAPE)).astype(np.float32)
    sessions = {name: ONNX_RUNTIME.load(path, threads=1) for name, path in files.items()}
    times = {name: np.empty((rounds, RUNS)) for name in files}
    order = list(sessions)
    for turn in range(-1, rounds):  # the round before the first warms up
        place = turn % len(order)
        for name in order[place:] + order[:place]:
            for run in range(RUNS):
                before = time.perf_counter()
                run_single(sessions[name], example)
                times[name][turn, run] = (time.perf_counter() - before) * 1000
    return times


def _print(network: str, times: dict[str, np.ndarray]) -> None:
    for name, measured in times.items():
        base = times["relu FP32" if name.startswith("relu") else "FP32"]
        ratios = np.percentile(base, 25, axis=1) / np.percentile(measured, 25, axis=1)
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        print(
            f"{network:24s}{name:20s} {np.percentile(measured, 5):7.2f}   "
            f"{middle:5.2f}x ({low:.2f}-{high:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
