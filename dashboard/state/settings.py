"""Settings of the left column of Explore, as one value: to a recipe and back again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dashboard.state.chosen import NOTHING_CHOSEN, Chosen, within_controls
from optim.recipe import (
    INTEGER_PRECISIONS,
    Architecture,
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
    Sparsify,
    SparsifyMethod,
    Step,
)
from optim.recipe.edit import suiting
from optim.recipe.fields import FIELDS
from optim.recipe.steps import fields_of, step_kind, usual_where_idle, with_effect
from optim.task.task import Task, teachers

FINEST_RATIO, LARGEST_RATIO, MOST_BLOCKS = 5, 90, 8
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
        chosen: what the controls of single fields say.
    """

    precision: Precision = Precision.INT8
    prune: int = 40
    unit: PruningUnit = PruningUnit.CHANNELS
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
    training: float = 0.0
    chosen: Chosen = NOTHING_CHOSEN

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
        """True if weights become integers: only then do the options of quantization matter."""
        return self.precision in INTEGER_PRECISIONS

    @property
    def trains_on_grid(self) -> bool:
        """True if there is quantization-aware training; it would fill zeros again."""
        return self.quantizes and self.training > 0 and not self.zeroes

    @property
    def trains(self) -> bool:
        """True if the network learns anything on the way: only then can there be a teacher."""
        return bool(self.prunes or self.student or self.zeroes or self.trains_on_grid)

    def recipe(self, task: Task) -> Recipe:
        """Return the recipe that the settings mean for a task."""
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

    def step(self, kind: str, task: Task) -> Step | None:
        """Return the step of this kind whose fields matter now; None if the settings mean none."""
        if kind == "quantize" and not self.quantizes:
            return None  # FP16 has nothing to choose
        return next((s for s in self.recipe(task).steps if step_kind(s) == kind), None)

    def other_teacher(self, task: Task) -> str | None:
        """Return the task whose network teaches instead of the original, if one does."""
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
            **self.chosen.fields("replace"),
        )

    def _distill(self, task: Task) -> Distill | None:
        """Return the student's lessons from another network than the original."""
        if None in (self.student, self.teacher) or self.prunes or not self.distill:
            return None
        if self.teacher == task.name or self.teacher not in teachers(task):
            return None
        return Distill(epochs=self.student_epochs, teacher=(self.teacher,))

    def _prune(self, task: Task) -> Prune | None:
        if not self.prunes:
            return None
        best = task.pruning
        step = Prune(
            ratio=self.prune / 100,
            unit=self.unit,
            blocks=self.blocks,
            epochs=best.epochs if self.epochs is None else self.epochs,
            distill=self.distill,
        )
        own = {**suiting(step, best), **with_effect(step, self.chosen.fields("prune"))}
        return replace(usual_where_idle(step), **{**own, "epochs": step.epochs})

    def _sparsify(self, task: Task) -> Sparsify | None:
        if not self.zeroes:
            return None
        step = Sparsify(distill=self.distill, **self.chosen.fields("sparsify"))
        epochs = task.epochs_with_zeros(step.method) if self.epochs is None else self.epochs
        if step.method is SparsifyMethod.GRADUAL and epochs == 0:  # it needs training to be so
            step = replace(step, method=SparsifyMethod.MAGNITUDE)
        patterned = step.pattern is not Pattern.UNSTRUCTURED
        return replace(step, sparsity=0.5 if patterned else self.sparsity / 100, epochs=epochs)

    def quantize(self) -> Quantize | None:
        """Return the quantization alone; None in FP32."""
        if not self.quantizes:
            half = self.precision is Precision.FP16
            return Quantize(precision=Precision.FP16) if half else None
        step = Quantize(
            precision=self.precision,
            **self.chosen.fields("quantize"),
        )
        return usual_where_idle(step)

    def _quantize_aware(self) -> QuantizeAware | None:
        if not self.trains_on_grid:
            return None
        return QuantizeAware(
            weight_bits=self.precision.bits,
            epochs=self.training,
            **self._as_the_file(),
            distill=self.distill,
            **self.chosen.fields("quantize_aware"),
        )

    def _as_the_file(self) -> dict[str, Any]:
        """Return fields that quantization-aware training shares with the file, as its scales."""
        shared = {each.name for each in FIELDS["quantize_aware"]}
        step = self.quantize()
        known = () if step is None else fields_of(step)
        return {each.name: getattr(step, each.name) for each in known if each.name in shared}


def settings_of(recipe: Recipe, task: Task) -> Settings | None:
    """Return the settings that mean this very recipe; None if it says more than they can."""
    aware, zeros = recipe.step(QuantizeAware), recipe.step(Sparsify)
    trained = recipe.training_steps()
    found = Settings(
        precision=recipe.precision,
        **_pruning_of(recipe.step(Prune), task),
        **_student_of(recipe.step(Replace), recipe.step(Distill)),
        distill=trained[0].distill if trained else True,
        fuse=recipe.step(Fuse) is not None,
        training=0.0 if aware is None else aware.epochs,
        sparsity=0 if zeros is None else round(100 * zeros.sparsity),
        chosen=_chosen_in(recipe, task),
    )
    if zeros is not None and zeros.epochs != task.epochs_with_zeros(zeros.method):
        found = replace(found, epochs=zeros.epochs)
    on_the_scale = (
        found.prune % FINEST_RATIO == 0
        and found.prune <= LARGEST_RATIO
        and found.sparsity % FINEST_RATIO == 0
        and found.blocks <= MOST_BLOCKS
        and within_controls(found.chosen)
    )
    return found if on_the_scale and found.recipe(task) == recipe else None


def _chosen_in(recipe: Recipe, task: Task) -> Chosen:
    """Return the fields of a recipe's steps that neither task nor precision would choose."""
    chosen = NOTHING_CHOSEN
    for step in recipe.steps:
        best = task.pruning if isinstance(step, Prune) else None
        chosen = chosen.of_step(step, best)
    return chosen


def _pruning_of(step: Prune | None, task: Task) -> dict[str, Any]:
    """Return the fields that say how much is pruned, and how long is trained if not as usual."""
    if step is None:
        return {"prune": 0}
    epochs = None if step.epochs == task.pruning.epochs else step.epochs
    prune = round(100 * step.ratio)
    return {"prune": prune, "unit": step.unit, "blocks": step.blocks, "epochs": epochs}


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


def with_quantize(settings: Settings, step: Quantize | None) -> Settings:
    """Return the same settings with another quantization; None is FP32."""
    if step is None:
        return replace(settings, precision=Precision.FP32)
    return replace(settings, precision=step.precision, chosen=settings.chosen.of_step(step))
