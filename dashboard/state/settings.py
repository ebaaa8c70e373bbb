"""What the left column of Explore says, as one value: to a recipe and back again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from optim.recipe import (
    INTEGER_PRECISIONS,
    Activations,
    Architecture,
    Calibration,
    Criterion,
    Distill,
    Fuse,
    Pattern,
    Precision,
    Prune,
    PruningUnit,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    Rounding,
    Scope,
    Sparsify,
    SparsifyMethod,
    Step,
)
from optim.task.task import Task, teachers

FINEST_RATIO, LARGEST_RATIO, MOST_BLOCKS, MOST_ROUNDS = 5, 90, 8, 6
"""Steps and ends of the pruning sliders; the ratio in percent."""
NARROWEST = 10
"""Percent of a student's usual width."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sliders, toggles and what stands under "More"; None lets the task or the precision choose.

    What has no effect beside the other choices is ignored by ``recipe``, so that two settings
    which make the same file are the same recipe.

    Attributes:
        prune: percent removed of what ``unit`` says.
        blocks: residual blocks removed.
        epochs: fine-tuning after pruning, and again after weights became zero.
        training: epochs of quantization-aware training; 0 is none.
        sparsity: percent of the weights that become zero; a pattern makes it 50.
        student: the architecture that takes the network's place.
        width: percent of the student's usual width.
        teacher: the task whose network teaches a student that is not pruned; None is the original.
    """

    precision: Precision = Precision.INT8
    prune: int = 40
    unit: PruningUnit = PruningUnit.CHANNELS
    criterion: Criterion | None = None
    scope: Scope | None = None
    rounds: int | None = None
    round_to: int | None = None
    blocks: int = 0
    epochs: float | None = None
    distill: bool = True
    fuse: bool = False
    student: Architecture | None = None
    width: int = 50
    stride: int = 1
    student_epochs: float = 10.0
    teacher: str | None = None
    sparsity: int = 0
    pattern: Pattern = Pattern.UNSTRUCTURED
    zeros: SparsifyMethod = SparsifyMethod.MAGNITUDE
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
    def zeroes(self) -> bool:
        """True if single weights become zero."""
        return self.sparsity > 0

    @property
    def quantizes(self) -> bool:
        """True if weights become whole numbers: only then do the options of quantization matter."""
        return self.precision in INTEGER_PRECISIONS

    @property
    def calibrates(self) -> bool:
        """True if ranges of activations are read off examples."""
        given = (None, Activations.UINT8, Activations.INT8)
        return self.quantizes and self.activations in given

    @property
    def trains_on_grid(self) -> bool:
        """True if there is quantization-aware training; it would fill zeros again."""
        return self.quantizes and self.training > 0 and not self.zeroes

    @property
    def trains(self) -> bool:
        """True if the network learns anything on the way: only then can there be a teacher."""
        return bool(self.prunes or self.student or self.zeroes or self.trains_on_grid)

    def recipe(self, task: Task) -> Recipe:
        """What the settings mean for a task."""
        steps: tuple[Step | None, ...] = (
            self._student(task),
            self._prune(task),
            self._distill(task),
            self._sparsify(task),
            self._quantize_aware(),
            Fuse() if self.fuse and not self.quantizes else None,
            self.quantize(),
        )
        return Recipe(steps=tuple(step for step in steps if step is not None))

    def other_teacher(self, task: Task) -> str | None:
        """The task whose network teaches instead of the original, if one does."""
        taught = self._distill(task)
        return None if taught is None else taught.teacher[0]

    def _student(self, task: Task) -> Replace | None:
        if self.student is None:
            return None
        return Replace(
            architecture=self.student,
            width=self.width / 100,
            stride=self.stride,
            epochs=0 if self.other_teacher(task) else self.student_epochs,
            distill=self.distill,
        )

    def _distill(self, task: Task) -> Distill | None:
        """The student's lessons from another network than the original."""
        if None in (self.student, self.teacher) or self.prunes or not self.distill:
            return None
        if self.teacher == task.name or self.teacher not in teachers(task):
            return None
        return Distill(epochs=self.student_epochs, teacher=(self.teacher,))

    def _prune(self, task: Task) -> Prune | None:
        if not self.prunes:
            return None
        usual = task.pruning
        step = Prune(
            ratio=self.prune / 100,
            blocks=self.blocks,
            epochs=usual.epochs if self.epochs is None else self.epochs,
            distill=self.distill,
        )
        if not self.prune:
            return step
        return replace(
            step,
            unit=self.unit,
            criterion=self.criterion or usual.criterion,
            scope=self.scope or usual.scope,
            rounds=self.rounds or usual.rounds,
            round_to=self.round_to or usual.round_to,
        )

    def _sparsify(self, task: Task) -> Sparsify | None:
        if not self.zeroes:
            return None
        patterned = self.pattern is not Pattern.UNSTRUCTURED
        epochs = task.epochs_with_zeros(self.zeros) if self.epochs is None else self.epochs
        gradual = self.zeros is SparsifyMethod.GRADUAL and epochs > 0  # needs training to be so
        at_once = SparsifyMethod.MAGNITUDE if self.zeros is SparsifyMethod.GRADUAL else self.zeros
        return Sparsify(
            sparsity=0.5 if patterned else self.sparsity / 100,
            pattern=self.pattern,
            method=self.zeros if gradual else at_once,
            epochs=epochs,
            distill=self.distill,
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
        if not self.trains_on_grid:
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
    aware = recipe.step(QuantizeAware)
    trained = recipe.training_steps()
    found = replace(
        with_quantize(Settings(precision=recipe.precision), recipe.step(Quantize)),
        **_pruning_of(recipe.step(Prune), task),
        **_student_of(recipe.step(Replace), recipe.step(Distill)),
        distill=trained[0].distill if trained else True,
        fuse=recipe.step(Fuse) is not None,
        training=0.0 if aware is None else aware.epochs,
        learned_scales=False if aware is None else aware.learned_scales,
    )
    found = _with_zeros(found, recipe.step(Sparsify), task)
    on_the_scale = (
        found.prune % FINEST_RATIO == 0
        and found.prune <= LARGEST_RATIO
        and found.sparsity % FINEST_RATIO == 0
        and found.blocks <= MOST_BLOCKS
        and (found.rounds or 1) <= MOST_ROUNDS
    )
    return found if on_the_scale and found.recipe(task) == recipe else None


def _pruning_of(step: Prune | None, task: Task) -> dict[str, Any]:
    """The fields that say how it is pruned; None where the task chooses the same."""
    if step is None:
        return {"prune": 0}
    chosen = ("criterion", "scope", "rounds", "round_to") if step.ratio else ()
    own = {name: getattr(step, name) for name in (*chosen, "epochs")}
    left_alone = {k: None if v == getattr(task.pruning, k) else v for k, v in own.items()}
    prune = {"prune": round(100 * step.ratio), "unit": step.unit, "blocks": step.blocks}
    return {**prune, **left_alone}


def _student_of(step: Replace | None, taught: Distill | None) -> dict[str, Any]:
    if step is None:
        return {}
    return {
        "student": step.architecture,
        "width": round(100 * step.width),
        "stride": step.stride,
        "student_epochs": step.epochs if taught is None else taught.epochs,
        "teacher": taught.teacher[0] if taught is not None and taught.teacher else None,
    }


def _with_zeros(settings: Settings, step: Sparsify | None, task: Task) -> Settings:
    """With the zeros of this step; pruning may have said already how long is trained."""
    if step is None:
        return settings
    usual = step.epochs == task.epochs_with_zeros(step.method)
    return replace(
        settings,
        sparsity=round(100 * step.sparsity),
        pattern=step.pattern,
        zeros=step.method,
        epochs=settings.epochs if usual else step.epochs,
    )


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
