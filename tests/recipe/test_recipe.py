"""A recipe is a value: it checks itself, round-trips, and names itself by its content."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optim import recipe as module
from optim.errors import BrokenRecipeError
from optim.recipe import (
    MAX_RECIPE_BYTES,
    Calibration,
    Distill,
    Precision,
    Prune,
    PruningUnit,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    Sparsify,
    parse_precision,
    recipe_of,
)
from tests.any_recipe import PRUNES, recipes


@given(recipes())
def test_recipes_round_trip_through_yaml_and_json(recipe: Recipe) -> None:
    assert Recipe.from_text(recipe.to_yaml()) == recipe
    assert Recipe.from_text(json.dumps(recipe.to_dict())) == recipe


@given(recipes(), recipes())
def test_fingerprints_are_equal_exactly_for_equal_recipes(a: Recipe, b: Recipe) -> None:
    assert (a.fingerprint == b.fingerprint) == (a == b)
    assert Recipe.from_dict(a.to_dict()).fingerprint == a.fingerprint
    assert len(a.fingerprint) == 16


def test_fingerprints_do_not_change_from_release_to_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Workspaces of users hold them: a changed one makes every candidate anew."""
    for kind in module.STEP_VERSIONS:
        monkeypatch.setitem(module.STEP_VERSIONS, kind, 1)
    assert Recipe().fingerprint == "3e6758e523312177"
    assert recipe_of(pruning_ratio=0.5, precision="int8").fingerprint == "485d7019c944b13a"


def test_a_new_version_of_a_step_gives_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    pruned, plain = recipe_of(pruning_ratio=0.5), Recipe()
    before = pruned.fingerprint, plain.fingerprint
    monkeypatch.setitem(module.STEP_VERSIONS, "prune", 1 + module.STEP_VERSIONS["prune"])
    assert pruned.fingerprint != before[0]
    assert plain.fingerprint == before[1]


def test_whole_numbers_and_fractions_of_the_same_size_are_the_same_recipe() -> None:
    assert Prune(ratio=0.5, epochs=1) == Prune(ratio=0.5, epochs=1.0)
    text = "steps: [{step: prune, ratio: 0.5, epochs: 1}]"
    assert Recipe.from_text(text).fingerprint == recipe_of(pruning_ratio=0.5).fingerprint


@given(recipes())
def test_the_training_prefix_holds_what_all_precisions_share(recipe: Recipe) -> None:
    prefix = recipe.training_prefix()
    assert prefix.precision is Precision.FP32
    assert prefix.pruning_ratio == recipe.pruning_ratio
    assert prefix.seed == recipe.seed
    assert prefix.training_prefix() == prefix


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(), "original, FP32"),
        (recipe_of(precision="INT8"), "INT8"),
        (recipe_of(pruning_ratio=0.3, fuse=True), "prune 30 % of channels, fuse"),
        (recipe_of(pruning_ratio=0.5, epochs=4), "prune 50 % of channels (4 epochs)"),
        (recipe_of(pruning_ratio=0.5, distill=False), "prune 50 % of channels (labels only)"),
        (
            Recipe(steps=(Prune(ratio=0.75, keep_weights=False),)),
            "75 % fewer channels from scratch",
        ),
        (
            Recipe(steps=(Prune(ratio=0.0, layers={"a": 0.5}, keep_weights=False),)),
            "1 layer narrower by their own ratio from scratch",
        ),
        (
            Recipe(steps=(Quantize(calibration=Calibration.ENTROPY, per_channel=False),)),
            "INT8 (entropy, per tensor)",
        ),
    ],
)
def test_words_say_what_differs_from_the_usual(recipe: Recipe, words: str) -> None:
    assert recipe.words() == words


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 0.96, float("nan"), float("inf"), "0.5", True])
def test_a_pruning_ratio_outside_its_range_is_refused(ratio: object) -> None:
    with pytest.raises(ValueError, match=r"prune ratio must be (at least|between 0)"):
        Prune(ratio=ratio)  # type: ignore[arg-type]


def test_next_to_nothing_is_no_ratio_even_beside_layers() -> None:
    assert Prune(ratio=0, layers={"a": 0.5}).ratio == 0  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="prune ratio must be at least"):
        Prune(ratio=1e-110, layers={"a": 0.5})  # type: ignore[arg-type]


def test_a_recipe_says_what_its_pruning_ratio_is_a_share_of() -> None:
    assert Recipe().pruning_unit is None
    step = Prune(ratio=0.5, unit=PruningUnit.MACS)
    assert Recipe(steps=(step,)).pruning_unit == "macs"


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": -1}, {"epochs": 201}, {"epochs": float("nan")}, {"distill": 1},
        {"keep_weights": "no"}, {"round_to": 0}, {"round_to": 1.5}, {"round_to": True},
        {"unit": "layers"}, {"criterion": "l3"}, {"scope": "local"}, {"rounds": 0},
        {"rounds": 21}, {"rounds": 2, "layers": {"a": 0.5}}, {"layers": "ab"},
    ],
)  # fmt: skip
def test_wrong_options_of_pruning_name_the_option(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"prune {next(iter(change))} must be"):
        Prune(**{"ratio": 0.5, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "fp32"}, {"calibration": "guess"}, {"per_channel": 1},
        {"calibration_examples": 7}, {"calibration_examples": 513},
    ],
)  # fmt: skip
def test_wrong_options_of_quantization_name_the_option(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"quantize {next(iter(change))} must be"):
        Quantize(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "change"),
    [
        (Replace, {"width": 0.05}), (Replace, {"width": 1.1}), (Replace, {"stride": 3}),
        (Replace, {"epochs": -1}), (Replace, {"distill": "yes"}),
        (Distill, {"epochs": 201}), (Distill, {"loss": "hard"}), (Distill, {"temperature": 0}),
        (Distill, {"alpha": 1.5}), (Distill, {"labels": 0}), (Distill, {"data_share": 0}),
        (Distill, {"patience": -1}), (Distill, {"teacher": ["a", "a"]}),
        (Sparsify, {"sparsity": 0}), (Sparsify, {"sparsity": 1}), (Sparsify, {"pattern": "1:4"}),
        (Sparsify, {"scope": "local"}), (Sparsify, {"method": "luck"}), (Sparsify, {"epochs": -1}),
    ],
)  # fmt: skip
def test_wrong_options_of_new_steps_name_the_option(
    step: type[Replace | Distill | Sparsify], change: dict[str, object]
) -> None:
    family = {"architecture": "resnet"} if step is Replace else {}
    with pytest.raises(ValueError, match=f"{step.__name__.lower()} {next(iter(change))} must be"):
        step(**{**family, **change})  # type: ignore[arg-type]


