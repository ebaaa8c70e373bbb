"""What does a layer cost on this machine if it is narrower? Measured, for every pair of widths.

    latency of a network = latency of the whole * sum_l t_l(inputs, outputs) / the same sum, whole

The times t_l come from the engine: small files that hold nothing but such layers, side by side,

    x -+- Slice - Conv 64 -> 64 -
       +- Slice - Conv 64 -> 48 -      one run times each of them once,
       +- Slice - Conv 48 -> 64 -      so that all medians are over the same moments,

and the engine's own profile tells the time of each kernel, without what only brings the numbers
into its order. MACs do not tell it: kernels run in blocks of channels, so latency is a staircase.

Source: look-up tables of layers measured on the device are those of Yang et al. 2018, "NetAdapt",
section 3.3. Beside the layers a network adds, pools and copies; the factor above lets all of that
shrink like the layers do, as if it were a share of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median, median_grouped
from typing import Any

import numpy as np

from optim.compress.layer_shapes import Kept, LayerShape
from optim.graph.layer_pieces import Piece, input_shape, layers_file
from optim.measuring import LATENCY_THREADS
from optim.recipe import Precision

Progress = Callable[[float, str], None]
Widths = tuple[int, int]

TIMED = (Precision.FP32, Precision.INT8)
MOST_WIDTHS = 12
"""Of one side of a layer; where groups can add up to more, those between are interpolated."""
MOST_WEIGHTS = 8_000_000
"""In one file of layers."""
PASSES, RUNS = 3, 9
"""Every file is loaded so many times, and each time run so often."""
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
        """Milliseconds at some widths; interpolated between those measured."""
        table = np.array(self.int8_ms if precision is Precision.INT8 else self.fp32_ms)
        column = [float(np.interp(outputs, self.outputs, row)) for row in table]
        return float(np.interp(inputs, self.inputs, column))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerTimes:
        """The inverse of ``dataclasses.asdict``, with lists where JSON has made them of tuples."""
        return cls(
            layer=data["layer"],
            inputs=tuple(data["inputs"]),
            outputs=tuple(data["outputs"]),
            fp32_ms=tuple(map(tuple, data["fp32_ms"])),
            int8_ms=tuple(map(tuple, data["int8_ms"])),
        )


Stopwatch = Callable[[bytes, np.ndarray, int], Mapping[int, float]]
"""Times a file: its bytes, its input, runs -> milliseconds by the number of the piece."""


def network_ms(
    shapes: Iterable[LayerShape],
    times: Iterable[LayerTimes],
    kept: Kept,
    precision: Precision = Precision.FP32,
) -> float:
    """The sum over the layers of a pruned network; not yet its latency, but in proportion to it."""
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
    stopwatch: Stopwatch | None = None,
    progress: Progress = lambda share, words: None,
) -> tuple[LayerTimes, ...]:
    """Time every layer at every pair of widths that it can have.

    Args:
        shapes: of a network; norms are left out.
        choices: by the name of a group, the shares of its channels that may stay.
        stopwatch: how a file is timed; ONNX Runtime's profiler if None.

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
        found = (stopwatch or kernel_times)(layers_file(file), x, RUNS)
        for number, piece in enumerate(file):
            taken[piece.key].append(found[number])
    ms = {key: median(values) for key, values in taken.items()}
    return tuple(_times(shape, axes[shape.layer], ms) for shape in layers)


def kernel_times(model: bytes, x: np.ndarray, runs: int) -> dict[int, float]:
    """Milliseconds of each numbered piece of a file, by ONNX Runtime's own profiler.

    Raises:
        EngineError: if the engine cannot run the file.
    """
    from optim.engines.onnxruntime import ONNX_RUNTIME

    found: dict[int, float] = {}
    kernels = ONNX_RUNTIME.kernel_times(
        model, x, threads=LATENCY_THREADS, runs=runs, progress=lambda share, words: None
    )
    for kernel in kernels:
        number = NUMBER.search(kernel.name)
        if number is not None and any(kind in kernel.kernel for kind in KERNELS):
            # The profiler cuts off what lies behind the point: a time of 3 is 3.5 on average.
            taken = float(median_grouped(kernel.microseconds + 0.5, interval=1.0)) / 1000
            found[int(number[1])] = found.get(int(number[1]), 0.0) + taken
    return found


def _files(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Pieces that can stand in one file: of one precision and one size, not too many weights."""
    sets: dict[object, list[Piece]] = {}
    for piece in pieces:
        s = piece.shape
        kind = (piece.precision, s.size if s.kernel else s.positions, bool(s.kernel))
        sets.setdefault(kind, []).append(piece)
    for together in sets.values():
        file: list[Piece] = []
        for piece in together:
            if file and sum(int(np.prod(p.weight)) for p in (*file, piece)) > MOST_WEIGHTS:
                yield file
                file = []
            file.append(piece)
        yield file


def _axes(
    shape: LayerShape, choices: Mapping[str, Sequence[float]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The widths that both sides of a layer can have, rising."""
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
