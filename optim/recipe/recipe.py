"""A recipe: the ordered steps that make a small network out of a large one.

    (prune 50 % of channels) -> (INT8)

A recipe is a value. It checks its own order, round-trips through JSON and YAML, and names itself by
its content: the same steps give the same fingerprint on every machine.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, get_args

from optim.errors import BrokenRecipeError
from optim.recipe.checks import check, check_whole
from optim.recipe.choices import Precision, parse_precision
from optim.recipe.field import first_name, plain_value
from optim.recipe.fields import FORMAT
from optim.recipe.graph_steps import Fuse, Quantize
from optim.recipe.reading import (
    only_keys,
    plain_from_text,
    step_to_plain,
    steps_from_plain,
    version_of,
)
from optim.recipe.step_words import step_words
from optim.recipe.steps import (
    STEP_ORDER,
    STEP_VERSIONS,
    S,
    Step,
    TrainingStep,
    fields_of,
    step_kind,
    told_fields,
)
from optim.recipe.training_steps import (
    Distill,
    Prune,
    QuantizeAware,
    Replace,
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An ordered tuple of steps, each kind at most once, training steps before graph steps.

    >>> recipe = Recipe(steps=(Prune(ratio=0.5), Quantize(precision=Precision.INT8)))
    >>> recipe.words()
    'prune 50 % of channels, INT8'
    >>> Recipe.from_dict(recipe.to_dict()) == recipe
    True
    """

    steps: tuple[Step, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        kinds = [step_kind(step) for step in self.steps]
        check(
            len(set(kinds)) == len(kinds),
            f"each kind of step may stand once in a recipe; got {', '.join(kinds)}.",
        )
        check(
            kinds == sorted(kinds, key=STEP_ORDER.index),
            f"steps must stand in the order {', '.join(STEP_ORDER)}; got {', '.join(kinds)}.",
        )
        check(
            "mixed_precision" not in kinds or "quantize" in kinds,
            "mixed_precision changes single layers of a quantize step; put one before it.",
        )
        check(
            not {"sparsify", "quantize_aware"} <= set(kinds),
            "quantize_aware after sparsify would fill the zeros again; leave one of them out, and "
            "quantize afterwards.",
        )
        check_whole(self.seed, 0, 2**31 - 1, "seed", "Try 0.")

    @property
    def fingerprint(self) -> str:
        """The recipe's name: 16 hexadecimal digits, from its content and the steps' versions.

        Fields at their usual values do not count, so that a new option renames no old recipe.
        """
        told = [[step_kind(s), STEP_VERSIONS[step_kind(s)], _unusual(s)] for s in self.steps]
        text = json.dumps([told, self.seed], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def precision(self) -> Precision:
        """The precision of the file: FP32 unless a step says otherwise."""
        step = self.step(Quantize)
        return Precision.FP32 if step is None else step.precision

    @property
    def is_control(self) -> bool:
        """True for what compression must beat: a pruned network's shape trained from scratch, or a
        student without a teacher."""
        pruned, student, distilled = self.step(Prune), self.step(Replace), self.step(Distill)
        if student is not None:
            taught = student.distill and student.epochs > 0
            return not taught and (distilled is None or not distilled.distill)
        return pruned is not None and not pruned.keep_weights

    @property
    def pruning_ratio(self) -> float:
        """Share of the ``pruning_unit`` that is removed, 0 without a ``Prune`` step."""
        step = self.step(Prune)
        return 0.0 if step is None else step.ratio

    @property
    def pruning_unit(self) -> str | None:
        """Unit of ``pruning_ratio``: channels, parameters or macs; None without one."""
        step = self.step(Prune)
        return None if step is None else str(step.unit)

    @property
    def pruning_rounds(self) -> int:
        """Number of rounds in which channels are removed, 0 without a ``Prune`` step."""
        step = self.step(Prune)
        return 0 if step is None else step.rounds

    def step(self, kind: type[S]) -> S | None:
        """Return the step of this type, if there is one."""
        return next((step for step in self.steps if isinstance(step, kind)), None)

    def earlier_round(self) -> Recipe | None:
        """Return the recipe that stops one round of pruning before this one, or None."""
        step = self.step(Prune)
        earlier = None if step is None else step.earlier_round()
        return None if earlier is None else self.with_step(earlier)

    def with_step(self, step: Step) -> Recipe:
        """Return the recipe with a step in its place, instead of its own of that kind."""
        others = self.without(type(step)).steps
        steps = sorted((*others, step), key=lambda each: STEP_ORDER.index(step_kind(each)))
        return Recipe(steps=tuple(steps), seed=self.seed)

    def without(self, *kinds: type[Step]) -> Recipe:
        """Return the recipe without its steps of these types."""
        kept = tuple(step for step in self.steps if not isinstance(step, kinds))
        return Recipe(steps=kept, seed=self.seed)

    def training_steps(self) -> tuple[TrainingStep, ...]:
        """Return the steps that change the network in torch, in order."""
        return tuple(step for step in self.steps if isinstance(step, get_args(TrainingStep)))

    def training_prefix(self) -> Recipe:
        """Return the steps that change the network in torch; shared by every precision of it."""
        return Recipe(steps=self.training_steps(), seed=self.seed)

    def words(self) -> str:
        """Return the recipe in a few words for people."""
        return ", ".join(map(step_words, self.steps)) or "original, FP32"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON or YAML."""
        steps = list(map(step_to_plain, self.steps))
        return {"version": version_of(self.steps), "seed": self.seed, "steps": steps}

    @classmethod
    def from_dict(cls, data: object) -> Recipe:
        """Return the inverse of ``to_dict``.

        Raises:
            BrokenRecipeError: naming the key that is wrong.
        """
        if not isinstance(data, dict):
            raise BrokenRecipeError(
                "a recipe must be a table with the key 'steps'; "
                f"got {type(data).__name__}. See `edge-optim run --help` for an example."
            )
        only_keys(data, {"version", "seed", "steps"}, "the recipe")
        if data.get("version", 1) not in range(1, FORMAT + 1):
            known = "only version 1 is" if FORMAT == 1 else f"versions 1 to {FORMAT} are"
            raise BrokenRecipeError(
                f"this recipe has version {data['version']!r}, and {known} known here. "
                "Update edge-optim, or write the recipe anew."
            )
        try:
            return cls(steps=steps_from_plain(data.get("steps", [])), seed=data.get("seed", 0))
        except (ValueError, TypeError) as error:
            raise BrokenRecipeError(f"the recipe is wrong: {error}") from error

    def to_yaml(self) -> str:
        """Return the recipe as a YAML text."""
        import yaml

        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    @classmethod
    def from_text(cls, text: str) -> Recipe:
        """Read a recipe from JSON or YAML, as if a stranger had written it.

        Raises:
            BrokenRecipeError: too long, neither JSON nor YAML, nested deep, aliases, foreign tags,
                unknown keys or values.
        """
        return cls.from_dict(plain_from_text(text))


def recipe_of(
    *,
    precision: Precision | str = Precision.FP32,
    pruning_ratio: float = 0.0,
    blocks: int = 0,
    epochs: float = 1.0,
    distill: bool = True,
    fuse: bool = False,
    seed: int = 0,
    quantize_aware: QuantizeAware | None = None,
    quantize: Quantize | None = None,
) -> Recipe:
    """Return the recipe that the two sliders and the toggles mean.

    Args:
        precision: of the file; left out where ``quantize`` says it.
        pruning_ratio, blocks, epochs, distill: of the ``Prune`` step; there is none if both the
            ratio and the blocks are 0.
        fuse: fold layers in the file.
        seed: of everything random.
        quantize_aware: train quantization-aware first.
        quantize: the quantization with all its options instead of ``precision`` alone.

    Raises:
        ValueError: if a value is out of range.

    >>> recipe_of(precision="int8", pruning_ratio=0.5).words()
    'prune 50 % of channels, INT8'
    """
    precision = parse_precision(precision)
    if quantize is None and precision is not Precision.FP32:
        quantize = Quantize(precision=precision)
    pruned = pruning_ratio != 0 or blocks != 0
    steps: tuple[Step | None, ...] = (
        Prune(ratio=pruning_ratio, blocks=blocks, distill=distill, epochs=epochs)
        if pruned
        else None,
        quantize_aware,
        Fuse() if fuse else None,
        quantize,
    )
    return Recipe(steps=tuple(step for step in steps if step is not None), seed=seed)


def _unusual(step: Step) -> dict[str, Any]:
    """Return a step's unusual fields as plain data, under their first words.

    A word of a list that is called otherwise today keeps its first name here.
    """
    told = told_fields(step)
    return {
        each.name: first_name(plain_value(told[each.name], each.kind), each.kind)
        for each in fields_of(step)
        if each.name in told
    }
