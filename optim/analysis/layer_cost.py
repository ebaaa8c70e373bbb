"""Layer cost: the measured time of a layer on this machine, for every pair of widths.

    latency of a network = a + b * sum_l t_l(inputs, outputs)

The times t_l come from the engine: small files that hold nothing but such layers, side by side,

    x -+- Slice - Conv 64 -> 64 -
       +- Slice - Conv 64 -> 48 -      one run times each of them once,
       +- Slice - Conv 48 -> 64 -      so that all medians are over the same moments,

and the engine's own profile tells the time of each kernel, without what only brings the numbers
into its order. MACs do not tell it: kernels run in blocks of channels, so latency is a staircase.

Source: look-up tables of layers measured on the device are those of Yang et al. 2018, "NetAdapt",
section 3.3. Beside the layers a network adds, pools and copies, and the profiler itself takes its
time at each kernel: so the line through two whole networks that are really timed, the widest and
the narrowest, gives a and b.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median_grouped
from typing import TYPE_CHECKING, Any

import numpy as np

from optim.analysis.layer_pieces import Piece, input_shape, layers_file
from optim.compress.pruning.layer_shapes import KeptShares, LayerShape
from optim.devices.target import Target
from optim.measure.profile import profiler_of
from optim.progress import Progress
from optim.recipe import Precision, Quantize

if TYPE_CHECKING:
    from torch import nn

Widths = tuple[int, int]

TIMED = (Precision.FP32, Precision.INT8)
MOST_WIDTHS = 12
"""Of one side of a layer; where groups can add up to more, those between are interpolated."""
MOST_BYTES = 2_000_000
"""That one file of layers moves. With many more in one file each layer would find the caches cold:
on the sample ResNet the last convolution took 0.160 ms so, and 0.092 ms in the network."""
PASSES, RUNS = 4, 9
"""Every file is loaded so many times, and each time run so often; of the medians the lowest counts:
a processor that is shared makes a pass slower, never faster."""
NUMBER = re.compile(r"(\d+)@")
KERNELS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True, kw_only=True)
class LayerTimes:
    """Measured times of one layer, for every pair of widths.

    Attributes:
        layer: its name in the torch network.
        inputs, outputs: channels, rising. A convolution in groups has the whole width alone in
            ``inputs``: those follow its outputs.
        fp32_ms, int8_ms: medians, one row per width of the inputs.
    """

    layer: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    fp32_ms: tuple[tuple[float, ...], ...]
    int8_ms: tuple[tuple[float, ...], ...]

    def at(self, inputs: int, outputs: int, precision: Precision) -> float:
        """Return milliseconds at some widths; interpolated between those measured."""
        table = np.array(self.int8_ms if precision is Precision.INT8 else self.fp32_ms)
        column = [float(np.interp(outputs, self.outputs, row)) for row in table]
        return float(np.interp(inputs, self.inputs, column))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerTimes:
        """Read what ``dataclasses.asdict`` wrote, with lists where JSON has made them of tuples."""
        return cls(
            layer=data["layer"],
            inputs=tuple(data["inputs"]),
            outputs=tuple(data["outputs"]),
            fp32_ms=tuple(map(tuple, data["fp32_ms"])),
            int8_ms=tuple(map(tuple, data["int8_ms"])),
        )


Stopwatch = Callable[[bytes, np.ndarray, int], Mapping[int, float]]
"""Times a file: its bytes, its input, runs -> milliseconds by the number of the piece."""


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The widest and the narrowest network by the clock, and the sums of their layers.

    Attributes:
        precision: of both files.
        whole_ms, least_ms: median latency at batch 1.
        whole_sum_ms, least_sum_ms: of their layers, by ``network_ms``.
    """

    precision: Precision
    whole_ms: float
    least_ms: float
    whole_sum_ms: float
    least_sum_ms: float

    @property
    def slope(self) -> float:
        """By how much of the whole's latency a network gets faster that saves all of the sum."""
        saved = 1 - self.least_sum_ms / self.whole_sum_ms
        return (1 - self.least_ms / self.whole_ms) / saved if saved > 0 else 1.0

    def share(self, sum_ms: float) -> float:
        """Return latency of a network as a share of the whole one's, from the sum of its layers."""
        return 1 - self.slope * (1 - sum_ms / self.whole_sum_ms)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ends:
        """Read what ``dataclasses.asdict`` wrote."""
        return cls(**{**data, "precision": Precision(data["precision"])})


def network_ms(
    shapes: Iterable[LayerShape],
    times: Iterable[LayerTimes],
    kept: KeptShares,
    precision: Precision = Precision.FP32,
) -> float:
    """Return the sum over the layers of a pruned network, in proportion to its latency."""
    of = {found.layer: found for found in times}
    return sum(
        of[shape.layer].at(shape.inputs_at(kept), shape.outputs_at(kept), precision)
        for shape in shapes
        if not shape.norm
    )


