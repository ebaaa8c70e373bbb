"""The steps that change the network, before it becomes a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from optim.recipe.checks import check
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
)
from optim.recipe.fields import LEAST_RATIO, MAX_RATIO, check_fields


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
        check_fields(self, "replace")


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
        check_fields(self, "replace_activation")


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Structured pruning: remove whole blocks and channels, then fine-tune.

    Attributes:
        ratio: share that is removed, 0 to 0.95, of what ``unit`` says. A share of the channels
            takes about 1 - (1 - ratio)^2 of the parameters with it.
        blocks: how many residual blocks are removed first: each is replaced by its shortcut.
        epochs: fine-tuning after the cut, in passes over the training split; 0 trains nothing.
        distill: learn from the original network's answers as well as from the labels.
        keep_weights: False throws the remaining weights away and trains the small network from
            scratch: the honest control that a pruned one must beat.
        round_to: kept channels are a multiple of this (or of half of it, and so on, in layers too
            too narrow for it): kernels run in blocks, so latency is a staircase.
        unit: what ``ratio`` is a share of: channels, or the whole network's parameters or MACs.
        criterion: which channels of a layer are pruned. Of weights that are thrown away anyway it
            only matters with the global scope, and is L2 otherwise.
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
        check_fields(self, "prune")
        nothing = self.ratio == 0 and bool(self.blocks or self.layers)
        check(
            nothing or self.ratio >= LEAST_RATIO,
            f"prune ratio must be at least {LEAST_RATIO} and at most {MAX_RATIO}, got "
            f"{self.ratio!r}. Try 0.5, or leave the step out.",
        )
        check(
            self.rounds == 1 or self.has_ratio_alone,
            "prune rounds must be 1 beside layers with ratios of their own, or without a ratio.",
        )
        check(
            not self.layers or self.unit is PruningUnit.CHANNELS,
            "prune layers are shares of channels; leave unit at channels.",
        )
        if not self.keep_weights and self.scope is Scope.UNIFORM:
            object.__setattr__(self, "criterion", Criterion.L2)

    @property
    def has_ratio(self) -> bool:
        """True if a share of something is removed, by whatever layer it is."""
        return self.ratio > 0

    @property
    def has_ratio_alone(self) -> bool:
        """True if no layer has a ratio of its own: only then it can be cut in rounds."""
        return self.has_ratio and not self.layers

    @property
    def cuts_channels(self) -> bool:
        """True if channels are removed, not blocks alone."""
        return self.has_ratio or bool(self.layers)

    @property
    def epochs_per_round(self) -> float:
        """Fine-tuning after each cut."""
        return self.epochs / self.rounds

    def earlier_round(self) -> Prune | None:
        """Return the step that stops one round before this one; None if this is the first.

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
        check_fields(self, "distill")
        check(
            self.labels or self.alpha > 0,
            "distill without labels needs a teacher: alpha must be above 0.",
        )

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
        check_fields(self, "sparsify")
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


@dataclass(frozen=True, kw_only=True)
class QuantizeAware:
    """Quantization-aware training: the network learns with the quantizers that its file will have.

    A ``Quantize`` step of the same weights must follow; it writes the quantizers that were trained.

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
        check_fields(self, "quantize_aware")

    @property
    def precision(self) -> Precision:
        """The precision of the file that it trains for."""
        return next(each for each in INTEGER_PRECISIONS if each.bits == self.weight_bits)
