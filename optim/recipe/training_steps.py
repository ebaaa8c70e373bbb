"""The steps that change the network, before it becomes a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optim.recipe.checks import check, check_flag, check_number, check_whole, is_number
from optim.recipe.choices import (
    INTEGER_PRECISIONS,
    Activation,
    Architecture,
    Criterion,
    DistillationLoss,
    Pattern,
    Precision,
    PruningUnit,
    Scope,
    SparsifyMethod,
    parse_choice,
)

LEAST_RATIO, MAX_RATIO = 1e-4, 0.95
MAX_EPOCHS = 200
MAX_LAYERS = 1000
MAX_TEACHERS = 4


@dataclass(frozen=True, kw_only=True)
class Replace:
    """Another architecture takes the network's place and is trained from its answers: a student.

    Attributes:
        architecture: the family.
        width: of every layer, as a share of the architecture's own.
        stride: of the first layer; 2 halves the resolution of everything behind it.
        epochs: passes over the training split; 0 leaves the training to a ``Distill`` step.
        distill: learn from the original network's answers as well as from the labels.
    """

    architecture: Architecture
    width: float = 1.0
    stride: int = 1
    epochs: float = 10.0
    distill: bool = True

    def __post_init__(self) -> None:
        family = parse_choice(Architecture, self.architecture, "replace architecture")
        object.__setattr__(self, "architecture", family)
        check_number(self.width, 0.1, 1, "replace width", "Try 0.5.")
        check_whole(self.stride, 1, 2, "replace stride", "Try 1.")
        check_number(self.epochs, 0, MAX_EPOCHS, "replace epochs", "Try 10.")
        check_flag(self.distill, "replace distill")
        object.__setattr__(self, "width", float(self.width))
        object.__setattr__(self, "epochs", float(self.epochs))


@dataclass(frozen=True, kw_only=True)
class ReplaceActivation:
    """Give the network another activation function and fine-tune it: a remedy for slow kernels.

    Engines have integer kernels for ReLU, but not for HardSwish, SiLU or GELU; these stay in float
    with conversions around them.

    Attributes:
        activation: what every HardSwish, SiLU, GELU, Hardsigmoid or ELU becomes.
        epochs: fine-tuning afterwards, in passes over the training split.
        distill: learn from the original network's answers as well as from the labels.
    """

    activation: Activation = Activation.RELU
    epochs: float = 1.0
    distill: bool = True

    def __post_init__(self) -> None:
        kind = parse_choice(Activation, self.activation, "replace_activation activation")
        object.__setattr__(self, "activation", kind)
        check_number(self.epochs, 0, MAX_EPOCHS, "replace_activation epochs", "Try 1.")
        check_flag(self.distill, "replace_activation distill")
        object.__setattr__(self, "epochs", float(self.epochs))


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Structured pruning: remove whole blocks and channels, then fine-tune.

    Attributes:
        ratio: share that is removed, 0 to 0.95, of what ``unit`` says. A share of the channels
            takes about 1 - (1 - ratio)^2 of the parameters with it.
        blocks: how many residual blocks leave first: each is replaced by its shortcut.
        epochs: fine-tuning after the cut, in passes over the training split; 0 trains nothing.
        distill: learn from the original network's answers as well as from the labels.
        keep_weights: False throws the remaining weights away and trains the small network from
            scratch: the honest control that a pruned one must beat.
        round_to: kept channels are a multiple of this (or of half of it, and so on, in layers too
            too narrow for it): kernels run in blocks, so latency is a staircase.
        unit: what ``ratio`` is a share of: channels, or the whole network's parameters or MACs.
        criterion: which channels of a layer leave. Of weights that are thrown away anyway it only
            matters with the global scope, and is L2 otherwise.
        scope: the same share in every layer, or what matters least in the whole network.
        layers: shares of the channels of single layers, by the name of the group's first layer in
            the torch network; they stand instead of ``ratio`` there. Kept as pairs in the order of
            the names.
        rounds: 1 cuts at once. More cut a little, train, and cut again: the share that stays
            shrinks by the same factor each time, and ``epochs`` are spread evenly over the rounds.
    """

    ratio: float
    blocks: int = 0
    epochs: float = 1.0
    distill: bool = True
    keep_weights: bool = True
    round_to: int = 16
    unit: PruningUnit = PruningUnit.CHANNELS
    criterion: Criterion = Criterion.L2
    scope: Scope = Scope.UNIFORM
    layers: tuple[tuple[str, float], ...] = field(default=())
    rounds: int = 1

    def __post_init__(self) -> None:
        check_whole(self.blocks, 0, 64, "prune blocks", "Try 1.")
        object.__setattr__(self, "layers", _layer_ratios(self.layers))
        nothing = self.ratio == 0 and bool(self.blocks or self.layers)
        check(
            is_number(self.ratio) and (nothing or LEAST_RATIO <= self.ratio <= MAX_RATIO),
            f"prune ratio must be at least {LEAST_RATIO} and at most {MAX_RATIO}, got "
            f"{self.ratio!r}. A layer needs at least one channel; try 0.9.",
        )
        check_number(self.epochs, 0, MAX_EPOCHS, "prune epochs", "Try 1.")
        check_flag(self.distill, "prune distill")
        check_flag(self.keep_weights, "prune keep_weights")
        check_whole(self.round_to, 1, 256, "prune round_to", "Try 16.")
        check_whole(self.rounds, 1, 20, "prune rounds", "Try 4.")
        chosen = {
            "unit": parse_choice(PruningUnit, self.unit, "prune unit"),
            "criterion": parse_choice(Criterion, self.criterion, "prune criterion"),
            "scope": parse_choice(Scope, self.scope, "prune scope"),
        }
        for name, value in chosen.items():
            object.__setattr__(self, name, value)
        check(
            self.rounds == 1 or (self.ratio > 0 and not self.layers),
            "prune rounds must be 1 beside layers with ratios of their own, or without a ratio.",
        )
        check(
            not self.layers or self.unit is PruningUnit.CHANNELS,
            "prune layers are shares of channels; leave unit at channels.",
        )
        if not self.keep_weights and self.scope is Scope.UNIFORM:
            object.__setattr__(self, "criterion", Criterion.L2)
        object.__setattr__(self, "ratio", float(self.ratio))
        object.__setattr__(self, "epochs", float(self.epochs))

    @property
    def epochs_per_round(self) -> float:
        """Fine-tuning after each cut."""
        return self.epochs / self.rounds

    def earlier_round(self) -> Prune | None:
        """The step that stops one round before this one; None if this is the first.

        It is a step like any other, so what it makes is a candidate of its own.
        """
        if self.rounds == 1:
            return None
        done = (self.rounds - 1) / self.rounds
        ratio = max(LEAST_RATIO, round(1 - (1 - self.ratio) ** done, 6))
        return replace(self, ratio=ratio, rounds=self.rounds - 1, epochs=self.epochs * done)


