"""A recipe: the ordered steps that make a small network out of a large one.

    (prune 50 % of channels) -> (INT8)

A recipe is a value. It checks its own order, round-trips through JSON and YAML, and names itself by
its content: the same steps give the same fingerprint on every machine.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar, assert_never

from optim.errors import BrokenRecipeError

MAX_RECIPE_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_RATIO = 0.95


class Precision(StrEnum):
    """How numbers are stored in the file."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT4 = "int4"


class Calibration(StrEnum):
    """How the range of an activation is read off the calibration examples."""

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Structured pruning: remove whole channels, then fine-tune.

    Attributes:
        ratio: share of the *channels* removed in every prunable layer, 0 < ratio <= 0.95. About
            1 - (1 - ratio)^2 of the parameters go with them.
        epochs: fine-tuning after the cut, in passes over the training split; 0 trains nothing.
        distill: learn from the original network's answers as well as from the labels.
        keep_weights: False throws the remaining weights away and trains the small network from
            scratch: the honest control that a pruned one must beat.
        round_to: kept channels are a multiple of this (or of half of it, and so on, in layers too
            narrow for it): kernels run in blocks, so latency is a staircase.
    """

    ratio: float
    epochs: float = 1.0
    distill: bool = True
    keep_weights: bool = True
    round_to: int = 16

    def __post_init__(self) -> None:
        _check(
            _is_number(self.ratio) and 0.0 < self.ratio <= MAX_RATIO,
            f"prune ratio must be above 0 and at most {MAX_RATIO}, got {self.ratio!r}. "
            "A layer needs at least one channel; try 0.9.",
        )
        _check(
            _is_number(self.epochs) and 0.0 <= self.epochs <= 200,
            f"prune epochs must be between 0 and 200, got {self.epochs!r}. Try 1.",
        )
        _check(
            isinstance(self.distill, bool),
            f"prune distill must be true or false, got {self.distill!r}.",
        )
        _check(
            isinstance(self.keep_weights, bool),
            f"prune keep_weights must be true or false, got {self.keep_weights!r}.",
        )
        _check(
            _is_whole(self.round_to) and 1 <= self.round_to <= 256,
            f"prune round_to must be a whole number from 1 to 256, got {self.round_to!r}. Try 16.",
        )
        object.__setattr__(self, "ratio", float(self.ratio))
        object.__setattr__(self, "epochs", float(self.epochs))


@dataclass(frozen=True, kw_only=True)
class Fuse:
    """Fold batch norms and constants into the layers before them, in the file itself.

    The engine does the same each time it loads a file, so this changes size and load time, not
    latency. INT8 and INT4 always include it.
    """


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """Post-training quantization: ranges come from calibration examples, no training.

    Attributes:
        precision: FP16, INT8 (weights and activations) or INT4 (weights alone).
        calibration: how activation ranges are chosen; INT8 only.
        per_channel: one scale per output channel instead of one per tensor.
        calibration_examples: how many training examples the ranges are read from.
    """

    precision: Precision = Precision.INT8
    calibration: Calibration = Calibration.MINMAX
    per_channel: bool = True
    calibration_examples: int = 512

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", parse_precision(self.precision))
        _check(
            self.precision is not Precision.FP32,
            "quantize precision must be fp16, int8 or int4: fp32 is the network as it is. "
            "Leave the step out.",
        )
        choices = ", ".join(Calibration)
        _check(
            self.calibration in list(Calibration),
            f"quantize calibration must be one of {choices}; got {self.calibration!r}.",
        )
        object.__setattr__(self, "calibration", Calibration(self.calibration))
        _check(
            isinstance(self.per_channel, bool),
            f"quantize per_channel must be true or false, got {self.per_channel!r}.",
        )
        _check(
            _is_whole(self.calibration_examples) and 8 <= self.calibration_examples <= 512,
            "quantize calibration_examples must be a whole number from 8 to 512, "
            f"got {self.calibration_examples!r}. Try 512.",
        )


Step = Prune | Fuse | Quantize
S = TypeVar("S", Prune, Fuse, Quantize)

STEP_TYPES: dict[str, type[Prune] | type[Fuse] | type[Quantize]] = {
    "prune": Prune,
    "fuse": Fuse,
    "quantize": Quantize,
}
STEP_ORDER = tuple(STEP_TYPES)
STEP_VERSIONS = {"prune": 1, "fuse": 1, "quantize": 1}
"""Raised when a step's algorithm changes its result: old candidates are not taken for new ones."""


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
        _check(
            len(set(kinds)) == len(kinds),
            f"each kind of step may stand once in a recipe; got {', '.join(kinds)}.",
        )
        _check(
            kinds == sorted(kinds, key=STEP_ORDER.index),
            f"steps must stand in the order {', '.join(STEP_ORDER)}; got {', '.join(kinds)}.",
        )
        _check(
            _is_whole(self.seed) and 0 <= self.seed < 2**31,
            f"seed must be a whole number from 0, got {self.seed!r}.",
        )

    @property
    def fingerprint(self) -> str:
        """The recipe's name: 16 hexadecimal digits, from its content and the steps' versions."""
        versions = {kind: STEP_VERSIONS[kind] for kind in map(step_kind, self.steps)}
        text = json.dumps([self.to_dict(), versions], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def precision(self) -> Precision:
        """The precision of the file: FP32 unless a step says otherwise."""
        step = self.step(Quantize)
        return Precision.FP32 if step is None else step.precision

    @property
    def is_control(self) -> bool:
        """True if the small network is trained from scratch instead of pruned."""
        step = self.step(Prune)
        return step is not None and not step.keep_weights

    @property
    def pruning_ratio(self) -> float:
        """Share of the channels removed, 0 without a ``Prune`` step."""
        step = self.step(Prune)
        return 0.0 if step is None else step.ratio

    def step(self, kind: type[S]) -> S | None:
        """The step of this type, if there is one."""
        return next((step for step in self.steps if isinstance(step, kind)), None)

    def training_prefix(self) -> Recipe:
        """The steps that change the network in torch; shared by every precision of it."""
        return Recipe(
            steps=tuple(step for step in self.steps if isinstance(step, Prune)), seed=self.seed
        )

    def words(self) -> str:
        """The recipe in a few words for people."""
        return ", ".join(map(step_words, self.steps)) or "original, FP32"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON or YAML."""
        steps = [{"step": step_kind(step), **_plain(asdict(step))} for step in self.steps]
        return {"version": 1, "seed": self.seed, "steps": steps}

    @classmethod
    def from_dict(cls, data: object) -> Recipe:
        """The inverse of ``to_dict``.

        Raises:
            BrokenRecipeError: naming the key that is wrong.
        """
        if not isinstance(data, dict):
            raise BrokenRecipeError(
                "a recipe must be a table with the key 'steps'; "
                f"got {type(data).__name__}. See `edge-optim run --help` for an example."
            )
        _only_keys(data, {"version", "seed", "steps"}, "the recipe")
        if data.get("version", 1) != 1:
            raise BrokenRecipeError(
                f"this recipe has version {data['version']!r}, and only version 1 is known here. "
                "Update edge-optim, or write the recipe anew."
            )
        steps = data.get("steps", [])
        if not isinstance(steps, list) or len(steps) > 16:
            raise BrokenRecipeError("'steps' must be a list of at most 16 steps.")
        try:
            return cls(steps=tuple(map(_step_from_dict, steps)), seed=data.get("seed", 0))
        except (ValueError, TypeError) as error:
            raise BrokenRecipeError(f"the recipe is wrong: {error}") from error

    def to_yaml(self) -> str:
        """The recipe as a YAML text."""
        import yaml

        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    @classmethod
    def from_text(cls, text: str) -> Recipe:
        """Read a recipe from JSON or YAML, as if a stranger had written it.

        Raises:
            BrokenRecipeError: too long, neither JSON nor YAML, nested deep, aliases, foreign tags,
                unknown keys or values.
        """
        if len(text.encode()) > MAX_RECIPE_BYTES:
            raise BrokenRecipeError(
                f"a recipe file may have {MAX_RECIPE_BYTES // 1024} KB, this one has more. "
                "Is it really a recipe?"
            )
        try:  # JSON first: YAML reads its 1e-05 as a word
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = _from_yaml(text)
        return cls.from_dict(data)


def recipe_of(
    *,
    precision: Precision | str = Precision.FP32,
    pruning_ratio: float = 0.0,
    epochs: float = 1.0,
    distill: bool = True,
    fuse: bool = False,
    seed: int = 0,
) -> Recipe:
    """The recipe that the two sliders and the toggles mean.

    Raises:
        ValueError: if a value is out of range.

    >>> recipe_of(precision="int8", pruning_ratio=0.5).words()
    'prune 50 % of channels, INT8'
    """
    precision = parse_precision(precision)
    steps: list[Step] = []
    if pruning_ratio != 0:
        steps.append(Prune(ratio=pruning_ratio, distill=distill, epochs=epochs))
    if fuse:
        steps.append(Fuse())
    if precision is not Precision.FP32:
        steps.append(Quantize(precision=precision))
    return Recipe(steps=tuple(steps), seed=seed)


def parse_precision(text: object) -> Precision:
    """Read a precision, in either case.

    Raises:
        ValueError: with the choices.
    """
    try:
        return Precision(str(text).lower())
    except ValueError:
        raise ValueError(
            f"precision must be one of {', '.join(Precision)}; got {str(text)!r}."
        ) from None


def step_kind(step: Step) -> str:
    """The name of a step's type in files."""
    match step:
        case Prune():
            return "prune"
        case Fuse():
            return "fuse"
        case Quantize():
            return "quantize"
        case _:
            assert_never(step)


def step_words(step: Step) -> str:
    """One step in a few words."""
    match step:
        case Prune():
            words = f"prune {step.ratio:.0%} of channels".replace("%", " %")
            if not step.keep_weights:
                words = f"{step.ratio:.0%} fewer channels from scratch".replace("%", " %")
            if step.epochs != 1.0:
                words += f" ({step.epochs:g} epochs)"
            return words if step.distill else words + " (labels only)"
        case Fuse():
            return "fuse"
        case Quantize():
            words = step.precision.upper()
            if step.calibration is not Calibration.MINMAX:
                words += f" ({step.calibration})"
            return words if step.per_channel else words + " per tensor"
        case _:
            assert_never(step)


def _from_yaml(text: str) -> object:
    """The data in a YAML text; what would be slow to read is refused before it is."""
    import yaml

    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise BrokenRecipeError("a recipe file may not use YAML aliases (*name).")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise BrokenRecipeError(f"a recipe file may be nested {MAX_DEPTH} levels deep.")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise BrokenRecipeError(f"the recipe file is not readable YAML: {reason}.") from error


def _step_from_dict(data: object) -> Step:
    if not isinstance(data, dict) or data.get("step") not in STEP_ORDER:
        raise BrokenRecipeError(
            f"each step needs 'step: NAME' with one of {', '.join(STEP_TYPES)}; got {data!r:.80}."
        )
    kind = STEP_TYPES[data["step"]]
    values = {key: value for key, value in data.items() if key != "step"}
    _only_keys(values, {field.name for field in fields(kind)}, f"the step {data['step']!r}")
    return kind(**values)


def _only_keys(data: dict[Any, Any], known: set[str], where: str) -> None:
    for key in data:
        if key not in known:
            allowed = ", ".join(sorted(known)) or "no keys"
            raise BrokenRecipeError(f"{where} has an unknown key {key!r:.60}; known: {allowed}.")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: str(v) if isinstance(v, StrEnum) else v for key, v in values.items()}


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
