"""What the left column of Explore says, as one value: to a recipe and back again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from optim.recipe import (
    Activations,
    Calibration,
    Fuse,
    Precision,
    Prune,
    Quantize,
    QuantizeAware,
    Recipe,
    Rounding,
    recipe_of,
)
from optim.task import Task

FINEST_RATIO, LARGEST_RATIO, MOST_BLOCKS = 5, 90, 8
"""Steps and ends of the pruning sliders; the ratio in percent."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sliders, toggles and what stands under "More"; None lets the task or the precision choose.

    What has no effect beside the other choices is ignored by ``recipe``, so that two settings
    which make the same file are the same recipe.

    Attributes:
        prune: percent of the channels removed.
        blocks: residual blocks removed.
        epochs: fine-tuning after pruning.
        training: epochs of quantization-aware training; 0 is none.
    """

    precision: Precision = Precision.INT8
    prune: int = 40
    blocks: int = 0
    epochs: float | None = None
    distill: bool = True
    fuse: bool = False
    training: float = 0.0
    learned_scales: bool = False
    activations: Activations | None = None
    calibration: Calibration = Calibration.MINMAX
    examples: int = 512
    per_channel: bool = True
    rounding: Rounding | None = None
    bias_correction: bool = False
    equalize: bool = False
    smooth: float = 0.0

    @property
    def prunes(self) -> bool:
        """True if anything is cut out."""
        return self.prune > 0 or self.blocks > 0

    @property
    def quantizes(self) -> bool:
        """True if weights become whole numbers: only then do the options of quantization matter."""
        return self.precision in (Precision.INT8, Precision.INT4)

    @property
    def calibrates(self) -> bool:
        """True if ranges of activations are read off examples."""
        given = (None, Activations.UINT8, Activations.INT8)
        return self.quantizes and self.activations in given

    @property
    def trains(self) -> bool:
        """True if the network learns anything on the way: only then can there be a teacher."""
        return self.prunes or (self.quantizes and self.training > 0)

    def recipe(self, task: Task) -> Recipe:
        """What the settings mean for a task."""
        return recipe_of(
            pruning_ratio=self.prune / 100,
            blocks=self.blocks,
            epochs=task.fine_tuning_epochs if self.epochs is None else self.epochs,
            distill=self.distill,
            fuse=self.fuse and not self.quantizes,
            quantize_aware=self._quantize_aware(),
            quantize=self.quantize(),
        )

    def quantize(self) -> Quantize | None:
        """The quantization alone; None in FP32."""
        if not self.quantizes:
            half = self.precision is Precision.FP16
            return Quantize(precision=Precision.FP16) if half else None
        return Quantize(
            precision=self.precision,
            activations=self.activations,
            calibration=self.calibration if self.calibrates else Calibration.MINMAX,
            calibration_examples=self.examples if self.calibrates else 512,
            per_channel=self.per_channel,
            rounding=self.rounding,
            bias_correction=self.bias_correction,
            equalize=self.equalize,
            smooth=self.smooth,
        )

    def _quantize_aware(self) -> QuantizeAware | None:
        if not self.quantizes or not self.training:
            return None
        return QuantizeAware(
            weight_bits=8 if self.precision is Precision.INT8 else 4,
            epochs=self.training,
            per_channel=self.per_channel,
            learned_scales=self.learned_scales,
            distill=self.distill,
        )


def settings_of(recipe: Recipe, task: Task) -> Settings | None:
    """The settings that mean this very recipe; None if it says more than they can."""
    prune, aware = recipe.step(Prune), recipe.step(QuantizeAware)
    trained = next((step for step in (prune, aware) if step is not None), None)
    found = replace(
        with_quantize(Settings(precision=recipe.precision), recipe.step(Quantize)),
        prune=round(100 * recipe.pruning_ratio),
        blocks=0 if prune is None else prune.blocks,
        epochs=None if prune is None or prune.epochs == task.fine_tuning_epochs else prune.epochs,
        distill=True if trained is None else trained.distill,
        fuse=recipe.step(Fuse) is not None,
        training=0.0 if aware is None else aware.epochs,
        learned_scales=False if aware is None else aware.learned_scales,
    )
    on_the_scale = found.prune % FINEST_RATIO == 0 and found.prune <= LARGEST_RATIO
    fits = on_the_scale and found.blocks <= MOST_BLOCKS and found.recipe(task) == recipe
    return found if fits else None


def with_quantize(settings: Settings, step: Quantize | None) -> Settings:
    """The same settings with another quantization; None is FP32."""
    if step is None:
        return replace(settings, precision=Precision.FP32)
    usual = Quantize(precision=step.precision)
    return replace(
        settings,
        precision=step.precision,
        activations=None if step.activations == usual.activations else step.activations,
        calibration=step.calibration,
        examples=step.calibration_examples,
        per_channel=step.per_channel,
        rounding=None if step.rounding == usual.rounding else step.rounding,
        bias_correction=step.bias_correction,
        equalize=step.equalize,
        smooth=step.smooth,
    )
