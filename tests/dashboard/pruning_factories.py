"""Made-up pruning curves: the first layer is dear, the last ones are nearly free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from optim.analysis.layer_cost import Ends, LayerTimes
from optim.analysis.pruning_curves import CurvePoint, LayerCurve, PruningCurves
from optim.compress.pruning.layer_shapes import LayerShape
from optim.recipe import Precision

CHANNELS = {"stem": 32, "block.0.conv1": 64, "block.0.conv2": 64, "block.1.conv1": 128}
ACCURACY, LOSS, N = 0.94, 0.2, 5000
PARAMETERS, MACS, LATENCY_MS = 1_000_000, 40_000_000, 2.0


def curves_of(
    channels: Mapping[str, int] = MappingProxyType(CHANNELS), *, timed: bool = True
) -> PruningCurves:
    """Layers of so many channels, in blocks of 16; each is twice as cheap as the one before."""
    return PruningCurves(
        curves=tuple(
            LayerCurve(
                layer=name,
                layers=(name,) if place % 2 else (name, f"{name}.twin"),
                channels=width,
                points=tuple(
                    _point(kept, width, 2.0**-place, 1 / len(channels), timed)
                    for kept in range(width, 0, -16)
                ),
            )
            for place, (name, width) in enumerate(channels.items())
        ),
        score=ACCURACY,
        loss=LOSS,
        n=N,
        shapes=shapes_of(channels),
        times=tuple(map(_times, shapes_of(channels))) if timed else (),
        ends=tuple(map(_ends, (Precision.FP32, Precision.INT8))) if timed else (),
    )


def shapes_of(channels: Mapping[str, int]) -> tuple[LayerShape, ...]:
    """A chain: each layer reads the channels of the one before."""
    names = list(channels)
    return tuple(
        LayerShape(
            layer=name,
            inputs=channels[names[i - 1]] if i else 3,
            outputs=channels[name],
            kernel=(3, 3),
            positions=64,
            reads=((names[i - 1], channels[names[i - 1]]),) if i else (),
            writes=((name, channels[name]),),
        )
        for i, name in enumerate(names)
    )


def _ends(precision: Precision) -> Ends:
    """A tenth of the time is spent whatever is cut."""
    return Ends(precision=precision, whole_ms=2.0, least_ms=0.2, whole_sum_ms=1.0, least_sum_ms=0.0)


def _times(shape: LayerShape) -> LayerTimes:
    """As long as there is to multiply; half of it in INT8."""
    inputs, outputs = (0, shape.inputs), (0, shape.outputs)
    fp32 = tuple(tuple(i * o / 10_000 for o in outputs) for i in inputs)
    int8 = tuple(tuple(ms / 2 for ms in row) for row in fp32)
    return LayerTimes(layer=shape.layer, inputs=inputs, outputs=outputs, fp32_ms=fp32, int8_ms=int8)


def _point(kept: int, channels: int, dearness: float, part: float, timed: bool) -> CurvePoint:
    ratio = 1 - kept / channels
    drop = min(0.8, 0.3 * dearness**3 * (math.exp(2 * ratio) - 1))
    stays = 1 - part * ratio
    return CurvePoint(
        kept=kept,
        ratio=ratio,
        score=ACCURACY - drop,
        loss=LOSS + 4 * drop,
        parameters=round(PARAMETERS * stays),
        macs=round(MACS * stays),
        latency_ms=LATENCY_MS * stays if timed else None,
    )


def deep_curves(layers: int = 33) -> PruningCurves:
    """As many layers as a mobile network has."""
    return curves_of({f"features.{i}.block.conv": 64 + 32 * (i % 4) for i in range(layers)})
