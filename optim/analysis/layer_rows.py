"""Layers as rows: what a profile, its float parent's profile and a sensitivity say of each.

Pure functions from analyses to values that the chart and the table of the Layers page draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optim.recipe import INTEGER_PRECISIONS, Precision, Recipe
from optim.recipe.edit import precisions_of

if TYPE_CHECKING:
    from optim.analysis.sensitivity import LayerSensitivity, Sensitivity
    from optim.engines.profile import OperatorTime, Profile

WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer with weights.

    Attributes:
        layer: its ONNX node name.
        operator: Conv, Gemm or MatMul.
        precision: of its weights in the candidate.
        kernel: what the engine runs for it and for the activation behind it; empty if unknown.
        time_ms, float_time_ms: in the candidate and in its float parent, milliseconds.
        size_bytes, float_bytes: of its weights, in the candidate's precision and in FP32.
        asked: the precision whose sensitivity follows: its own, or that it would get.
        sqnr_db: signal to noise in the logits, decibels, with this layer alone quantized.
        score_drop: share of right answers lost on validation, 0..1, with this layer alone
            quantized; None where the score is no share.
        reason: why it runs in float although the file is quantized; empty if it does not.
    """

    layer: str
    operator: str
    precision: Precision
    asked: Precision
    kernel: str = ""
    time_ms: float | None = None
    float_time_ms: float | None = None
    size_bytes: int | None = None
    float_bytes: int | None = None
    sqnr_db: float | None = None
    score_drop: float | None = None
    reason: str = ""

    @property
    def noise(self) -> float | None:
        """Size of the error in the logits over that of the logits, from the decibels."""
        return None if self.sqnr_db is None else float(10 ** (-self.sqnr_db / 20))


@dataclass(frozen=True, kw_only=True)
class Remainder:
    """Time that no layer with weights takes.

    Attributes:
        name: in a few words.
        time_ms, float_time_ms: in the candidate and in its float parent.
    """

    name: str
    time_ms: float
    float_time_ms: float | None


def layer_rows(
    recipe: Recipe,
    profile: Profile | None,
    float_profile: Profile | None,
    sensitivity: Sensitivity | None,
) -> tuple[LayerRow, ...]:
    """Return one row per layer with weights, in the order of the network.

    Args:
        recipe: of the candidate.
        profile: of the candidate.
        float_profile: of its float parent.
        sensitivity: of its float parent.
    """
    operators = _operators(profile, float_profile, sensitivity)
    precisions = precisions_of(recipe, operators)
    general = recipe.precision if recipe.precision in INTEGER_PRECISIONS else Precision.INT8
    is_share = sensitivity is not None and sensitivity.scored_by.right_or_wrong
    told = {(r.layer, r.precision): r for r in (sensitivity.rows if sensitivity else ())}
    now, before = _by_layer(profile), _by_layer(float_profile)
    rows = []
    for layer, operator in operators.items():
        own = precisions[layer]
        asked = own if own in INTEGER_PRECISIONS else general
        kernels = now.get(layer, [])
        row = told.get((layer, asked))
        rows.append(
            LayerRow(
                layer=layer,
                operator=operator,
                precision=own,
                asked=asked,
                kernel=" + ".join(dict.fromkeys(k.kernel for k in kernels)),
                time_ms=_sum(kernels),
                float_time_ms=_sum(before.get(layer, [])),
                size_bytes=_bytes(told.get((layer, own))),
                float_bytes=_bytes(told.get((layer, Precision.FP32))),
                sqnr_db=None if row is None else row.sqnr_db,
                score_drop=row.score_drop if row is not None and is_share else None,
                reason=next((k.reason for k in kernels if k.reason), ""),
            )
        )
    return tuple(rows)


def remainders(profile: Profile | None, float_profile: Profile | None) -> tuple[Remainder, ...]:
    """Return the time of conversions and operators without weights; nothing without a profile."""
    if profile is None:
        return ()
    parts = (("conversions", True), ("other operators", False))
    return tuple(
        Remainder(
            name=name,
            time_ms=_rest(profile, overhead),
            float_time_ms=None if float_profile is None else _rest(float_profile, overhead),
        )
        for name, overhead in parts
    )


def _rest(profile: Profile, overhead: bool) -> float:
    alone = [o for o in profile.operators if not o.layer]
    return sum(o.time_ms for o in alone if o.overhead is overhead)


def _operators(
    profile: Profile | None, float_profile: Profile | None, sensitivity: Sensitivity | None
) -> dict[str, str]:
    """Return every layer with its operator, in the order of the network."""
    found = {row.layer: row.operator for row in (sensitivity.rows if sensitivity else ())}
    for one in (float_profile, profile):
        for operator in one.operators if one else ():
            if operator.layer and operator.operator in WITH_WEIGHTS:
                found.setdefault(operator.layer, operator.operator)
    return found


def _by_layer(profile: Profile | None) -> dict[str, list[OperatorTime]]:
    found: dict[str, list[OperatorTime]] = {}
    for operator in profile.operators if profile else ():
        if operator.layer:
            found.setdefault(operator.layer, []).append(operator)
    return found


def _sum(operators: list[OperatorTime]) -> float | None:
    return sum(o.time_ms for o in operators) if operators else None


def _bytes(row: LayerSensitivity | None) -> int | None:
    return None if row is None else row.size_bytes
