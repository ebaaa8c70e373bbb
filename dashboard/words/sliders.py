"""Notes on the stops of the precision slider, for this model on this engine, before the click.

First what was measured here, else what is predicted, else what is true of every model. No figure
stands here that was not measured for this model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.state.settings import Settings
from dashboard.words import step_words
from dashboard.words.quantities import NOTHING, faster, percent, smaller
from optim.candidate import Candidate, Role
from optim.recipe import Activations, Precision, Prune, PruningUnit, Quantize, Recipe
from optim.recipe.fields import CRITERIA, SCOPES
from optim.recipe.steps import unusual_values
from optim.search.predict import Prediction, channel_ratio
from optim.task.card import FOUND_FIELDS
from optim.task.task import Task


@dataclass(frozen=True, kw_only=True)
class Known:
    """Two ratios against the original, and where they come from.

    Attributes:
        speedup, shrink: the original's latency and size over this one's.
        source: "measured" or "predicted".
    """

    speedup: float
    shrink: float
    source: str

    def words(self) -> str:
        """Return both ratios, such as "here 3.4 times faster and 3.9 times smaller, measured"."""
        parts = [
            text.replace("x ", " times ", 1)
            for text in (faster(self.speedup), smaller(self.shrink))
            if text != NOTHING
        ]
        return f"here {' and '.join(parts)}, {self.source}"


def precision_note(
    quantize: Quantize | None, known: Known | None = None, *, engine: str = "onnxruntime"
) -> str:
    """Return one or two sentences on a quantization; None is FP32."""
    if quantize is None:
        return "FP32: the network as it was trained, 4 bytes a weight."
    how, so = _on_onnx_runtime(quantize) if engine == "onnxruntime" else ("", "")
    if known is None:
        told = [f"{quantize.precision.upper()}: {_SIZES[quantize.precision]}", f"{how}{so}"]
    else:  # what follows for the speed is measured: nobody needs to be told what to expect
        told = [f"{quantize.precision.upper()}: {known.words()}", how]
    return ". ".join(filter(None, told)) + "."


def pruning_note(settings: Settings, task: Task) -> str:
    """Return the recipe of the pruning slider, and who chose it; nothing if it is the usual."""
    step = settings.recipe(task).step(Prune)
    if step is None or not step.ratio:
        return ""
    told = [_share_of_channels(step)]
    usual = {name: getattr(task.pruning, name) for name in FOUND_FIELDS}
    own = {name: getattr(step, name) for name in FOUND_FIELDS}
    if own != usual:
        told.append(f"{_how_it_prunes(step)}: as you chose it.")
    elif task.pruning_is_found:
        told.append(f"{_how_it_prunes(step)}: the best found for this model on validation.")
    return " ".join(filter(None, told))


def _how_it_prunes(step: Prune) -> str:
    epochs = "1 epoch" if step.epochs == 1 else f"{step.epochs:g} epochs"
    source = "from the original's answers" if step.distill else "on labels alone"
    parts = [
        CRITERIA.name(step.criterion),
        SCOPES.name(step.scope).lower(),
        *(each.short_words(value) for each, value in unusual_values(step) if each.counts),
        f"{epochs} {source}" if step.epochs else "untrained",
    ]
    return ", ".join(filter(None, parts))


def _share_of_channels(step: Prune) -> str:
    """Return a ratio of parameters or MACs as one of channels: these fall with its square."""
    if step.unit is PruningUnit.CHANNELS:
        return ""
    unit = step_words.UNITS[step.unit]
    return (
        f"{percent(step.ratio)} fewer {unit}: about {percent(round(channel_ratio(step), 2))} of "
        "the channels."
    )


_SIZES = {
    Precision.FP32: "4 bytes a weight",
    Precision.FP16: "2 bytes a weight instead of 4",
    Precision.INT8: "1 byte a weight instead of 4",
    Precision.INT4: "half a byte a weight instead of 4",
}


def _on_onnx_runtime(step: Quantize) -> tuple[str, str]:
    """Return how the engine computes it on a CPU, and what usually follows."""
    if step.precision is Precision.FP16:
        return "ONNX Runtime computes it in FP32 on a CPU", ": not faster"
    match step.activations:
        case Activations.FLOAT:
            return "With float activations ONNX Runtime computes it in FP32", ": not faster"
        case Activations.DYNAMIC:
            return "ONNX Runtime finds the ranges anew in each run", ": convolutions get slower"
        case Activations.INT8:
            return "With signed activations ONNX Runtime leaves part of it in FP32", ": slower"
        case Activations.UINT8 | None:
            if step.precision is Precision.INT4:
                return "ONNX Runtime widens it to INT8 at load", ": half the file, as fast as INT8"
            return "ONNX Runtime computes it in integers", ""


def measured_ratios(
    step: Quantize | None, candidates: Sequence[Candidate], baseline: Candidate | None
) -> Known | None:
    """Return what a quantization without pruning gave this model, as measured here.

    The very same step counts first, else one of the same precision and activations.

    Returns:
        None in FP32, and where nothing of that kind is measured.
    """
    if step is None or baseline is None or baseline.artifact is None:
        return None
    alike = [c for c in candidates if c.measured and _alike(c.recipe, step)]
    best = next((c for c in alike if c.recipe == Recipe(steps=(step,))), None)
    best = best or next(iter(alike), None)
    if best is None or best.latency is None or best.artifact is None:
        return None
    return Known(
        speedup=best.latency.speedup,
        shrink=baseline.artifact.size_bytes / best.artifact.size_bytes,
        source="measured",
    )


def _alike(recipe: Recipe, step: Quantize) -> bool:
    """True if the recipe is such a quantization and nothing else that changes speed or size."""
    own = recipe.step(Quantize)
    return (
        own is not None
        and len(recipe.steps) == 1
        and (own.precision, own.activations) == (step.precision, step.activations)
    )


def predicted_ratios(
    step: Quantize | None,
    prediction: Prediction | None,
    candidates: Sequence[Candidate],
    baseline: Candidate | None,
) -> Known | None:
    """Return the prediction for a quantization without pruning.

    Args:
        prediction: of that quantization alone.
        candidates: what it rests on. Unless one of them is quantized in the same way, pruned or
            not, the prediction knows nothing of this precision.
    """
    if step is None or prediction is None or baseline is None:
        return None
    if baseline.latency is None or baseline.artifact is None:
        return None
    kinds = {
        (own.precision, own.activations)
        for c in candidates
        if c.measured and c.role is not Role.CONTROL and (own := c.recipe.step(Quantize))
    }
    if (step.precision, step.activations) not in kinds:
        return None
    return Known(
        speedup=baseline.latency.p50_ms / prediction.latency_ms,
        shrink=baseline.artifact.size_bytes / prediction.size_bytes,
        source="predicted",
    )
