"""Strategies of Hypothesis: any step, and any recipe, that is allowed."""

from __future__ import annotations

from hypothesis import strategies as st

from optim.recipe import (
    Activation,
    Activations,
    Architecture,
    Calibration,
    Criterion,
    Distill,
    DistillationLoss,
    Fuse,
    MixedPrecision,
    Pattern,
    Precision,
    Prune,
    PruningUnit,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Rounding,
    Scope,
    Sparsify,
    SparsifyMethod,
    Step,
)

EPOCHS = st.floats(0, 200)
NAMES = st.text("abc.1", min_size=1, max_size=8)
STUDENTS = st.builds(
    Replace,
    architecture=st.sampled_from(list(Architecture)),
    width=st.floats(0.1, 1),
    stride=st.integers(1, 2),
    epochs=EPOCHS,
    distill=st.booleans(),
)
ACTIVATIONS = st.builds(ReplaceActivation, activation=st.sampled_from(list(Activation)))
_ANY_PRUNE = {
    "epochs": EPOCHS,
    "distill": st.booleans(),
    "blocks": st.integers(0, 64),
    "keep_weights": st.booleans(),
    "round_to": st.integers(1, 256),
    "criterion": st.sampled_from(list(Criterion)),
    "scope": st.sampled_from(list(Scope)),
}
PRUNES = st.one_of(
    st.builds(
        Prune,
        ratio=st.floats(0.01, 0.95),
        unit=st.sampled_from(list(PruningUnit)),
        rounds=st.integers(1, 20),
        **_ANY_PRUNE,
    ),
    st.builds(
        Prune,
        ratio=st.just(0.0) | st.floats(1e-4, 0.95),
        layers=st.dictionaries(NAMES, st.floats(0, 0.95), min_size=1, max_size=4),
        **_ANY_PRUNE,
    ),
)
DISTILLS = st.builds(
    Distill,
    epochs=EPOCHS,
    teacher=st.lists(NAMES, max_size=4, unique=True),
    loss=st.sampled_from(list(DistillationLoss)),
    temperature=st.floats(0.5, 20),
    alpha=st.floats(0.01, 1),
    labels=st.booleans(),
    data_share=st.floats(0.001, 1),
    patience=st.integers(0, 200),
) | st.builds(Distill, alpha=st.just(0.0), epochs=EPOCHS)
SPARSIFIES = st.builds(
    Sparsify,
    sparsity=st.floats(0.01, 0.99),
    scope=st.sampled_from(list(Scope)),
    method=st.sampled_from(list(SparsifyMethod)),
    epochs=st.floats(0.5, 200),
    distill=st.booleans(),
) | st.builds(
    Sparsify,
    pattern=st.sampled_from([Pattern.TWO_OF_FOUR, Pattern.FOUR_OF_EIGHT]),
    method=st.sampled_from(list(SparsifyMethod)),
    epochs=st.floats(0.5, 200),
)
AWARE = st.builds(QuantizeAware, weight_bits=st.sampled_from([4, 8]), learned_scales=st.booleans())
QUANTIZES = st.builds(
    Quantize,
    precision=st.sampled_from([Precision.FP16, Precision.INT8, Precision.INT4]),
    activations=st.none() | st.sampled_from(list(Activations)),
    calibration=st.sampled_from(list(Calibration)),
    calibration_examples=st.integers(8, 512),
    calibration_seed=st.integers(0, 2**31 - 1),
    per_channel=st.booleans(),
    rounding=st.none() | st.sampled_from(list(Rounding)),
    bias_correction=st.booleans(),
    equalize=st.booleans(),
    smooth=st.floats(0, 1),
)
MIXED = st.builds(
    MixedPrecision,
    layers=st.dictionaries(
        NAMES, st.sampled_from([Precision.FP32, Precision.INT8, Precision.INT4]), max_size=4
    ),
)
FUSES = st.builds(Fuse)
STEPS = st.one_of(
    STUDENTS, ACTIVATIONS, PRUNES, DISTILLS, SPARSIFIES, AWARE, FUSES, QUANTIZES, MIXED
)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any recipe that is allowed."""
    last = draw(st.sampled_from([SPARSIFIES, AWARE]))  # the one would undo the other
    kinds = (STUDENTS, ACTIVATIONS, PRUNES, DISTILLS, last, FUSES, QUANTIZES)
    drawn: list[Step | None] = [draw(st.none() | kind) for kind in kinds]
    if drawn[-1] is not None:
        drawn.append(draw(st.none() | MIXED))
    return Recipe(steps=tuple(filter(None, drawn)), seed=draw(st.integers(0, 2**31 - 1)))
