"""Names of recipes stay: workspaces of users hold them, and a changed one makes all anew."""

from __future__ import annotations

import pytest

from optim.recipe import (
    Distill,
    Fuse,
    MixedPrecision,
    Prune,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Sparsify,
    Step,
)

FINGERPRINTS = [
    (Recipe(), "3e6758e523312177"),
    (Recipe(steps=(Quantize(),)), "c9365c7991cacfd7"),
    (Recipe(steps=(Quantize(precision="fp16"),)), "a12b399845dbd916"),
    (Recipe(steps=(Quantize(precision="int4"),)), "a89a7baa665337e3"),
    (Recipe(steps=(Quantize(precision="int4", rounding="nearest"),)), "d2f72dc7110d241d"),
    (Recipe(steps=(Quantize(rounding="compensated"),)), "9ebd9f9bcfc9eb2e"),
    (Recipe(steps=(Quantize(rounding="learned"),)), "f5c58b42696c2d4c"),
    (Recipe(steps=(Quantize(precision="int4", rounding="learned"),)), "a6858739b8e0ccd5"),
    (
        Recipe(
            steps=(
                Quantize(
                    activations="int8",
                    calibration="mse",
                    calibration_examples=64,
                    calibration_seed=3,
                    per_channel=False,
                    bias_correction=True,
                    equalize=True,
                    smooth=0.5,
                ),
            )
        ),
        "daa0dbc6ec14c4af",
    ),
    (Recipe(steps=(Fuse(),), seed=7), "487e1bde1689063f"),
    (Recipe(steps=(Prune(ratio=0.5),)), "067a59e5fe7df5fc"),
    (
        Recipe(
            steps=(
                Prune(
                    ratio=0.7,
                    blocks=2,
                    epochs=3,
                    distill=False,
                    round_to=8,
                    unit="macs",
                    criterion="taylor",
                    scope="global",
                    rounds=3,
                ),
            )
        ),
        "df190d569ddf74e0",
    ),
    (Recipe(steps=(Prune(ratio=0, layers={"b": 0.25, "a": 0.5}),)), "a67e7cc001ed48a8"),
    (
        Recipe(steps=(Prune(ratio=0.5, keep_weights=False, distill=False, epochs=6),)),
        "0403abfe47fabb27",
    ),
    (
        Recipe(
            steps=(Replace(architecture="small_resnet", width=0.5, stride=2, epochs=4), Quantize())
        ),
        "65e6d5eb73e7a560",
    ),
    (
        Recipe(
            steps=(
                Replace(architecture="squeezenet", epochs=0),
                Distill(
                    epochs=3,
                    teacher=("fashion-resnet", "x"),
                    loss="hints",
                    temperature=6,
                    alpha=0.9,
                    labels=False,
                    data_share=0.1,
                    patience=3,
                ),
            )
        ),
        "ed82b370c8b07313",
    ),
    (Recipe(steps=(Distill(alpha=0),)), "5f526ed844d1bf07"),
    (
        Recipe(steps=(ReplaceActivation(activation="relu6", epochs=0.5, distill=False),)),
        "a60164957cf87eca",
    ),
    (Recipe(steps=(Sparsify(),)), "33693fa86e6dd1a7"),
    (Recipe(steps=(Sparsify(pattern="2:4", epochs=2),)), "ee039d821abea7d6"),
    (
        Recipe(
            steps=(
                Sparsify(sparsity=0.9, method="repair", epochs=0, scope="global", distill=False),
            )
        ),
        "fe2e246de6896364",
    ),
    (
        Recipe(steps=(Sparsify(sparsity=0.8, method="gradual"), Quantize(rounding="learned"))),
        "7f2ec6a691885dcf",
    ),
    (Recipe(steps=(QuantizeAware(), Quantize(precision="int4"))), "b622856e2aac36aa"),
    (
        Recipe(
            steps=(
                QuantizeAware(
                    weight_bits=8,
                    epochs=0.25,
                    per_channel=False,
                    learned_scales=True,
                    distill=False,
                ),
                Quantize(per_channel=False),
            )
        ),
        "a253e0844267869b",
    ),
    (
        Recipe(
            steps=(
                Quantize(precision="int4"),
                MixedPrecision(layers={"head": "fp32", "stem": "int8"}),
            )
        ),
        "94463feea234e599",
    ),
    (
        Recipe(
            steps=(
                Prune(ratio=0.5),
                Sparsify(),
                Fuse(),
                Quantize(),
                MixedPrecision(layers={"head": "int4"}),
            ),
            seed=5,
        ),
        "895f8964d9a6671d",
    ),
]


@pytest.mark.parametrize(("recipe", "fingerprint"), FINGERPRINTS)
def test_a_recipe_keeps_its_fingerprint(recipe: Recipe, fingerprint: str) -> None:
    assert recipe.fingerprint == fingerprint
    assert Recipe.from_text(recipe.to_yaml()).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Quantize(rounding="compensated"), Quantize(rounding="gptq")),
        (Quantize(rounding="learned"), Quantize(rounding="adaround")),
        (Sparsify(method="repair"), Sparsify(method="sparsegpt")),
    ],
)
def test_a_word_of_a_former_version_is_the_same_recipe(old: Step, new: Step) -> None:
    assert old == new
    assert Recipe(steps=(old,)).fingerprint == Recipe(steps=(new,)).fingerprint