@dataclass(frozen=True, kw_only=True)
class Distill:
    """Knowledge distillation: the network as the steps before left it learns from a teacher.

    Attributes:
        epochs: passes over the training split.
        teacher: names of the sample tasks on the same data whose networks teach; several are an
            ensemble, their answers are averaged. Empty is the original network.
        loss: what of the teacher is imitated.
        temperature: softens the answers: the logits are divided by it.
        alpha: weight of the teacher against the labels, 0 to 1; 0 is training without a teacher.
        labels: False uses no label of the training split: the teacher labels unlabelled data.
        data_share: share of the training split that is used, above 0 to 1, drawn by the seed and
            the same from each class.
        patience: stop after so many epochs without a better accuracy on validation; 0 never does.
    """

    epochs: float = 5.0
    teacher: tuple[str, ...] = field(default=())
    loss: DistillationLoss = DistillationLoss.SOFT
    temperature: float = 4.0
    alpha: float = 0.7
    labels: bool = True
    data_share: float = 1.0
    patience: int = 0

    def __post_init__(self) -> None:
        given = tuple(self.teacher)
        check(
            len(given) <= MAX_TEACHERS
            and len(set(given)) == len(given)
            and all(isinstance(name, str) and 0 < len(name) <= 100 for name in given),
            f"distill teacher must be a list of at most {MAX_TEACHERS} names, each once.",
        )
        object.__setattr__(self, "teacher", given)
        loss = parse_choice(DistillationLoss, self.loss, "distill loss")
        object.__setattr__(self, "loss", loss)
        check_number(self.epochs, 0, MAX_EPOCHS, "distill epochs", "Try 5.")
        check_number(self.temperature, 0.5, 20, "distill temperature", "Try 4.")
        check_number(self.alpha, 0, 1, "distill alpha", "Try 0.7.")
        check_flag(self.labels, "distill labels")
        check_number(self.data_share, 0.001, 1, "distill data_share", "Try 0.1.")
        check_whole(self.patience, 0, MAX_EPOCHS, "distill patience", "Try 3.")
        check(
            self.labels or self.alpha > 0,
            "distill without labels needs a teacher: alpha must be above 0.",
        )
        for name in ("epochs", "temperature", "alpha", "data_share"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def distill(self) -> bool:
        """True if there is a teacher."""
        return self.alpha > 0


@dataclass(frozen=True, kw_only=True)
class Sparsify:
    """Unstructured and semi-structured pruning: single weights become zero, shapes stay.

    A dense engine computes zeros as fast as any number and stores them as large: only the
    compressed file shrinks. It takes a sparse engine to make them fast.

    Attributes:
        sparsity: share of zeros, 0 to 0.99; with a pattern of N:M it is what the pattern gives.
        pattern: which zeros are allowed.
        scope: the same share in every layer, or the smallest of the whole network.
        method: how weights are chosen and become zero.
        epochs: training with the zeros held, in passes over the training split.
        distill: learn from the original network's answers as well as from the labels.
    """

    sparsity: float = 0.5
    pattern: Pattern = Pattern.UNSTRUCTURED
    scope: Scope = Scope.UNIFORM
    method: SparsifyMethod = SparsifyMethod.MAGNITUDE
    epochs: float = 1.0
    distill: bool = True

    def __post_init__(self) -> None:
        check(
            is_number(self.sparsity) and 0 < self.sparsity <= 0.99,
            f"sparsify sparsity must be above 0 and at most 0.99, got {self.sparsity!r}. Try 0.5.",
        )
        chosen = {
            "pattern": parse_choice(Pattern, self.pattern, "sparsify pattern"),
            "scope": parse_choice(Scope, self.scope, "sparsify scope"),
            "method": parse_choice(SparsifyMethod, self.method, "sparsify method"),
        }
        for name, value in chosen.items():
            object.__setattr__(self, name, value)
        check_number(self.epochs, 0, MAX_EPOCHS, "sparsify epochs", "Try 1.")
        check_flag(self.distill, "sparsify distill")
        patterned = self.pattern is not Pattern.UNSTRUCTURED
        check(
            not patterned or (self.sparsity == 0.5 and self.scope is Scope.UNIFORM),
            f"sparsify pattern {self.pattern} makes half of every layer zero: leave sparsity at "
            "0.5 and scope at uniform.",
        )
        check(
            self.method is not SparsifyMethod.GRADUAL or self.epochs > 0,
            "sparsify method gradual makes zeros while training: epochs must be above 0.",
        )
        object.__setattr__(self, "sparsity", float(self.sparsity))
        object.__setattr__(self, "epochs", float(self.epochs))


@dataclass(frozen=True, kw_only=True)
class QuantizeAware:
    """Quantization-aware training: the network learns on the grid that its file will have.

    A ``Quantize`` step of the same weights must follow; it writes the very grid that was trained.

    Attributes:
        weight_bits: 8 or 4; activations have 8.
        epochs: passes over the training split.
        per_channel: one weight scale per output channel instead of one per tensor.
        learned_scales: the scales are trained too (LSQ, Esser et al. 2020).
        distill: learn from the original network's answers as well as from the labels.
    """

    weight_bits: int = 4
    epochs: float = 1.0
    per_channel: bool = True
    learned_scales: bool = False
    distill: bool = True

    def __post_init__(self) -> None:
        check(
            self.weight_bits in (4, 8),
            f"quantize_aware weight_bits must be 4 or 8, got {self.weight_bits!r}.",
        )
        check_number(self.epochs, 0, MAX_EPOCHS, "quantize_aware epochs", "Try 1.")
        check_flag(self.per_channel, "quantize_aware per_channel")
        check_flag(self.learned_scales, "quantize_aware learned_scales")
        check_flag(self.distill, "quantize_aware distill")
        object.__setattr__(self, "epochs", float(self.epochs))

    @property
    def precision(self) -> Precision:
        """The precision of the file that it trains for."""
        return next(each for each in INTEGER_PRECISIONS if each.bits == self.weight_bits)


def _layer_ratios(layers: object) -> tuple[tuple[str, float], ...]:
    """Pairs of name and ratio in the order of the names, from a table or from pairs."""
    given = layers.items() if isinstance(layers, Mapping) else layers
    try:
        pairs = [(name, share) for name, share in given]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        pairs = [("", 0.0)]
    check(
        all(isinstance(name, str) and 0 < len(name) <= 200 for name, _ in pairs)
        and len({name for name, _ in pairs}) == len(pairs) <= MAX_LAYERS,
        f"prune layers must be a table from layer names to ratios, at most {MAX_LAYERS}, each name "
        "once.",
    )
    for name, share in pairs:
        check_number(share, 0, MAX_RATIO, f"prune layers {name}", "Try 0.5.")
    return tuple(sorted((name, float(share)) for name, share in pairs))