def measure_layers(
    shapes: Sequence[LayerShape],
    choices: Mapping[str, Sequence[float]],
    *,
    stopwatch: Stopwatch,
    progress: Progress = lambda share, words: None,
) -> tuple[LayerTimes, ...]:
    """Time every layer at every pair of widths that it can have.

    Args:
        shapes: of a network; norms are left out.
        choices: by the name of a group, the shares of its channels that may stay.
        stopwatch: how a file is timed, such as ``kernel_times`` of a target.

    Raises:
        EngineError: if the engine cannot run a layer.
    """
    layers = [shape for shape in shapes if not shape.norm]
    axes = {shape.layer: _axes(shape, choices) for shape in layers}
    pieces = {
        piece.key: piece
        for shape in layers
        for precision in TIMED
        for piece in _pieces(shape, axes[shape.layer], precision)
    }
    taken: dict[tuple[object, ...], list[float]] = {key: [] for key in pieces}
    files = list(_files(list(pieces.values())))
    for turn, file in product(range(PASSES), files):
        done = (turn * len(files) + files.index(file)) / (PASSES * len(files))
        progress(done, f"timing {len(pieces):,} widths of single layers")
        x = np.random.default_rng(0).normal(size=input_shape(file)).astype(np.float32)
        found = stopwatch(layers_file(file), x, RUNS)
        for number, piece in enumerate(file):
            taken[piece.key].append(found[number])
    ms = {key: min(values) for key, values in taken.items()}
    return tuple(_times(shape, axes[shape.layer], ms) for shape in layers)


def measure_ends(
    whole: nn.Module,
    least: nn.Module,
    target: Target,
    *,
    sums: Mapping[Precision, tuple[float, ...]],
    calibration: np.ndarray,
) -> tuple[Ends, ...]:
    """Time the widest and the narrowest network, interleaved, in each precision.

    Args:
        whole, least: of the same architecture.
        target: at batch 1.
        sums: of the layers of both, by ``network_ms``.
        calibration: float32, shape (n, ...): for the ranges of INT8 files.
    """
    from optim.analysis.time_files import time_interleaved
    from optim.graph.export import export_onnx
    from optim.graph.quantization.quantize import quantize

    floats = [export_onnx(network, calibration.shape[1:]) for network in (whole, least)]
    found = []
    for precision, (whole_sum, least_sum) in sums.items():
        files = floats
        if precision is not Precision.FP32:
            files = [quantize(file, Quantize(precision=precision), calibration) for file in floats]
        latency = time_interleaved(files[0], files[1], target)
        whole_ms = float(np.median(latency.baseline_ms))
        found.append(
            Ends(
                precision=precision,
                whole_ms=whole_ms,
                least_ms=whole_ms / latency.speedup,
                whole_sum_ms=whole_sum,
                least_sum_ms=least_sum,
            )
        )
    return tuple(found)


def kernel_times(target: Target, model: bytes, x: np.ndarray, runs: int) -> dict[int, float]:
    """Time each numbered piece of a file with the profiler of the target's engine.

    Returns:
        Milliseconds by number.

    Raises:
        EngineError: if the engine cannot run the file.
        RefusedError: if it has no profiler.
    """
    found: dict[int, float] = {}
    kernels = profiler_of(target).time_kernels(model, x, threads=target.threads, runs=runs)
    for kernel in kernels:
        number = NUMBER.search(kernel.name)
        if number is not None and any(kind in kernel.kernel for kind in KERNELS):
            # The profiler cuts off what lies behind the point: a time of 3 is 3.5 on average.
            taken = float(median_grouped(kernel.microseconds + 0.5, interval=1.0)) / 1000
            found[int(number[1])] = found.get(int(number[1]), 0.0) + taken
    return found


def _files(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Yield pieces for one file: of one precision and size, as long as caches hold."""
    sets: dict[object, list[Piece]] = {}
    for piece in pieces:
        s = piece.shape
        kind = (piece.precision, s.size if s.kernel else s.positions, bool(s.kernel))
        sets.setdefault(kind, []).append(piece)
    for together in sets.values():
        file: list[Piece] = []
        for piece in together:
            if file and sum(p.moved_bytes for p in (*file, piece)) > MOST_BYTES:
                yield file
                file = []
            file.append(piece)
        yield file


def _axes(
    shape: LayerShape, choices: Mapping[str, Sequence[float]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the widths that both sides of a layer can have, rising."""
    outputs = _widths(shape.outputs, shape.writes, choices)
    inputs = _widths(shape.inputs, shape.reads, choices)
    return ((shape.inputs,) if shape.groups > 1 else inputs), outputs


def _widths(
    whole: int, shares: tuple[tuple[str, int], ...], choices: Mapping[str, Sequence[float]]
) -> tuple[int, ...]:
    found = {whole}
    for group, channels in shares:
        lost = {channels - round(channels * share) for share in choices.get(group, (1.0,))}
        found = {width - each for width in found for each in lost}
    rising = sorted(found)
    if len(rising) > MOST_WIDTHS:
        places = np.linspace(0, len(rising) - 1, MOST_WIDTHS).round().astype(int)
        rising = [rising[place] for place in places]
    return tuple(rising)


def _pieces(
    shape: LayerShape, axes: tuple[tuple[int, ...], tuple[int, ...]], precision: Precision
) -> Iterator[Piece]:
    for inputs, outputs in product(*axes):
        if shape.groups > 1:
            inputs = outputs * shape.inputs // shape.outputs
        yield Piece(shape=shape, inputs=inputs, outputs=outputs, precision=precision)


def _times(
    shape: LayerShape,
    axes: tuple[tuple[int, ...], tuple[int, ...]],
    ms: Mapping[tuple[object, ...], float],
) -> LayerTimes:
    tables = [
        np.array([ms[piece.key] for piece in _pieces(shape, axes, precision)])
        .reshape(len(axes[0]), len(axes[1]))
        .tolist()
        for precision in TIMED
    ]
    fp32, int8 = (tuple(map(tuple, table)) for table in tables)
    return LayerTimes(
        layer=shape.layer, inputs=axes[0], outputs=axes[1], fp32_ms=fp32, int8_ms=int8
    )
