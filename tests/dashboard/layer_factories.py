"""Synthetic analyses of a network of four layers, one of which stays in float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from optim.analysis.sensitivity import LayerSensitivity, Sensitivity
from optim.analysis.waterfall import KeptInFloat, Stage, Waterfall
from optim.engines.profile import FloatReason, OperatorTime, Profile
from optim.recipe import Precision

LAYERS = {"stem": "Conv", "block.conv1": "Conv", "block.conv2": "Conv", "head": "Gemm"}
FLOAT_BYTES = {"stem": 4_000, "block.conv1": 400_000, "block.conv2": 800_000, "head": 40_000}
REASON = "ONNX Runtime has no INT8 kernel for HardSwish"


def profile_of(precision: Precision, *, scale: float = 1.0) -> Profile:
    """Times of the layers; INT8 files convert around an activation that stays in float."""
    whole = precision is not Precision.FP32
    operators = [
        OperatorTime(
            kernel=f"QLinear{kind}" if whole else f"Fused{kind}",
            layer=layer,
            precision="int8" if whole else "fp32",
            time_ms=scale * (0.1 if whole else 0.3) * (1 + i),
            operator=kind,
        )
        for i, (layer, kind) in enumerate(LAYERS.items())
    ]
    if whole:
        operators.insert(
            1,
            OperatorTime(
                kernel="HardSigmoid", layer="stem", precision="fp32", time_ms=0.2,
                reason=REASON, code=FloatReason.NO_KERNEL, operator="HardSwish",
            ),
        )  # fmt: skip
        operators.append(
            OperatorTime(
                kernel="QuantizeLinear", layer="", precision="", time_ms=0.15, overhead=True
            )
        )
    operators.append(
        OperatorTime(kernel="Add", layer="", precision="fp32", time_ms=0.05, operator="Add")
    )
    return Profile(operators=tuple(operators), total_ms=sum(o.time_ms for o in operators), runs=60)


def slower_profile(*layers: str) -> Profile:
    """INT8, and these layers take ten times as long as they usually do."""
    usual = profile_of(Precision.INT8)
    operators = tuple(
        replace(o, time_ms=10 * o.time_ms) if o.layer in layers else o for o in usual.operators
    )
    return replace(usual, operators=operators, total_ms=sum(o.time_ms for o in operators))


def sensitivity(layers: Mapping[str, str] = MappingProxyType(LAYERS)) -> Sensitivity:
    """The first layer bears few bits worst; FP32 rows are the cost of keeping a layer."""
    rows = []
    for i, (layer, kind) in enumerate(layers.items()):
        for precision, share, sqnr_db, drop in (
            (Precision.FP32, 1.0, 120.0, 0.0),
            (Precision.INT8, 0.26, 30.0 + 4 * i, 0.002 / (1 + i)),
            (Precision.INT4, 0.14, 14.0 + 3 * i, 0.02 / (1 + i)),
        ):
            rows.append(
                LayerSensitivity(
                    layer=layer,
                    operator=kind,
                    precision=precision,
                    sqnr_db=sqnr_db,
                    score_drop=drop,
                    size_bytes=round(share * FLOAT_BYTES.get(layer, 40_000)),
                    time_ms=0.3 * (1 + i) if precision is Precision.FP32 else 0.1 * (1 + i),
                )
            )
    return Sensitivity(rows=tuple(rows), score=0.94, n=5000)


def waterfall() -> Waterfall:
    """Weights lose a little, activations more."""
    return Waterfall(
        stages=(
            Stage(name="FP32", score=0.94, sqnr_db=None),
            Stage(name="weights in INT8", score=0.9392, sqnr_db=38.0),
            Stage(name="activations in INT8", score=0.9378, sqnr_db=33.0),
        ),
        layers=(
            KeptInFloat(
                layer="stem", score_gain=0.0012, sqnr_gain_db=3.0, time_ms=0.02, size_bytes=3_000
            ),
            KeptInFloat(
                layer="head", score_gain=0.0002, sqnr_gain_db=0.5, time_ms=-0.01,
                size_bytes=30_000,
            ),
        ),
        n=5000,
    )  # fmt: skip