def test_an_unknown_family_is_answered_with_the_families() -> None:
    with pytest.raises(ValueError, match="replace architecture must be one of resnet, small_res"):
        Replace(architecture="transformer")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Prune(ratio=0.5, unit="macs", layers={"a": 0.5}), "leave unit at channels"),
        (lambda: Distill(labels=False, alpha=0), "alpha must be above 0"),
        (lambda: Sparsify(sparsity=0.6, pattern="2:4"), "leave sparsity at 0.5"),
        (lambda: Sparsify(pattern="2:4", scope="global"), "scope at uniform"),
        (lambda: Sparsify(method="gradual", epochs=0), "epochs must be above 0"),
        (lambda: Recipe(steps=(Sparsify(), QuantizeAware())), "leave one of them out"),
    ],
)
def test_options_that_contradict_each_other_say_which_to_change(
    make: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


@given(PRUNES)
def test_each_earlier_round_is_gentler_and_shorter_until_the_first(step: Prune) -> None:
    assert (step.earlier_round() is None) == (step.rounds == 1)
    while (earlier := step.earlier_round()) is not None:
        assert 0 < earlier.ratio < step.ratio
        assert earlier.rounds == step.rounds - 1
        assert earlier.epochs_per_round == pytest.approx(step.epochs_per_round)
        step = earlier


@pytest.mark.parametrize("text", ["3", "int3", "", None, 8, "float32"])
def test_an_unknown_precision_is_answered_with_the_choices(text: object) -> None:
    with pytest.raises(ValueError, match="precision must be one of fp32, fp16, int8, int4; got"):
        parse_precision(text)


def test_steps_stand_once_and_in_order() -> None:
    prune, quantize = Prune(ratio=0.5), Quantize()
    with pytest.raises(
        ValueError, match="steps must stand in the order replace, replace_activation, prune"
    ):
        Recipe(steps=(quantize, prune))
    with pytest.raises(ValueError, match="each kind of step may stand once"):
        Recipe(steps=(prune, Prune(ratio=0.3)))


@pytest.mark.parametrize("seed", [-1, 2**31, 0.5, True, "0"])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(ValueError, match="seed must be an integer"):
        Recipe(seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "must be a table with the key 'steps'"),
        ({"steps": [], "colour": "red"}, "unknown key 'colour'; known: seed, steps, version"),
        ({"version": 2}, "only version 1 is known here"),
        ({"steps": "prune"}, "must be a list"),
        ({"steps": [{"step": "fuse"}] * 17}, "at most 16 steps"),
        ({"steps": ["prune"]}, "each step needs 'step: NAME'"),
        ({"steps": [{"step": ["prune"]}]}, "each step needs 'step: NAME'"),
        ({"steps": [{"step": "fuse", "all": True}]}, "unknown key 'all'; known: no keys"),
        ({"steps": [{"step": "prune"}]}, "the recipe is wrong"),
        ({"steps": [{"step": "prune", "ratio": 1.0}]}, "try 0.9"),
        ({"steps": [{"step": "prune", "ratio": None}]}, "got None"),
        ({"steps": [{"step": "quantize", "precision": "int3"}]}, "precision must be one of"),
        ({"steps": [{"step": "quantize", "calibration": []}]}, "calibration must be one of"),
    ],
)
def test_what_is_not_a_recipe_is_refused_with_the_reason(data: object, sentence: str) -> None:
    with pytest.raises(BrokenRecipeError) as caught:
        Recipe.from_dict(data)
    assert sentence in str(caught.value)


def test_a_strangers_text_runs_nothing_and_expands_nothing() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    for text, sentence in (
        ("!!python/object/apply:os.system ['touch marker']", "not readable YAML"),
        (bomb, "aliases"),
        ("[" * 30_000, "nested 8 levels deep"),
        ("- " * 30_000, "nested 8 levels deep"),
        ("\x00", "not readable YAML"),
        ("a" * (MAX_RECIPE_BYTES + 1), "may have 64 KB"),
    ):
        with pytest.raises(BrokenRecipeError, match=sentence):
            Recipe.from_text(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["steps", "seed", "version", "step", "ratio", "precision", "x"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_any_plain_data_is_a_recipe_or_is_refused(data: object) -> None:
    try:
        recipe = Recipe.from_text(yaml.safe_dump(data))
    except BrokenRecipeError:
        return
    assert Recipe.from_dict(recipe.to_dict()) == recipe
